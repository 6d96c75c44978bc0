"""Ceiling: what can be known of a generated split's answers, worked out when it was made."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun

__all__ = ["Ceiling", "KnownBest", "Standing"]

Standing = Literal["above", "reached", "below", "unknown"]
"""Where an interval lies against the best possible value; unknown without an interval."""


class Ceiling(Noun):
    """How well the answers of one split can be told, by whom."""

    bayes_accuracy: float = Field(ge=0, le=1)
    """Expected accuracy of whoever knows the rule, over all questions that the split is drawn from.

    Where rows hold the probabilities of their answers instead of following one rule, over the split's own questions.
    """
    on_rows: float = Field(ge=0, le=1)
    """Share of the split's own rows that the same person answers right."""
    commonest: float = Field(ge=0, le=1)
    """Share of its rows with the answer that is there most often: what is reached by knowing nothing else."""
    entropy: float = Field(ge=0)
    """Mean entropy of a row's answer for whoever knows the rule, in nats: no loss on unseen rows stays below."""
    upper: bool = Field(default=False, exclude_if=lambda found: not found)
    """Whether `bayes_accuracy` is an upper bound and not exact: rows tell less than it was worked out from."""
    seen: bool
    """Whether its rows are trained on: memory alone reaches 1 there, whatever the rule."""


class KnownBest(Noun):
    """The best possible accuracy of an evaluation, by the split that it asks."""

    dataset: str
    """Key of the data set in the plan."""
    split: str
    """Its split."""
    ceiling: Ceiling
    """What can be known of its answers."""

    @property
    def accuracy(self) -> float:
        """Return the accuracy that nobody surpasses but by luck; rows that are trained on can be known by heart."""
        return 1.0 if self.ceiling.seen else self.ceiling.bayes_accuracy

    def standing(self, figure: Interval) -> Standing:
        """Return where the interval of an accuracy lies."""
        if figure.low is None or figure.high is None:
            return "unknown"
        if figure.low > self.accuracy:
            return "above"
        return "below" if figure.high < self.accuracy else "reached"
