"""Files of generated data: what arguments name is read, and a data set is written beside its sidecar, once."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cruijff_kit.data.generators.registry import (
    GENERATORS,
    Generated,
    check_arguments,
    dataset_meta,
    make_dataset,
    named_files,
    packed,
)
from cruijff_kit.data.table_rows import Openers, TableRows
from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.data import Tier
from cruijff_kit.workflow.consent import closed
from cruijff_kit.workflow.conversion import record_written
from cruijff_kit.workflow.tiers import sidecar_of, tier_of, told_tier

__all__ = ["drawn_rows", "is_written", "made_data", "open_named", "tier_of_named", "withheld", "write_generated"]


def open_named(place: Path, *, shown: str) -> IO[bytes]:
    """Open a file that a user named.

    Args:
        place: where it lies.
        shown: how the user called it.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return place.open("rb")
    except OSError as err:
        hint = "mend the path; relative paths start at the experiment's directory"
        problem = Problem(f"file `{shown}` cannot be read: {str(err.strerror).lower()}", hint=hint)
        raise SpecError(f"`{shown}` cannot be read", problems=[problem]) from err


def tier_of_named(named: Iterable[str], *, declared: Tier | None = None, world: World) -> Tier:
    """Return how freely rows made of files may be shown; what is made of nothing is as declared, or green.

    Args:
        named: the files; relative paths start at the experiment.
        declared: what whoever asks says of them.
        world: the experiment and its surroundings.

    Raises:
        SpecError: a mark names no tier, or the design cannot be read.
    """
    said: list[Tier] = [tier_of(world.store.root / path, declared=declared, world=world) for path in named]
    return strictest(said, unsaid=declared or "green")


def made_data(
    generator: str, arguments: Mapping[str, Any], *, progress: Progress | None = None, world: World
) -> Generated:
    """Return the data set that a generator makes; tables are read row by row where it can.

    Raises:
        SpecError: generator, arguments or files cannot be used, all problems at once.
        SiteError: the extra that reads a format is not installed.
    """
    known = GENERATORS.get(generator)
    if known is None or known.draw is None:
        return make_dataset(generator, arguments, files=_contents(generator, arguments, world=world))
    rows = drawn_rows(generator, arguments, progress=progress, world=world)
    hashes = {
        name: world.store.digest(str(world.store.root / path)) or ""
        for name, path in named_files(generator, arguments).items()
    }
    return packed(generator, arguments, splits=rows.splits, hashes=hashes)


def drawn_rows(
    generator: str, arguments: Mapping[str, Any], *, progress: Progress | None = None, world: World
) -> TableRows:
    """Return the rows of a generator that tells a table, beside their cells.

    Raises:
        SpecError: the arguments or a file cannot be used, or the generator tells none.
        SiteError: the extra that reads a format is not installed.
    """
    known = GENERATORS.get(generator)
    draw = known.draw if known else None
    problems = check_arguments(generator, arguments)
    if problems or known is None or draw is None:
        hint = f"generators that do are {', '.join(f'`{name}`' for name, each in GENERATORS.items() if each.draw)}"
        fact = f"generator `{generator}` cannot run" if problems else f"generator `{generator}` tells no table"
        raise SpecError(fact, problems=problems, hint="" if problems else hint)
    typed = known.arguments.model_validate(dict(arguments))
    with ExitStack() as stack:
        return draw(typed, _openers(named_files(generator, arguments), stack, world=world), progress=progress)


def is_written(made: Generated, path: str, *, world: World) -> bool:
    """Return whether a data set lies at a path already, whole and with a sidecar that tells of it."""
    return world.store.digest(path) == made.facts.sha256 == sidecar_of(world.store.root / path).get("sha256")


def write_generated(made: Generated, path: str, *, declared: Tier | None = None, world: World) -> None:
    """Write a data set and its sidecar, kept as closely as the files it is made of, and record it.

    Args:
        made: the data set.
        path: where it goes, relative to the experiment.
        declared: how freely the files it is made of may be shown, as declared.
        world: the experiment and its surroundings.
    """
    facts, root = made.facts.model_copy(update={"path": path}), world.store.root
    named = named_files(str(facts.generator), facts.arguments)
    tier = told_tier(root / path, sources=[root / each for each in named.values()], declared=declared, root=root)
    world.store.write(path, made.content)
    world.store.write(_meta_path(path), dataset_meta(facts, tier=tier))
    inputs = {named[name]: sha256 for name, sha256 in facts.inputs.items()}
    record_written("generate", path, inputs=inputs, outputs={path: facts.sha256}, world=world)


def withheld(tier: Tier, named: Sequence[str], *, world: World) -> str:
    """Return why rows of files of a tier are not shown; empty where they may be, and where there are no files."""
    if tier == "green" or not named:
        return ""
    data = {path: world.store.digest(str(world.store.root / path)) or "" for path in named}
    shut = closed(tier, data, way="show", path=named[0], world=world)
    return shut.words if shut else ""


def _meta_path(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(".meta.json"))


def _contents(generator: str, arguments: Mapping[str, Any], *, world: World) -> dict[str, bytes]:
    files, problems = {}, list[Problem]()
    for name, path in named_files(generator, arguments).items():
        try:
            with open_named(world.store.root / path, shown=path) as file:
                files[name] = file.read()
        except SpecError as err:
            problems += [problem._replace(path=name) for problem in err.problems]
    if problems:
        raise SpecError(f"generator `{generator}` cannot run", problems=problems)
    return files


def _openers(paths: Mapping[str, str], stack: ExitStack, *, world: World) -> Openers:
    def opener(path: str) -> IO[bytes]:
        return stack.enter_context(open_named(world.store.root / path, shown=path))

    return {name: lambda path=path: opener(path) for name, path in paths.items()}
