"""Data sets made by a generator at once, without a design: shown, or written where a scaffold would look for them."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from cruijff_kit.data.acs.population import population
from cruijff_kit.data.generators.registry import GENERATORS, Generated, named_files
from cruijff_kit.data.known_chances import CHANCE
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.made_data import MadeData, MadeFile, MadeRow
from cruijff_kit.workflow.conversion import own_target
from cruijff_kit.workflow.generated_files import is_written, made_data, tier_of_named, withheld, write_generated

__all__ = ["make_rows", "make_stand_in"]

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
    made = made_data(generator, arguments, progress=progress, world=world)
    named = tuple(named_files(generator, arguments).values())
    shown = tier_of_named(named, declared=tier, world=world)
    hidden = withheld(shown, named, world=world)
    receipt = _receipt(made, generator, tier=shown)
    if hidden:
        receipt = receipt.model_copy(update={"answers": {}, "withheld": hidden})
    if show is not None:
        return receipt.model_copy(update={"samples": () if hidden else _samples(made.splits, show)})
    if is_written(made, receipt.path, world=world):
        return receipt
    write_generated(made, receipt.path, declared=tier, world=world)
    return receipt.model_copy(update={"written": True})


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
    name = own_target(path, source=None, force=force, world=world)
    sha256, _ = world.store.write_parts(name, _lines(people, seed=seed, progress=progress))
    return MadeFile(path=name, rows=people, sha256=sha256)


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
