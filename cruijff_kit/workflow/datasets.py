"""Data sets: a user's files read, or rows generated, each distinct one once."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cruijff_kit.data.formats import Content, content_sha256
from cruijff_kit.data.generators.registry import (
    GENERATORS,
    check_arguments,
    dataset_facts,
    dataset_key,
    make_dataset,
    named_files,
)
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.grid import Variant
from cruijff_kit.ports import World
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.schema.data import DataFormat, DatasetFacts, TrainingData
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.tiers import sidecar_of

__all__ = ["Dataset", "read_datasets"]

_Read = TypeVar("_Read")
# As the hub names a data set, and as a file in a folder may be called, but for its ending.
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w-]*")


class Dataset(NamedTuple):
    """One data set, in memory."""

    facts: DatasetFacts
    """Key, path, hash and splits."""
    content: Content
    """The bytes of its file, or of a folder's files."""
    splits: Splits
    """Its rows."""


def read_datasets(
    variants: Iterable[Variant],
    training: TrainingData,
    *,
    columns: Columns | None = None,
    anew: bool = False,
    world: World,
) -> dict[Variant, Dataset]:
    """Return every data set that a design asks for; generated ones are not written.

    Variants that come to the same rows share one data set. Keys are unique.

    Args:
        variants: the data sets asked for.
        training: how the design lays out its data.
        columns: columns every row must have; those of question and answer where absent.
        anew: generate again what lies there already.
        world: the experiment and its surroundings; only read.

    Raises:
        SpecError: a file or an argument is wrong; lists the problems of all data sets.
        SiteError: the extra that reads a format is not installed.
    """
    columns = columns or Columns(training.input_key, training.output_key, None, training.columns)
    found: dict[Variant, Dataset] = {}
    problems: list[Problem] = []
    for variant in dict.fromkeys(variants):
        try:
            found[variant] = (
                _generated(variant, anew=anew, world=world)
                if variant.generator
                else _file(variant, columns, form=training.format, world=world)
            )
        except SpecError as err:
            problems += err.problems or [Problem(str(err), "data.training", hint=err.hint)]
    if problems:
        raise SpecError("the data cannot be used", problems=list(dict.fromkeys(problems)))
    return _told_apart(found)


def _file(variant: Variant, columns: Columns, *, form: DataFormat | None, world: World) -> Dataset:
    """Return a data set of the user's; relative paths start at the experiment."""
    path = str(variant.path)
    place = world.store.root / path
    content = _read(read_data, place, shown=path)
    splits = load_splits(content, name=path, columns=columns, form=form)
    facts = DatasetFacts(
        key=_stem(place),
        path=str(place),
        sha256=content_sha256(content),
        bytes=sum(map(len, content.values())) if isinstance(content, Mapping) else len(content),
        splits={name: len(rows) for name, rows in splits.items()},
    )
    return Dataset(facts, content, splits)


def _generated(variant: Variant, *, anew: bool, world: World) -> Dataset:
    arguments = variant.values()
    generator = str(variant.generator)
    paths = named_files(generator, arguments)
    there = None if anew else _there(generator, arguments, paths=paths, world=world)
    if there is not None:
        return there
    files = {name: _read(Path.read_bytes, world.store.root / path, shown=path) for name, path in paths.items()}
    try:
        made = make_dataset(generator, arguments, files=files)
    except SpecError as err:
        placed = [each._replace(path=f"data.training.arguments.{each.path}".rstrip(".")) for each in err.problems]
        raise SpecError(str(err), problems=placed, hint=err.hint) from err
    return Dataset(made.facts, made.content, made.splits)


def _there(generator: str, arguments: dict[str, Any], *, paths: dict[str, str], world: World) -> Dataset | None:
    """Return a data set that was made before from the same files and arguments, proven by its hash; None where none is.

    Only generators that tell tables, read or made up: they may take long, and others are as quick as reading.
    """
    known = GENERATORS.get(generator)
    if known is None or (known.stem is None and known.draw is None) or check_arguments(generator, arguments):
        return None
    found = {name: world.store.digest(str(world.store.root / path)) for name, path in paths.items()}
    hashes = {name: sha256 for name, sha256 in found.items() if sha256 is not None}
    key = dataset_key(generator, arguments, hashes=hashes)
    path = ExperimentLayout.dataset(key)
    content = world.store.read(path)
    if content is None:
        return None
    sha256 = hashlib.sha256(content).hexdigest()
    if sidecar_of(world.store.root / path).get("sha256") != sha256:
        return None
    splits = json.loads(content)
    counts = {name: len(rows) for name, rows in splits.items()}
    facts = dataset_facts(generator, arguments, key=key, splits=counts, written=(sha256, len(content)))
    ceilings = known.ceilings(known.arguments.model_validate(arguments), splits)
    return Dataset(facts.model_copy(update={"inputs": hashes, "ceilings": ceilings}), content, splits)


def _read(read: Callable[[Path], _Read], place: Path, *, shown: str) -> _Read:
    try:
        return read(place)
    except (OSError, ValueError) as err:
        hint = "mend the path; relative paths start at the experiment's directory"
        if _REPOSITORY.fullmatch(shown) and not place.exists():
            hint += "; a data set of the hub is saved to files first, where there is a network: jobs have none"
        problem = Problem(f"file `{shown}` cannot be read: {_why(err)}", "data.training", hint=hint)
        raise SpecError(f"`{shown}` cannot be read", problems=[problem]) from err


def _why(err: Exception) -> str:
    return (getattr(err, "strerror", None) or str(err)).lower()


def _stem(place: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", place.stem).lstrip("._-")[:64] or "data"


def _told_apart(found: Mapping[Variant, Dataset]) -> dict[Variant, Dataset]:
    """Give files of one name and different places keys of their own."""
    homes: dict[str, set[str]] = {}
    for dataset in found.values():
        homes.setdefault(dataset.facts.key, set()).add(dataset.facts.path)
    return {
        variant: dataset if len(homes[dataset.facts.key]) == 1 else _marked(dataset)
        for variant, dataset in found.items()
    }


def _marked(dataset: Dataset) -> Dataset:
    key = f"{dataset.facts.key}-{hashlib.sha256(dataset.facts.path.encode()).hexdigest()[:8]}"
    return dataset._replace(facts=dataset.facts.model_copy(update={"key": key}))
