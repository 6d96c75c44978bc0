"""Power: the smallest difference a design can be expected to see."""

from math import sqrt
from statistics import NormalDist

from cruijff_kit.schema.plan import Estimate

__all__ = ["detectable_difference", "power_estimate"]


def detectable_difference(n: int, *, alpha: float, power: float, share: float = 0.5) -> float:
    """Return the smallest difference of two proportions that n items a side would show.

    The normal approximation for two independent samples of equal size,
    (z[1 - alpha/2] + z[power]) x sqrt(2 p (1 - p) / n). Paired items, as here, need a
    smaller difference wherever the two models tend to be right on the same items, so the
    figure is an upper bound for them, at worst at p = 0.5.

    Args:
        n: items evaluated on each side.
        alpha: two-sided significance level.
        power: chance of finding a difference of this size.
        share: proportion right, p.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return min(1.0, reach * sqrt(2 * share * (1 - share) / n))


def power_estimate(n: int | None, *, alpha: float, power: float) -> Estimate:
    """Return the minimum detectable difference between two runs as an estimate with its source."""
    name = "minimum detectable difference of two runs"
    if not n:
        return Estimate(name=name, value=None, unit="accuracy", source="not assessed")
    value = detectable_difference(n, alpha=alpha, power=power)
    formula = "(z[1 - alpha/2] + z[power]) x sqrt(2 p (1 - p) / n), sampling of items alone"
    source = f"{formula}, with n = {n}, p = 0.5, two-sided alpha = {alpha:g}, power = {power:g}"
    return Estimate(name=name, value=value, unit="accuracy", source=source)
