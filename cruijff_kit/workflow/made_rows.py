"""Data sets made by a generator at once, without a design: shown, or written where a scaffold would look for them."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import IO, Any

from cruijff_kit.data.acs.population import population
from cruijff_kit.data.generators.registry import (
    GENERATORS,
    Generated,
    check_arguments,
    dataset_meta,
    make_dataset,
    named_files,
    packed,
)
from cruijff_kit.data.known_chances import CHANCE
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.table_rows import Openers, TableRows
from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.made_data import MadeData, MadeFile, MadeRow
from cruijff_kit.workflow.consent import closed
from cruijff_kit.workflow.conversion import own_target
from cruijff_kit.workflow.tiers import tier_of, told_tier

__all__ = ["drawn_rows", "make_rows", "make_stand_in"]

_MOST, _FEW = 50, 20


def make_rows(
    generator: str,
    arguments: Mapping[str, Any],
    *,
    show: int | None = None,
    tier: Tier | None = None,
    progress: Progress | None = None,
    world: World,
) -> MadeData:
    """Write the data set that a generator makes, or show its first rows.

    A design that names the generator with the same arguments finds this file.

    Args:
        generator: its name; tables are told by `tell_table`.
        arguments: those that differ from the defaults; relative paths start at the experiment.
        show: write nothing, and show so many rows of each split, from 0 to 50, where the tier allows it.
        tier: how freely the files it reads may be shown, as declared.
        progress: told of rows read or made.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the arguments or a file cannot be used; all problems at once.
        SiteError: the extra that reads a format is not installed.
    """
    if show is not None and not 0 <= show <= _MOST:
        raise SpecError(f"`{show}` rows are too many to show; it goes from 0 to {_MOST}", hint="show fewer rows")
    if generator == "tabular":
        raise SpecError("`tabular` tells a table", hint="use `ck data from-table`")
    made = _generated(generator, arguments, progress=progress, world=world)
    sources = [world.store.root / path for path in named_files(generator, arguments).values()]
    said: list[Tier] = [tier_of(source, declared=tier, world=world) for source in sources]
    shown: Tier = strictest(said) if said else tier or "green"
    hidden = _withheld(shown, sources, world=world)
    receipt = _receipt(made, generator, tier=shown)
    if hidden:
        receipt = receipt.model_copy(update={"answers": {}, "withheld": hidden})
    if show is None:
        return receipt.model_copy(update={"written": _written(made, sources, declared=tier, world=world)})
    return receipt.model_copy(update={"samples": () if hidden else _samples(made.splits, show)})


def _receipt(made: Generated, generator: str, *, tier: Tier) -> MadeData:
    facts, known = made.facts, GENERATORS[generator]
    typed = known.arguments.model_validate(facts.arguments)
    return MadeData(
        generator=generator,
        path=facts.path,
        key=facts.key,
        written=False,
        sha256=facts.sha256,
        splits=facts.splits,
        answers=_answers(made.splits),
        best=_best(made.splits),
        ceiling=None if known.ceiling is None else known.ceiling(typed),
        tier=tier,
    )


def make_stand_in(
    path: str,
    *,
    people: int = 40_000,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
    world: World,
) -> MadeFile:
    """Write a person file of the American Community Survey whose persons are made up.

    Args:
        path: file to write inside the experiment, `.csv`.
        people: persons in it.
        seed: fixes them.
        force: replace what is there.
        progress: told of persons made.
        world: the experiment.

    Raises:
        SpecError: the file is there already, or is no `.csv`.
    """
    if not path.endswith(".csv") or people < 1:
        fact = f"`{path}` is no `.csv`" if people >= 1 else f"`{people}` persons make no file"
        raise SpecError(fact, hint="name a file that ends in `.csv`, and one person at least")
    name = own_target(path, source=path, force=force, world=world)
    sha256, _ = world.store.write_parts(name, _lines(people, seed=seed, progress=progress))
    return MadeFile(path=name, rows=people, sha256=sha256)


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


def _generated(generator: str, arguments: Mapping[str, Any], *, progress: Progress | None, world: World) -> Generated:
    known = GENERATORS.get(generator)
    if known is None or known.draw is None:
        paths = named_files(generator, arguments)
        files = {name: _open(world.store.root / path, shown=path) for name, path in paths.items()}
        with ExitStack() as stack:
            content = {name: stack.enter_context(file).read() for name, file in files.items()}
        return make_dataset(generator, arguments, files=content)
    rows = drawn_rows(generator, arguments, progress=progress, world=world)
    hashes = {
        name: world.store.digest(str(world.store.root / path)) or ""
        for name, path in named_files(generator, arguments).items()
    }
    return packed(generator, arguments, splits=rows.splits, hashes=hashes)


def _openers(paths: Mapping[str, str], stack: ExitStack, *, world: World) -> Openers:
    def opener(path: str) -> IO[bytes]:
        return stack.enter_context(_open(world.store.root / path, shown=path))

    return {name: lambda path=path: opener(path) for name, path in paths.items()}


def _open(place: Path, *, shown: str) -> IO[bytes]:
    try:
        return place.open("rb")
    except OSError as err:
        hint = "mend the path; relative paths start at the experiment's directory"
        problem = Problem(f"file `{shown}` cannot be read: {str(err.strerror).lower()}", hint=hint)
        raise SpecError(f"`{shown}` cannot be read", problems=[problem]) from err


def _written(made: Generated, sources: list[Path], *, declared: Tier | None, world: World) -> bool:
    """Write data set and sidecar, and say whether it was needed."""
    facts, meta_path = made.facts, ExperimentLayout.dataset_meta(made.facts.key)
    meta = world.store.read(meta_path)
    if meta is not None and world.store.digest(facts.path) == facts.sha256 == json.loads(meta).get("sha256"):
        return False
    root = world.store.root
    said = told_tier(root / facts.path, sources=sources, declared=declared, root=root)
    world.store.write(facts.path, made.content)
    world.store.write(meta_path, dataset_meta(facts, tier=said))
    if world.audit.head() is not None:
        event = AuditEvent(
            actor=world.actor,
            verb="generate",
            action=Action.VERIFY_DATASET,
            subject=facts.path,
            inputs=dict(facts.inputs),
            outputs={facts.path: facts.sha256},
        )
        world.audit.append(event)
    return True


def _withheld(tier: Tier, sources: list[Path], *, world: World) -> str:
    """Return why rows are not shown; empty where they may be."""
    if tier == "green" or not sources:
        return ""
    data = {str(source): world.store.digest(str(source)) or "" for source in sources}
    shut = closed(tier, data, way="show", path=str(sources[0]), world=world)
    return shut.words if shut else ""


def _answers(splits: Splits) -> dict[str, dict[str, int]]:
    """Return how often each answer occurs, where the first split has few."""
    found = {name: Counter(str(row["output"]) for row in rows) for name, rows in splits.items()}
    few = all(len(each) <= _FEW for each in found.values())
    return {name: dict(sorted(each.items())) for name, each in found.items()} if few else {}


def _best(splits: Splits) -> dict[str, float]:
    """Return what whoever knows the chances of each row answers rightly, on average, by split."""
    chances = {
        name: [[float(cell) for column, cell in row.items() if column.startswith(CHANCE)] for row in rows]
        for name, rows in splits.items()
    }
    told = {name: rows for name, rows in chances.items() if rows and all(rows)}
    return {name: sum(map(max, rows)) / len(rows) for name, rows in told.items()}


def _samples(splits: Splits, count: int) -> tuple[MadeRow, ...]:
    return tuple(
        MadeRow(split=name, input=str(row["input"]), output=str(row["output"]))
        for name, rows in splits.items()
        for row in rows[:count]
    )


def _lines(people: int, *, seed: int, progress: Progress | None) -> Iterator[bytes]:
    table = population(people, seed=seed)
    yield _line(table.columns)
    for number, row in enumerate(table.rows, 1):
        if progress and number % 1_000 == 0:
            progress(number, people, "persons made")
        yield _line(row)


def _line(cells: Any) -> bytes:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()
