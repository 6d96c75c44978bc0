"""Two independent samples: proportions and means compared, and many tests at once."""

from collections.abc import Sequence
from math import asin, sqrt
from statistics import fmean, variance

from cruijff_kit.analysis.distributions import (
    chi_squared_tail,
    hypergeometric_two_sided,
    t_quantile,
    t_two_sided,
)
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.schema.report import Interval

__all__ = [
    "benjamini_hochberg",
    "cohen_h",
    "fisher_exact",
    "homogeneity",
    "proportion_difference",
    "welch_difference",
]


def proportion_difference(first: tuple[int, int], second: tuple[int, int], *, level: float) -> Interval:
    """Return the difference of two proportions with Newcombe's interval, made of two Wilson intervals.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.

    Args:
        first: successes and trials, at least one.
        second: the same of what is subtracted.
        level: confidence level in (0, 1).
    """
    (k, n), (j, m) = first, second
    one, two = wilson_interval(k, n, level=level), wilson_interval(j, m, level=level)
    p, q = k / n, j / m
    low = p - q - sqrt((p - (one.low or 0.0)) ** 2 + ((two.high or 0.0) - q) ** 2)
    high = p - q + sqrt(((one.high or 0.0) - p) ** 2 + (q - (two.low or 0.0)) ** 2)
    return Interval(value=p - q, low=low, high=high, n=n, level=level, method="newcombe")


def welch_difference(first: Sequence[float], second: Sequence[float], *, level: float) -> tuple[Interval, float | None]:
    """Return the difference of two means, second minus first, with its interval and p-value, variances unequal.

    Without spread in either there is no interval and no test. Source: B. L. Welch,
    Biometrika 34 (1947), 28-35.

    Args:
        first: values, at least two.
        second: values, at least two.
        level: confidence level in (0, 1).
    """
    value, n, method = fmean(second) - fmean(first), len(first) + len(second), "welch's t over runs"
    parts = [variance(each) / len(each) for each in (first, second)]
    error = sqrt(sum(parts))
    # What rounding leaves is no spread.
    if error <= 1e-12:
        return Interval(value=value, low=None, high=None, n=n, level=level, method=method), None
    df = sum(parts) ** 2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, (first, second), strict=True))
    half = t_quantile(level, df) * error
    interval = Interval(value=value, low=value - half, high=value + half, n=n, level=level, method=method)
    return interval, t_two_sided(value / error, df)


def fisher_exact(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Return the exact two-sided p-value that two proportions are equal.

    It never rejects more often than it says, at any n. Source: R. A. Fisher,
    J. R. Stat. Soc. 98 (1935), 39-82.
    """
    (k, n), (j, m) = first, second
    return hypergeometric_two_sided(k, n, successes=k + j, total=n + m)


def homogeneity(counts: Sequence[tuple[int, int]]) -> float | None:
    """Return Pearson's p-value that all proportions are equal; None where all or none succeeded.

    Args:
        counts: successes and trials of each group.
    """
    successes, trials = sum(k for k, _ in counts), sum(n for _, n in counts)
    if len(counts) < 2 or successes in {0, trials}:
        return None
    share = successes / trials
    statistic = sum((k - n * share) ** 2 / (n * share * (1 - share)) for k, n in counts)
    return chi_squared_tail(statistic, len(counts) - 1)


def cohen_h(p: float, q: float) -> float:
    """Return Cohen's effect size of two proportions: 0.2 is small, 0.5 medium, 0.8 large.

    Source: J. Cohen, Statistical Power Analysis, 2nd ed. (1988), chapter 6.
    """
    return 2 * asin(sqrt(p)) - 2 * asin(sqrt(q))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the false discovery rate, in the order given.

    Source: Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995), 289-300.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted, lowest = [0.0] * len(p_values), 1.0
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * len(p_values) / (len(p_values) - place))
        adjusted[index] = lowest
    return adjusted
