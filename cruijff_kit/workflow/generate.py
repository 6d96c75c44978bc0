"""Generate data: a generator run by hand, its file where a design with the same arguments would look for it."""

import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from pydantic.fields import FieldInfo

from cruijff_kit.data.generators.registry import GENERATORS, Generated, named_files
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.generated import ArgumentFacts, DataTarget, GenerationReceipt, GeneratorFacts
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Noun
from cruijff_kit.workflow.conversion import own_target
from cruijff_kit.workflow.generated_files import is_written, made_data, tier_of_named, withheld, write_generated

__all__ = ["generate_data", "list_generators"]

_WHERE_DESIGNS_LOOK = DataTarget()
_TEXT = (str, str | None)


def list_generators() -> tuple[GeneratorFacts, ...]:
    """Return every generator with its arguments."""
    return tuple(
        GeneratorFacts(
            name=name,
            told=_told(known.generate),
            arguments=tuple(_argument(each, field) for each, field in known.arguments.described().items()),
        )
        for name, known in GENERATORS.items()
    )


def generate_data(
    generator: str,
    arguments: Mapping[str, Any],
    *,
    target: DataTarget = _WHERE_DESIGNS_LOOK,
    dry_run: bool = False,
    force: bool = False,
    world: World,
) -> GenerationReceipt:
    """Make a data set and write it with its sidecar; a file that is there already and whole is left alone.

    Args:
        generator: its name.
        arguments: its arguments; files they name are relative to the experiment.
        target: where the file goes.
        dry_run: write nothing.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: generator or arguments are wrong, all problems at once; or the file cannot be written there.
    """
    made = made_data(generator, arguments, world=world)
    path, named = _path(made, target), tuple(named_files(generator, arguments).values())
    hidden = withheld(tier_of_named(named, world=world), named, world=world)
    written = not dry_run and not is_written(made, path, world=world)
    if written:
        # What a design would find under this name is this very data set, or a torn one.
        known = ExperimentLayout.dataset(made.facts.key)
        own_target(path, source=next(iter(named), None), force=force or path == known, world=world)
        write_generated(made, path, world=world)
    return GenerationReceipt(
        path=path,
        key=made.facts.key,
        sha256=made.facts.sha256,
        written=written,
        splits=made.facts.splits,
        arguments=made.facts.arguments,
        ceilings=made.facts.ceilings,
        samples={split: dict(rows[0]) for split, rows in made.splits.items() if rows and not hidden},
        withheld=hidden,
    )


def _path(made: Generated, target: DataTarget) -> str:
    name = target.file or f"{made.facts.key}.json"
    if PurePosixPath(name).suffix != ".json":
        hint = "end it in `.json`; `ck data convert` writes the other formats"
        raise SpecError(f"`{name}` is no name for generated data", hint=hint)
    return (PurePosixPath(target.folder) / name).as_posix()


def _told(generate: Any) -> str:
    return (sys.modules[generate.__module__].__doc__ or "").partition("\n")[0].rstrip(".:")


def _argument(name: str, field: FieldInfo) -> ArgumentFacts:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    plain = default.model_dump(mode="json") if isinstance(default, Noun) else default
    told = " ".join((field.description or "").split())
    return ArgumentFacts(name=name, text=field.annotation in _TEXT, default=plain, told=told)
