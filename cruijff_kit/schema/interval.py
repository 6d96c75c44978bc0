"""The interval noun: a figure, how sure it is, and what it rests on."""

from cruijff_kit.schema.noun import Noun

__all__ = ["Interval"]


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
