"""Two models on the same samples: paired differences and their tests."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import sqrt

from cruijff_kit.analysis.distributions import binomial_mid_p, binomial_two_sided, normal_quantile
from cruijff_kit.schema.report import Interval

__all__ = ["holm_adjusted", "mcnemar_exact", "mcnemar_mid_p", "paired_bootstrap", "paired_difference", "tango_score"]

# Fifty halvings of an interval of length 1 reach the last bit of a double.
_HALVINGS = 50
_RESAMPLES = 4_000


@lru_cache(maxsize=4096)
def paired_difference(gained: int, lost: int, *, n: int, level: float) -> Interval:
    """Return the difference of two proportions on the same samples, with Tango's interval.

    It inverts the score test, so that it agrees with McNemar's test and is
    defined when no sample, or every sample, changed.
    Source: T. Tango, Statistics in Medicine 17 (1998), 891-908.

    Args:
        gained: samples right under the second model only.
        lost: samples right under the first model only.
        n: samples in all.
        level: confidence level in (0, 1).
    """
    method = "paired score (Tango)"
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, level=level, method=method)
    z, value = normal_quantile(level), (gained - lost) / n

    def excess(delta: float) -> float:
        return tango_score(gained, lost, n=n, delta=delta) - z

    def shortfall(delta: float) -> float:
        return tango_score(gained, lost, n=n, delta=delta) + z

    low = -1.0 if lost == n else _crossing(excess, -1.0, high=value)
    high = 1.0 if gained == n else _crossing(shortfall, value, high=1.0)
    return Interval(value=value, low=low, high=high, n=n, level=level, method=method)


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    Given the samples that changed, each direction is equally likely under the
    null hypothesis. Source: Q. McNemar, Psychometrika 12 (1947), 153-157.
    """
    return binomial_two_sided(gained, gained + lost)


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """Return the two-sided mid-p-value of McNemar's test.

    What was observed counts half, which takes away most of the exact test's caution; it
    exceeds its level by little and seldom. Source: M. W. Fagerland, S. Lydersen,
    P. Laake, BMC Medical Research Methodology 13 (2013), 91.
    """
    return binomial_mid_p(gained, gained + lost)


def paired_bootstrap(changes: Sequence[Sequence[int]], *, level: float) -> Interval:
    """Return the paired difference with the percentiles of a bootstrap that draws whole clusters.

    Args:
        changes: of each cluster, its samples' changes: 1 gained, -1 lost, 0 neither;
            independent samples are clusters of one.
        level: confidence level in (0, 1).
    """
    # Clusters alike in sum and size are drawn as one cell, which is the same bootstrap.
    kinds = Counter((sum(each), len(each)) for each in changes)
    return _resampled(tuple(kinds.items()), level)


@lru_cache(maxsize=4096)
def _resampled(kinds: tuple[tuple[tuple[int, int], int], ...], level: float) -> Interval:
    """Return the bootstrap of clusters by sum, size and how many there are; runs of one grid share many of these."""
    import numpy as np

    clusters, method = sum(times for _, times in kinds), "paired bootstrap"
    n = sum(size * times for (_, size), times in kinds)
    if not n:
        return Interval(value=None, low=None, high=None, n=0, level=level, method=method)
    sums, sizes = (np.asarray(column) for column in zip(*(kind for kind, _ in kinds), strict=True))
    times = np.asarray([each for _, each in kinds])
    drawn = np.random.default_rng(0).multinomial(clusters, times / clusters, size=_RESAMPLES)
    low, high = np.quantile(drawn @ sums / (drawn @ sizes), ((1 - level) / 2, (1 + level) / 2)).tolist()
    value = float(times @ sums / n)
    return Interval(value=value, low=low, high=high, n=n, level=level, method=method)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def tango_score(gained: int, lost: int, *, n: int, delta: float) -> float:
    """Return the score statistic of a paired difference of `delta`; it falls as `delta` rises.

    Source: T. Tango, Statistics in Medicine 17 (1998), 891-908.
    """
    linear = -gained - lost + (2 * n - gained + lost) * delta
    root = sqrt(max(0.0, linear * linear + 8 * n * lost * delta * (1 - delta)))
    nuisance = max(0.0, (root - linear) / (4 * n))
    variance = n * (2 * nuisance + delta * (1 - delta))
    deviation = gained - lost - n * delta
    if variance <= 0.0:
        return float("inf") if deviation > 0 else float("-inf")
    return deviation / sqrt(variance)


def _crossing(falling: Callable[[float], float], low: float, *, high: float) -> float:
    """Return where a falling function crosses zero between two points."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
