"""Search nouns: what is remembered of an experiment, and what a search found."""

from typing import Literal

from cruijff_kit.schema.audit import Anchor
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.lesson import Lesson
from cruijff_kit.schema.noun import Noun, Sha256
from cruijff_kit.schema.spec import Factors

__all__ = ["Card", "CardFigure", "CardModel", "CardSpeed", "Query", "SearchPage", "Stage"]

Stage = Literal["designed", "scaffolded", "running", "ended", "reported"]
"""How far an experiment has come."""


class Query(Noun):
    """What is looked for; whatever is left out, all have."""

    words: str = ""
    """Words that name, question, models, tasks, factors or lessons must hold, all of them."""
    model: str | None = None
    """Name of a model, or the start of its SHA-256."""
    task: str | None = None
    """Name of an evaluation task."""
    factor: str | None = None
    """Name of a factor, or `NAME=LEVEL`."""
    metric: str | None = None
    """Name of a metric."""


class CardModel(Noun):
    """A base model of an experiment."""

    name: str
    """Its name in the design; empty where it is withheld."""
    sha256: Sha256 | None
    """Its content hash; None where no design was written yet."""


class CardFigure(Noun):
    """A figure of an experiment's report, and the file it was computed from."""

    figure: str
    """Its name."""
    value: float | None
    """The figure."""
    low: float | None = None
    """Lower limit of its interval."""
    high: float | None = None
    """Upper limit of its interval."""
    n: int | None = None
    """Samples or runs it rests on."""
    path: str
    """First file it was computed from; empty where the report names none."""
    sha256: Sha256 | None = None
    """Hash of that file; None where it was missing."""

    @property
    def words(self) -> str:
        """Return the figure with its interval, where it has one."""
        ends = "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        return "missing" if self.value is None else f"{self.value:.4g}{ends}"


class CardSpeed(Noun):
    """The speed that one training of an experiment reached."""

    model: str
    """Name of the base model."""
    run: str
    """The run."""
    tokens_per_second: float
    """Median of its steps after warm-up: processed tokens, padding left out."""
    slow: float | None = None
    """First quartile, where it is known."""
    fast: float | None = None
    """Third quartile, where it is known."""
    hardware: str
    """What it ran on; empty where nothing tells."""
    path: str
    """File it was read from."""
    sha256: Sha256
    """Hash of that file."""

    @property
    def words(self) -> str:
        """Return the speed and what it was reached on, where that is known."""
        return f"{self.tokens_per_second:.4g} tokens/s" + (f" on {self.hardware}" if self.hardware else "")


class Card(Noun):
    """What is remembered of one experiment; every part of it was read from the experiment's files."""

    experiment: str
    """Name of its directory."""
    project: str
    """Directory it lies in."""
    stage: Stage
    """How far it has come."""
    archived: str = ""
    """When it was archived; empty where it is in its place."""
    tier: Tier
    """How freely its contents may be shown."""
    withheld: str = ""
    """Why only counts and hashes are told; empty where all may be."""
    question: str = ""
    """Its question."""
    created: str = ""
    """Date of its design."""
    models: tuple[CardModel, ...] = ()
    """Base models."""
    datasets: tuple[Sha256, ...] = ()
    """Hashes of its data sets."""
    tasks: tuple[str, ...] = ()
    """Evaluation tasks."""
    factors: Factors = {}
    """What was varied, with the levels."""
    metrics: tuple[str, ...] = ()
    """Metrics that were planned or reported."""
    runs: int = 0
    """Runs planned."""
    figures: tuple[CardFigure, ...] = ()
    """What its report says first: effects, means, comparisons with the base model."""
    figures_in_all: int = 0
    """Figures of its report."""
    report_sha256: Sha256 | None = None
    """Hash of its `report/trace.json`."""
    superseded: bool = False
    """Whether results were collected after the report was made."""
    speeds: tuple[CardSpeed, ...] = ()
    """Speeds that its trainings reached, one of each model."""
    lessons: tuple[Lesson, ...] = ()
    """Lessons of its `findings.md`."""
    lessons_in_all: int = 0
    """How many these are."""
    record: Anchor | None = None
    """Last line of its audit log."""
    changed: str = ""
    """When that line was written."""
    problems: tuple[str, ...] = ()
    """Files of it that cannot be read."""
    places: tuple[str, ...] = ()
    """Where its data lies, absolute: marks there may raise its tier."""


class SearchPage(Noun):
    """Experiments that match, latest first."""

    hits: tuple[Card, ...]
    """A page of them."""
    total: int
    """How many match."""
    experiments: int
    """How many were looked at."""
    damaged: tuple[str, ...] = ()
    """Experiments that cannot be read, each with the file at fault; they match nothing."""
    notes: tuple[str, ...] = ()
    """What else a reader should know: links not followed, places not there."""
