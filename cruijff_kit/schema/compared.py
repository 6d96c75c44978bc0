"""Compared nouns: figures of several experiments side by side, their differences, and what cannot be compared."""

from typing import Literal

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = [
    "Across",
    "ArmFigure",
    "CompareRules",
    "ComparedExperiment",
    "Contrast",
    "KeyDifference",
    "NotComparable",
    "Over",
]

Over = Literal["shared samples", "samples", "seeds", "nothing"]
"""What an interval of a difference speaks of."""


class CompareRules(Noun):
    """What is compared, and how sure intervals are."""

    metrics: tuple[str, ...] = ()
    """Metrics, such as `match` or `risk/auc`; each design's primary metric where empty."""
    tasks: tuple[str, ...] = ()
    """Evaluation tasks by name; all where empty."""
    runs: tuple[str, ...] = ()
    """Words of which one must stand in an arm's name or in the id of a run of it; all arms where empty."""
    matched: bool = False
    """Whether only arms with the same factor levels are compared with each other."""
    level: float = 0.95
    """Confidence level in (0, 1)."""


class KeyDifference(Noun):
    """One configuration key that two arms do not share."""

    key: str
    """The key."""
    first: str
    """Its value in the first arm, as text; a hash where it may not be shown."""
    second: str
    """Its value in the second arm."""


class ComparedExperiment(Noun):
    """One of the experiments."""

    label: str
    """Letter by which tables call it."""
    name: str
    """Its name."""
    folder: str
    """Name of the directory it lies in."""
    plan_id: Sha256
    """Hash of what was sealed."""
    runs: int
    """Runs planned."""
    tier: Tier
    """How freely its data may be shown."""
    closed: str = ""
    """Why texts of it are told by their hashes only; empty where they are told."""
    imported: bool = False
    """Whether it was made by another system and imported."""


class ArmFigure(Noun):
    """A figure of one arm: runs of an experiment that differ in nothing but their seed."""

    experiment: str
    """Label of the experiment."""
    arm: str
    """The arm: its factor levels, or its run."""
    task: str
    """Evaluation task."""
    metric: str
    """Scorer, or `<scorer>/<figure>`."""
    epoch: int | None
    """Last epoch evaluated, from 0; None for a base model."""
    runs: tuple[str, ...]
    """Runs that have the figure."""
    values: tuple[float, ...]
    """The figure of each of these runs."""
    figure: Interval
    """One run: over samples. Several: their mean, over seeds, where n counts runs."""
    sources: dict[str, Sha256] = {}
    """File the figures were read from, below the experiment, to the hash of its bytes."""
    reason: str = ""
    """Why there is no figure, or what of it is missing."""


class Contrast(Noun):
    """The difference between an arm of one experiment and an arm of another."""

    first: str
    """Label and arm that is subtracted."""
    second: str
    """Label and arm that it is subtracted from."""
    task: str
    """Evaluation task; both names where they differ."""
    metric: str
    """The metric."""
    difference: Interval
    """Second minus first; n counts shared samples, samples, or runs, as `over` says."""
    over: Over
    """What the interval speaks of; `nothing` where there is none."""
    test: str = ""
    """Which test the p-value is of."""
    p_value: float | None = None
    """Two-sided p-value; None where there is no test."""
    p_adjusted: float | None = None
    """Holm-adjusted over all differences of this comparison."""
    differs: tuple[KeyDifference, ...] = ()
    """Configuration keys that the arms do not share."""
    cautions: tuple[str, ...] = ()
    """What a reader must know before believing the difference."""


class NotComparable(Noun):
    """Figures that stand beside each other and may not be subtracted."""

    first: str
    """Label and task."""
    second: str
    """Label and task."""
    metric: str
    """The metric."""
    reasons: tuple[str, ...]
    """Why, each in words."""


class Across(Noun):
    """Several experiments, compared."""

    experiments: tuple[ComparedExperiment, ...]
    """The experiments."""
    figures: tuple[ArmFigure, ...]
    """Every figure asked for."""
    contrasts: tuple[Contrast, ...]
    """Differences between comparable figures of different experiments."""
    not_comparable: tuple[NotComparable, ...]
    """What is not compared, and why."""
    multiplicity: str
    """Over how many tests p-values are adjusted, in words."""
    level: float
    """Confidence level."""
