"""Ceiling: what can be known of a generated split's answers, worked out when it was made."""

from pydantic import Field

from cruijff_kit.schema.noun import Noun

__all__ = ["Ceiling"]


class Ceiling(Noun):
    """How well the answers of one split can be told, by whom."""

    bayes_accuracy: float = Field(ge=0, le=1)
    """Expected accuracy of whoever knows the rule, over all sequences that the split is drawn from; exact."""
    on_rows: float = Field(ge=0, le=1)
    """Share of the split's own rows that the same person answers right."""
    commonest: float = Field(ge=0, le=1)
    """Share of its rows with the answer that is there most often: what is reached by knowing nothing else."""
    entropy: float = Field(ge=0)
    """Mean entropy of a row's answer for whoever knows the rule, in nats: no loss on unseen rows stays below."""
    seen: bool
    """Whether its rows are trained on: memory alone reaches 1 there, whatever the rule."""
