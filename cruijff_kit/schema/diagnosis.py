"""Diagnosis nouns: how far a run's probabilities can be believed, and what a calibrator makes of them."""

from typing import Literal

from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun

__all__ = ["Diagnosis", "Guarantee", "Point", "ReliabilityBin", "ScoreFigure"]

Point = tuple[float, float]
"""A point of a curve, both values in [0, 1]."""


class ReliabilityBin(Noun):
    """Samples whose probabilities lie close together."""

    low: float
    """Lower edge, not in the bin unless it is 0."""
    high: float
    """Upper edge, in the bin."""
    confidence: float
    """Mean probability of the samples."""
    accuracy: Interval
    """Share of them that was right; n counts them."""


class ScoreFigure(Noun):
    """One figure of probabilities."""

    name: str
    """Which: `ece`, `auc`…"""
    figure: Interval
    """The figure; without limits where it has no interval of its own."""
    reason: str = ""
    """Why it is missing."""


class Diagnosis(Noun):
    """One evaluation's probabilities against what came true."""

    run: str
    """The run."""
    task: str
    """The task."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    split: str
    """Split that the samples come from."""
    kind: Literal["options", "confidence"]
    """Whether all options were scored, or the answer given alone."""
    n: int
    """Samples that have probabilities."""
    without: int
    """Samples that have none: they errored, or nothing was recorded."""
    figures: tuple[ScoreFigure, ...] = ()
    """Calibration and discrimination, those that cannot be estimated with their reason."""
    bins: tuple[ReliabilityBin, ...] = ()
    """The reliability diagram: bins of equal width that hold samples, of the likeliest option or the answer."""
    temperature: float | None = None
    """Of the run's calibrator; None where it fitted none on another split."""
    warmed: tuple[ReliabilityBin, ...] = ()
    """The same bins once log-probabilities are divided by the temperature."""
    warmed_ece: float | None = None
    """Calibration error at the temperature."""
    roc: tuple[Point, ...] = ()
    """False against true positive rate, for two options; empty for more."""
    risk_coverage: tuple[Point, ...] = ()
    """Share of samples acted on, surest first, against the share of them that is wrong; from ten samples on."""
    mass: float | None = None
    """Median probability that the options had together, before they were made to add up to 1; None without options."""
    reason: str = ""
    """Why there are no figures."""


class Guarantee(Noun):
    """What a run's calibrator promises, and what it does on samples that it was not fitted to."""

    run: str
    """The run."""
    task: str
    """Evaluation that it was applied to; empty where there is none."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    method: str
    """How answers became sets or decisions."""
    claim: str
    """What is guaranteed, in words."""
    alpha: float
    """Miss rate, or risk allowed in units of cost."""
    delta: float | None
    """Chance that the claim is wrong; None where the claim is one on average."""
    n: int
    """Calibration samples."""
    temperature: float
    """What log-probabilities are divided by; 1 where none was fitted."""
    coverage: Interval | None = None
    """Share of sets that hold the right option; None for decisions."""
    lowest: Interval | None = None
    """The lowest coverage of a category, where each has a quantile of its own."""
    category: str = ""
    """That category."""
    expected: tuple[float, float] | None = None
    """Where coverage lies with 95 % probability given the calibration set."""
    set_size: float | None = None
    """Options per set."""
    acted: Interval | None = None
    """Share of samples acted on; None for sets."""
    risk: Interval | None = None
    """Cost per sample, in the sense of the claim; None for sets."""
    unscored: int = 0
    """Samples that errored: no set, no action."""
    reason: str = ""
    """Why it could not be applied."""
