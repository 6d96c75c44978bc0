"""Sanity nouns: what a check asks for, its bands, its verdict, and the pilots that floors come from."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256

__all__ = [
    "Band",
    "CheckOrder",
    "CheckView",
    "Expectation",
    "FigureName",
    "JudgedFigure",
    "PilotFigure",
    "Pilots",
    "SanityVerdict",
]

FigureName = Literal["accuracy", "validation loss", "rule kept", "held-out questions trained on", "prompts as trained"]
"""What is judged of a run: its answers, its loss, its labels, its splits, and what it was asked."""


class CheckOrder(Noun):
    """Which check is made, on what and how large."""

    check: str
    """Name of the check."""
    model: str = "tiny"
    """Directory of the base model; `tiny` is the small one of this package."""
    size: str | None = None
    """Size of the check; `small` for the tiny base and `full` for any other where absent."""
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    """Replicates of every arm."""
    output: str | None = None
    """Experiment directory; one named after the check where absent."""
    pilots: str | None = None
    """File of pilots that floors come from; those of this package where absent."""
    piloting: bool = False
    """Whether results are recorded for floors rather than judged."""


class Band(Noun):
    """Where a figure must lie, both ends included, and where each end comes from."""

    low: float | None = None
    """Least value; None where there is none."""
    high: float | None = None
    """Largest value; None where there is none."""
    low_from: str = ""
    """What the least value follows from."""
    high_from: str = ""
    """What the largest value follows from."""

    @property
    def words(self) -> str:
        """Return both ends as text; nothing where there is neither."""
        if self.low is None and self.high is None:
            return ""
        low, high = ("…" if end is None else f"{end:.4f}" for end in (self.low, self.high))
        return f"{low} to {high}"

    def holds(self, value: float) -> bool:
        """Return whether a value lies in the band."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class JudgedFigure(Noun):
    """One figure of one run, held against its band."""

    arm: Name
    """Arm of the check."""
    run: RunId | None
    """The run; None where none was planned for the arm."""
    seed: int | None
    """Its seed."""
    figure: FigureName
    """What is judged."""
    value: float | None
    """The figure; None where it is missing."""
    n: int
    """Samples or rows it was counted over."""
    band: Band
    """Where it must lie."""
    verdict: Literal["inside", "outside", "missing"]
    """Where it lies."""
    reason: str = ""
    """Why it is missing."""
    source: str = ""
    """File that the figure was read from."""


class SanityVerdict(Noun):
    """`sanity.json`: a check, judged."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    check: Name
    """The check."""
    size: str
    """How large it was made."""
    size_words: str
    """The same in words."""
    experiment: Name
    """Experiment that was judged."""
    folder: str
    """Its directory."""
    model: str
    """Directory of the base model."""
    model_sha256: Sha256
    """Its content hash."""
    passed: bool
    """Whether every figure is there and inside its band."""
    figures: tuple[JudgedFigure, ...]
    """Every figure of every run."""
    level: float
    """Probability with which one sound figure lies outside an end that was derived."""
    pilots: str
    """Where floors come from, or why there are none."""
    version: str
    """Version of this package."""


class PilotFigure(Noun):
    """One figure of one pilot."""

    arm: Name
    """Arm of the check."""
    seed: int
    """Seed of the run."""
    figure: FigureName
    """What was measured: answers or loss."""
    value: float
    """The figure."""
    n: int
    """Samples or rows it was measured on."""
    successes: int | None = None
    """Right answers, for an accuracy."""


class Pilots(Noun):
    """`pilots.json`: results of sound runs, recorded for floors."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    check: Name
    """The check."""
    size: str
    """How large it was made."""
    design_sha256: Sha256
    """Hash of everything that the check fixes at that size: rows, arms and controls."""
    model: str
    """Name of the base model's directory."""
    model_sha256: Sha256
    """Its content hash."""
    seeds: tuple[int, ...]
    """Seeds of the pilots."""
    packages: dict[str, str]
    """Versions of the packages they ran on."""
    device: str
    """Device they ran on."""
    command: str
    """What makes them again."""
    figures: tuple[PilotFigure, ...]
    """Their results."""


class Expectation(Noun):
    """What is expected of an arm before it is run."""

    arm: Name
    """The arm."""
    words: str
    """What it must show."""
    accuracy: float
    """Bayes-optimal accuracy."""
    entropy: float
    """Entropy of an answer given its question, in nats."""
    accuracy_floor: float | None
    """Least accuracy by the pilots; None without pilots."""
    pilots_loss: float | None
    """Mean validation loss of the pilots, in nats a token; None without pilots."""


class CheckView(Noun):
    """A check as it is shown."""

    check: Name
    """Its name."""
    words: str
    """What it checks."""
    sizes: dict[str, str]
    """Its sizes, in words."""
    size: str
    """The size that is shown."""
    arms: tuple[Expectation, ...]
    """Its arms."""
    pilots: str
    """Where floors come from, or why there are none."""
