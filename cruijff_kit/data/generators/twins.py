r"""Pairs of twins, told by their traits and asked whether they are identical.

    {"input": "V1: 0.31, 0.29; V2: -1.02, 0.44", "output": "1", "chance_0": 0.212346, "chance_1": 0.787654}

`synthetic_twins` makes pairs up by the ACE model (`data/twin_model.py`): their heritability is known, and so
is the probability that a pair is identical, given what is told of it. `twins` reads pairs from a table with the
columns `<trait>.1` and `<trait>.2` of each trait and one that names the kind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from cruijff_kit.data.dice import Dice
from cruijff_kit.data.draws import ordered
from cruijff_kit.data.generators.known_ceilings import ceilings_of_chances
from cruijff_kit.data.known_chances import chance_columns
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.table_rows import Openers, TableRows
from cruijff_kit.data.tabular.cells import number_of
from cruijff_kit.data.tabular.readers import open_table
from cruijff_kit.data.twin_model import Form, Kin, best_accuracy, chance_identical, kin_of
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.noun import Noun

__all__ = [
    "FILES", "SPLITS", "VERSION", "SyntheticTwins", "TwinRows", "Twins", "argument_problems", "ceiling", "ceilings",
    "draw", "draw_from_file", "generate", "generate_from_file", "model_problems",
]  # fmt: skip

VERSION = "1"
FILES = ("source",)
"""Arguments of `twins` that name a file."""
SPLITS = ("train", "validation", "calibration", "test")
"""Splits it makes, where they have a share."""
_MOST_ALIKE = 0.999


class TwinRows(Noun):
    """What both generators have in common."""

    form: Form = "pair"
    """Both values of each trait, or how far apart they are."""
    decimals: int = Field(default=2, ge=0, le=6)
    """Digits behind the point."""
    answers: tuple[str, str] = ("0", "1")
    """How fraternal and identical are written; a model may know other words better."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of the pairs to choose by."""
    calibration: float = Field(default=0, ge=0, lt=1)
    """Share of the pairs kept for calibrating."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Share of the pairs kept for judging."""
    seed: int = Field(default=42, ge=0)
    """Fixes the splits, and the pairs where they are made up."""

    @field_validator("answers", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Take two words with a comma between them too: levels of a factor are no lists."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class SyntheticTwins(TwinRows):
    """Arguments of the generator that makes pairs up."""

    pairs: int = Field(default=10_000, ge=10)
    """Pairs in all splits together."""
    identical: float = Field(default=0.5, gt=0, lt=1)
    """Probability that a pair is identical."""
    traits: int = Field(default=24, ge=1, le=200)
    """Traits of each twin."""
    a2: float | tuple[float, ...] = 0.5
    """Share of a trait's variance that genes make, its heritability: one for all, or one a trait."""
    c2: float | tuple[float, ...] = 0.2
    """Share that the family makes, likewise; the rest is each twin's own."""


class Twins(TwinRows):
    """Arguments of the generator that reads pairs from a table."""

    source: str
    """Table with `<trait>.1` and `<trait>.2` of each trait, a pair a row."""
    zygosity: str = "zyg"
    """Column that names the kind of pair."""
    identical: tuple[str, ...] = ("MZ", "1")
    """Its cells for identical pairs, in whatever letters."""
    fraternal: tuple[str, ...] = ("DZ", "0", "2")
    """Its cells for fraternal pairs; any other cell is refused."""


class _Pair(NamedTuple):
    """One pair as it is told."""

    values: tuple[tuple[Decimal, Decimal] | None, ...]
    """Values by trait, rounded; None where one is missing."""
    identical: bool
    """Whether it is."""


def generate(arguments: SyntheticTwins, files: Mapping[str, bytes]) -> Splits:
    """Return the splits; the generator reads no files.

    Raises:
        SpecError: no pair is left to train on.
    """
    return draw(arguments, {}).splits


def generate_from_file(arguments: Twins, files: Mapping[str, bytes]) -> Splits:
    """Return the splits of the table in `files`.

    Raises:
        SpecError: the table has no such columns, or a cell is not known.
    """
    return draw_from_file(arguments, {"source": lambda: BytesIO(files["source"])}).splits


def draw(arguments: SyntheticTwins, opened: Openers, *, progress: Progress | None = None) -> TableRows:
    """Return pairs made up, told and as numbers; it opens nothing.

    Raises:
        SpecError: no pair is left to train on.
    """
    kins = _kins(arguments)

    def pairs() -> Iterator[_Pair]:
        for number in range(1, arguments.pairs + 1):
            if progress and number % 10_000 == 0:
                progress(number, arguments.pairs, "pairs made")
            yield _made_up(number, arguments, kins=kins)

    return _dealt(pairs(), arguments, traits=arguments.traits, known=(kins, arguments.identical))


def draw_from_file(arguments: Twins, opened: Openers, *, progress: Progress | None = None) -> TableRows:
    """Return the pairs of a table, told and as numbers.

    Raises:
        SpecError: the table has no such columns, or a cell is not known.
        SiteError: the extra that reads the format is not installed.
    """
    table = open_table(opened["source"](), arguments.source)
    columns = list(table.columns)
    names = [each[:-2] for each in columns if each.endswith(".1") and f"{each[:-2]}.2" in columns]
    if not names or arguments.zygosity not in columns:
        fact = f"it has {len(names)} traits with `.1` and `.2`, and " + (
            "the column" if arguments.zygosity in columns else "no column"
        )
        hint = "name the columns `<trait>.1`, `<trait>.2`, and that of the kind with `zygosity`"
        problem = Problem(f"{fact} `{arguments.zygosity}`", place=arguments.source, hint=hint)
        raise SpecError(f"`{arguments.source}` holds no pairs of twins", problems=[problem])
    places = {name: (columns.index(f"{name}.1"), columns.index(f"{name}.2")) for name in names}
    kind = columns.index(arguments.zygosity)
    pairs = _read(table.rows, arguments, places=places, kind=kind)
    return _dealt(pairs, arguments, traits=len(names), known=None)


def ceiling(arguments: SyntheticTwins) -> float:
    """Return the accuracy of the best rule there is."""
    return best_accuracy(_kins(arguments), share=arguments.identical, form=arguments.form)


def ceilings(arguments: SyntheticTwins, splits: Splits) -> dict[str, Ceiling]:
    """Return what can be known of the answers of each split; values are told rounded, so accuracy is a bound."""
    return ceilings_of_chances(splits, bound=round(ceiling(arguments), 9))


def argument_problems(arguments: TwinRows) -> list[Problem]:
    """Return what is wrong with arguments taken together; paths are argument names."""
    problems = []
    if arguments.validation + arguments.calibration + arguments.test >= 1:
        problems.append(Problem("nothing is left to train on", "test", hint="lower a share"))
    fraternal, identical = (each.strip().casefold() for each in arguments.answers)
    if not fraternal or not identical or fraternal == identical:
        hint = "write two words, such as `DZ,MZ`"
        problems.append(Problem("the answers are not two words that can be told apart", "answers", hint=hint))
    return problems


def model_problems(arguments: SyntheticTwins) -> list[Problem]:
    """Return what is wrong with arguments and the shares of variance taken together."""
    problems = argument_problems(arguments)
    for name in ("a2", "c2"):
        given = getattr(arguments, name)
        if isinstance(given, tuple) and len(given) != arguments.traits:
            fact = f"{len(given)} shares for {arguments.traits} traits"
            problems.append(Problem(fact, name, hint="give one for all, or one a trait"))
    if problems:
        return problems
    a2, c2 = (_each(getattr(arguments, name), arguments.traits) for name in ("a2", "c2"))
    wrong = [at for at, (a, c) in enumerate(zip(a2, c2, strict=True), 1) if a < 0 or c < 0 or a + c > _MOST_ALIKE]
    if wrong:
        hint = f"give shares from 0 to {_MOST_ALIKE} together: without a rest of their own twins would be the same"
        problems.append(Problem(f"the shares of trait {wrong[0]} do not fit into its variance", "a2", hint=hint))
    return problems


def _each(given: float | tuple[float, ...], count: int) -> tuple[float, ...]:
    return given if isinstance(given, tuple) else (given,) * count


def _kins(arguments: SyntheticTwins) -> list[Kin]:
    shares = (_each(arguments.a2, arguments.traits), _each(arguments.c2, arguments.traits))
    return [kin_of(a2, c2) for a2, c2 in zip(*shares, strict=True)]


def _made_up(number: int, arguments: SyntheticTwins, *, kins: Sequence[Kin]) -> _Pair:
    dice = Dice(f"twins/{number}", seed=arguments.seed)
    identical, values = dice.yes(arguments.identical), []
    for kin in kins:
        alike = kin.identical if identical else kin.fraternal
        first = dice.normal()
        second = alike * first + (1 - alike**2) ** 0.5 * dice.normal()
        values.append((_rounded(first, arguments), _rounded(second, arguments)))
    return _Pair(tuple(values), identical)


def _rounded(value: float | Decimal, arguments: TwinRows) -> Decimal:
    rounded = Decimal(f"{value:.{arguments.decimals}f}")
    return rounded or abs(rounded)


def _read(
    rows: Iterable[Sequence[str]], arguments: Twins, *, places: Mapping[str, tuple[int, int]], kind: int
) -> Iterator[_Pair]:
    kinds = {cell.casefold(): True for cell in arguments.identical}
    kinds |= {cell.casefold(): False for cell in arguments.fraternal}
    problems: list[Problem] = []
    for number, row in enumerate(rows, 1):
        identical = kinds.get(row[kind].casefold())
        cells = {name: (row[first], row[second]) for name, (first, second) in places.items()}
        wrong = [
            f"`{name}.{twin}`" for name, pair in cells.items() for twin, cell in enumerate(pair, 1)
            if cell not in {"", "NA"} and number_of(cell) is None
        ]  # fmt: skip
        if identical is None or wrong:
            fact = (
                f"a cell of `{arguments.zygosity}` names no kind" if identical is None else f"{wrong[0]} is no number"
            )
            hint = (
                "name its cells with `identical` and `fraternal`" if identical is None else "leave it empty, or mend it"
            )
            problems.append(Problem(fact, place=f"{arguments.source} row {number}", hint=hint))
        elif not problems:
            yield _Pair(tuple(_both(pair, arguments) for pair in cells.values()), identical)
        if len(problems) == 20:
            break
    if problems:
        raise SpecError(f"`{arguments.source}` cannot be told", problems=problems)


def _both(cells: tuple[str, str], arguments: Twins) -> tuple[Decimal, Decimal] | None:
    first, second = (number_of(each) for each in cells)
    return None if first is None or second is None else (_rounded(first, arguments), _rounded(second, arguments))


def _told(pair: _Pair, arguments: TwinRows) -> list[str]:
    """Return what is told of each trait; empty where a value is missing."""
    said = []
    for values in pair.values:
        numbers = () if values is None else values if arguments.form == "pair" else (abs(values[0] - values[1]),)
        said.append(", ".join(f"{each:f}" for each in numbers))
    return said


def _dealt(
    pairs: Iterable[_Pair], arguments: TwinRows, *, traits: int, known: tuple[Sequence[Kin], float] | None
) -> TableRows:
    """Return pairs in splits: in an order that the seed fixes, those that read the same in one."""
    rows: dict[str, list[tuple[dict[str, Any], tuple[str, ...]]]] = {}
    for pair in pairs:
        cells = _told(pair, arguments)
        row = _row(pair, cells, arguments=arguments, known=known)
        rows.setdefault(row["input"], []).append((row, tuple(cells)))
    count = sum(map(len, rows.values()))
    shares = {name: getattr(arguments, name) for name in ("test", "validation", "calibration")}
    left = {name: round(share * count) for name, share in shares.items() if share}
    names = [name for name in SPLITS if name == "train" or shares[name]]
    found: dict[str, list[tuple[dict[str, Any], tuple[str, ...]]]] = {name: [] for name in names}
    for text in ordered(rows, seed=arguments.seed, label="pairs"):
        split = next((name for name, rest in left.items() if rest > 0), "train")
        left[split] = left.get(split, 0) - len(rows[text])
        found[split] += rows[text]
    empty = [name for name, some in found.items() if not some]
    if empty:
        few = any(not round(shares.get(name, 1) * count) for name in empty)
        hint = f"there are {count} pairs: name more, or set its share to 0" if few else "tell more traits or decimals"
        raise SpecError(
            f"{'a table so small leaves' if few else 'pairs that read the same leave'} a split empty",
            problems=[Problem("no pair is left for it", name, hint=hint) for name in empty],
        )
    features = tuple(f"V{at}" for at in range(1, traits + 1))
    columns = (
        features if arguments.form == "difference" else tuple(f"{name}.{each}" for name in features for each in "12")
    )
    return TableRows(
        {name: [row for row, _ in some] for name, some in found.items()},
        columns,
        frozenset(columns),
        {name: [_numbers(cells, arguments.form) for _, cells in some] for name, some in found.items()},
        arguments.answers,
    )


def _row(
    pair: _Pair, cells: Sequence[str], *, arguments: TwinRows, known: tuple[Sequence[Kin], float] | None
) -> dict[str, Any]:
    fraternal, identical = arguments.answers
    said = [f"V{at}: {each}" for at, each in enumerate(cells, 1) if each]
    row: dict[str, Any] = {"input": "; ".join(said), "output": identical if pair.identical else fraternal}
    if known is not None:
        kins, share = known
        values = [(float(each[0]), float(each[1])) for each in pair.values if each is not None]
        chance = round(chance_identical(values, kins, share=share, form=arguments.form), 6)
        row |= chance_columns({fraternal: round(1 - chance, 6), identical: chance})
    return row


def _numbers(cells: Sequence[str], form: Form) -> tuple[str, ...]:
    if form == "difference":
        return tuple(cells)
    return tuple(each for cell in cells for each in (cell.split(", ") if cell else ("", "")))
