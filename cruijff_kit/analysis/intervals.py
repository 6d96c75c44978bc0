"""Intervals for proportions, and for means of bounded values."""

from math import sqrt
from typing import TYPE_CHECKING

from cruijff_kit.analysis.distributions import normal_quantile
from cruijff_kit.schema.interval import Interval

if TYPE_CHECKING:
    from cruijff_kit.scoring.estimates import Floats

__all__ = ["bounded_mean_interval", "wilson_interval"]


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


def bounded_mean_interval(values: "Floats", *, bound: float, level: float) -> Interval:
    """Return the mean of values in [0, bound] with limits that hold at every n, whatever their distribution."""
    # numpy comes with it, and proportions are needed without.
    from cruijff_kit.scoring.risk_control import bounded_mean_limits

    n, method = len(values), "hoeffding-bentkus"
    if not n:
        return Interval(value=None, low=None, high=None, n=0, level=level, method=method)
    low, high = bounded_mean_limits(values, bound=bound, level=level)
    return Interval(value=float(values.mean()), low=low, high=high, n=n, level=level, method=method)
