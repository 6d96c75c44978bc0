"""Report nouns: estimates with intervals, effects, comparisons."""

from typing import Literal

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.spec import Level

__all__ = ["Comparison", "Effect", "Finding", "Findings", "GroupFigure", "Incomplete", "Interval", "LossFigure"]


class Interval(Noun):
    """A figure with its interval and sample size."""

    value: float | None
    """Point estimate; None where it cannot be estimated."""
    low: float | None
    """Lower limit."""
    high: float | None
    """Upper limit."""
    n: int
    """Samples or replicates it rests on."""
    level: float
    """Confidence level, such as 0.95."""
    method: str
    """How the interval was made: `wilson`, `t over seeds`…"""


class Finding(Noun):
    """Accuracy of one run on one task at one epoch."""

    run: str
    """The run."""
    task: str
    """The task."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    metric: str
    """The scorer."""
    figure: Interval
    """The figure."""
    reason: str = ""
    """Why it is missing."""


class GroupFigure(Noun):
    """A figure for one group of samples of one run."""

    run: str
    """The run."""
    task: str
    """The task."""
    group: str
    """Group column."""
    level: str
    """Value of the column."""
    figure: Interval
    """The figure."""


class Effect(Noun):
    """Effect of a factor, or an interaction, on the primary metric over seeds."""

    factor: str
    """Factor name, or names joined by ` x ` for an interaction."""
    contrast: str
    """What is compared, such as `16 - 4`."""
    figure: Interval
    """Difference in the primary metric; n counts runs."""
    p_value: float | None
    """Two-sided p-value of the t-test; None where the error cannot be estimated."""
    reason: str = ""
    """Why it is missing."""


class Comparison(Noun):
    """A fine-tuned run against its base model on the same samples."""

    run: str
    """The fine-tuned run."""
    base: str
    """The control run."""
    task: str
    """The task."""
    difference: Interval
    """Paired difference in accuracy; n counts shared samples."""
    gained: int
    """Samples right after and wrong before."""
    lost: int
    """Samples wrong after and right before."""
    p_value: float
    """Exact McNemar test."""
    p_adjusted: float
    """Holm-adjusted over all comparisons shown."""


class LossFigure(Noun):
    """How training went for one run."""

    run: str
    """The run."""
    factors: dict[str, Level]
    """Factor levels."""
    seed: int
    """Replicate seed."""
    first: float | None
    """Loss of the first step logged."""
    final: float | None
    """Mean loss of the last tenth of the steps."""
    validation: float | None
    """Last validation loss."""
    steps: int
    """Optimiser steps done."""
    seconds: float | None
    """Training time in seconds."""
    tokens_per_second: float | None
    """Median processed tokens per second."""
    source: str
    """File the figures come from."""


class Incomplete(Noun):
    """Something planned that has no result, and why."""

    run: str
    """The run."""
    what: str
    """Training, or the evaluation cell."""
    reason: str
    """Why, in words."""


class Findings(Noun):
    """Everything the report shows; each figure was computed from the result table."""

    experiment: str
    """Name of the experiment."""
    bottom_line: tuple[str, ...]
    """Plain sentences made from the figures below."""
    losses: tuple[LossFigure, ...]
    """Training results."""
    findings: tuple[Finding, ...]
    """Evaluation results."""
    effects: tuple[Effect, ...]
    """Effects of the factors."""
    comparisons: tuple[Comparison, ...]
    """Base against fine-tuned."""
    groups: tuple[GroupFigure, ...]
    """Breakdowns."""
    incomplete: tuple[Incomplete, ...]
    """What is missing."""
    complete: int
    """Runs with every planned result."""
    planned: int
    """Runs planned."""
    verdict: Literal["complete", "partial", "empty"]
    """How much of the plan has results."""
