"""Intervals for proportions, and for means over replicates."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from cruijff_kit.analysis.distributions import normal_quantile, t_quantile
from cruijff_kit.schema.report import Interval

__all__ = ["t_interval", "wilson_interval"]


def wilson_interval(successes: int, n: int, *, level: float) -> Interval:
    """Return a proportion with Wilson's score interval.

    Unlike the Wald interval it keeps its coverage at small n and near 0 and 1.
    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212.

    Args:
        successes: count of successes, 0 to n.
        n: trials, errored and unparsed ones included.
        level: confidence level in (0, 1).
    """
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, level=level, method="wilson")
    share, z2 = successes / n, normal_quantile(level) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At the ends the formula gives 0 and 1 exactly; floating point does not.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(value=share, low=low, high=high, n=n, level=level, method="wilson")


def t_interval(values: Sequence[float], *, level: float) -> Interval:
    """Return the mean of replicates with Student's t interval.

    One replicate, or replicates without any spread, have no interval.

    Args:
        values: one outcome per replicate.
        level: confidence level in (0, 1).
    """
    n = len(values)
    mean = fmean(values) if n else None
    spread = stdev(values) if n > 1 else 0.0
    if mean is None or spread == 0.0:
        return Interval(value=mean, low=None, high=None, n=n, level=level, method="t over seeds")
    half = t_quantile(level, n - 1) * spread / sqrt(n)
    return Interval(value=mean, low=mean - half, high=mean + half, n=n, level=level, method="t over seeds")
