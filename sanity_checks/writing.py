"""What the generators' own commands share: a data set written to a file, and what is said of it."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.data.generators.registry import Generated, make_dataset
from cruijff_kit.data.splits import write_splits
from cruijff_kit.errors import CruijffError, PlanError

__all__ = ["ending_of", "truth", "write_dataset"]


def write_dataset(generator: str, arguments: Mapping[str, Any], *, path: Path, force: bool) -> str:
    """Write a generated data set to a file with what made it beside it, and return what is there in a line.

    Rows have an empty `instruction`, as those of the first system had; empty splits are left out.

    Raises:
        SpecError: the arguments are wrong.
        PlanError: the file is there and holds something else.
    """
    made = make_dataset(generator, arguments)
    splits = {name: [{"instruction": "", **row} for row in rows] for name, rows in made.splits.items() if rows}
    content, store = write_splits(splits), DiskRunStore(path.parent.resolve())
    before = store.read(path.name)
    if before not in {None, content} and not force:
        raise PlanError(f"`{path}` holds something else", hint="name another file, or replace it with `--force`")
    if before != content:
        store.write(path.name, content)
    store.write(f"{path.stem}.meta.json", _sidecar(made, content))
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in splits.items())
    return f"{path}: {counts}"


def truth(text: str) -> bool:
    """Return what `True` or `False` says.

    Raises:
        ValueError: it says neither.
    """
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"`{text}` is neither True nor False")
    return text.lower() == "true"


def ending_of(command: Callable[[], list[str]]) -> int:
    """Run a command that returns lines, and return its exit code; errors a user can mend are told in words."""
    try:
        lines = command()
    except CruijffError as err:
        sys.stderr.write(f"error: {err}\n")
        return err.exit_code
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _sidecar(made: Generated, content: bytes) -> str:
    told = {
        "generator": made.facts.generator,
        "generator_version": made.facts.generator_version,
        "arguments": made.facts.arguments,
        "sha256": hashlib.sha256(content).hexdigest(),
        "splits": {name: count for name, count in made.facts.splits.items() if count},
    }
    return json.dumps(told, indent=2) + "\n"
