"""Reports on machines in one line each, labelled by how grave they are, with label probabilities that are known.

    {"input": "north pump 17: dusty, smoking", "output": "high", "site": "north", "signs": "mixed",
     "chance_none": 0.02, "chance_low": 0.48, "chance_medium": 0.02, "chance_high": 0.48}

Two signs stand in a report, each of one grade. Where both are of the same grade, so is the label, but for
noise. Where they are not (`signs` says `mixed`), either grade is as likely as the other: no model can
know which, and whoever declines to answer there loses least. Noise draws a label among all four. `site`
is a group that makes no difference to the truth. Every report occurs once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

from pydantic import Field

from cruijff_kit.data.draws import ordered, uniform
from cruijff_kit.data.generators.four_splits import SPLITS, dealt, sizes_of
from cruijff_kit.data.known_chances import chance_columns
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun

__all__ = ["GRADES", "VERSION", "Reports", "generate", "size_problems"]

VERSION = "1"

GRADES: Mapping[str, tuple[str, ...]] = {
    "none": ("clean", "dry"),
    "low": ("dusty", "humming"),
    "medium": ("leaking", "shaking"),
    "high": ("smoking", "burning"),
}
"""Label to the signs that stand for it, from harmless to grave."""

_SITES = ("north", "south")
_PARTS = ("pump", "fan", "valve", "motor")
_NUMBERS = range(1, 100)
_SIGNS = {sign: grade for grade, signs in GRADES.items() for sign in signs}
_HELD = len(_SITES) * len(_PARTS) * len(_NUMBERS)
_AGREEING = _HELD * sum(len(signs) ** 2 for signs in GRADES.values())
_MIXED = _HELD * len(_SIGNS) ** 2 - _AGREEING


class Reports(Noun):
    """Arguments of the generator; about 12,000 reports have signs that agree, and 38,000 mixed ones."""

    mixed: float = Field(default=0.25, ge=0, le=1)
    """Share of each split whose two signs are of different grades."""
    noise: float = Field(default=0.05, ge=0, le=1)
    """Probability that a label is drawn among all four, whatever the signs."""
    train: int = Field(default=3000, ge=1)
    """Rows to train on."""
    validation: int = Field(default=600, ge=1)
    """Rows to choose by, and to fit a temperature on."""
    calibration: int = Field(default=1000, ge=1)
    """Rows kept for calibrating."""
    test: int = Field(default=2000, ge=1)
    """Rows kept for judging."""
    seed: int = Field(default=42, ge=0)
    """Fixes the reports drawn and their labels."""


def generate(arguments: Reports, files: Mapping[str, bytes]) -> Splits:
    """Return the four splits; the generator reads no files.

    Raises:
        SpecError: fewer reports exist than are asked for.
    """
    problems = size_problems(arguments)
    if problems:
        raise SpecError("the sizes do not fit", problems=problems)
    agreeing, mixed = (
        ordered((text for text in _texts() if (len(_grades(text)) > 1) == several), seed=arguments.seed, label=label)
        for several, label in ((False, "agreeing"), (True, "mixed"))
    )
    return {
        split: [_row(text, arguments) for text in _blend(plain, several, split=split, seed=arguments.seed)]
        for split, plain, several in zip(
            SPLITS,
            dealt(agreeing, [size - unclear for size, unclear in _counts(arguments)]),
            dealt(mixed, [unclear for _, unclear in _counts(arguments)]),
            strict=True,
        )
    }


def size_problems(arguments: Reports) -> list[Problem]:
    """Return what is wrong with the sizes taken together."""
    unclear = sum(each for _, each in _counts(arguments))
    asked = sum(size for size, _ in _counts(arguments))
    found = [
        (asked - unclear, _AGREEING, "whose signs agree"),
        (unclear, _MIXED, "of mixed signs"),
    ]
    return [
        Problem(
            f"`{wanted}` distinct reports {which}; there are {there}", path="mixed", hint="change it, or a split's size"
        )
        for wanted, there, which in found
        if wanted > there
    ]


def _counts(arguments: Reports) -> list[tuple[int, int]]:
    """Return the rows of each split, and how many of them have mixed signs."""
    return [(size, round(size * arguments.mixed)) for size in sizes_of(arguments)]


def _texts() -> Iterator[str]:
    for site, part, number, first, second in product(_SITES, _PARTS, _NUMBERS, _SIGNS, _SIGNS):
        yield f"{site} {part} {number}: {first}, {second}"


def _grades(text: str) -> set[str]:
    return {_SIGNS[sign] for sign in text.partition(": ")[2].split(", ")}


def _blend(plain: Sequence[str], several: Sequence[str], *, split: str, seed: int) -> list[str]:
    return ordered([*plain, *several], seed=seed, label=split)


def _row(text: str, arguments: Reports) -> dict[str, str | float]:
    grades = _grades(text)
    sure, spread = (1 - arguments.noise) / len(grades), arguments.noise / len(GRADES)
    chances = {grade: round(sure * (grade in grades) + spread, 6) for grade in GRADES}
    drawn = uniform(text, seed=arguments.seed, label="labels") * sum(chances.values())
    ends = zip(GRADES, accumulate(chances.values()), strict=True)
    label = next((grade for grade, end in ends if drawn < end), "high")
    signs = "mixed" if len(grades) > 1 else "agreeing"
    return {
        "input": text,
        "output": label,
        "site": text.partition(" ")[0],
        "signs": signs,
        **chance_columns(chances),
    }
