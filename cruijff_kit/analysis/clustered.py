"""Samples that stand or fall together: intervals and tests that count clusters, not samples."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

from cruijff_kit.analysis.distributions import t_quantile, t_two_sided
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Interval

__all__ = ["Clusters", "cluster_of", "clustered_difference", "clustered_proportion", "design_effect"]


class Clusters(NamedTuple):
    """How much less independent clustered samples tell."""

    clusters: int
    """Clusters."""
    effect: float
    """Variance of a mean over that of as many independent samples; at least 1."""


def cluster_of(each: Prediction, column: str) -> str:
    """Return the cluster of a sample; one without the column stands for itself."""
    return each.groups.get(column, f"sample {each.sample_id}")


def design_effect(outcomes: Mapping[str, Sequence[bool]]) -> Clusters:
    """Return how much the clusters inflate the variance of the share of right answers.

    The variance is the sandwich estimate over clusters with its small-sample factor;
    an effect below 1 is taken as chance. Source: L. Kish, Survey Sampling (1965);
    E. Miller, Adding Error Bars to Evals, arXiv 2411.00640 (2024).

    Args:
        outcomes: cluster to its samples' verdicts.
    """
    sizes, sums = [len(each) for each in outcomes.values()], [sum(each) for each in outcomes.values()]
    n, count = sum(sizes), len(sizes)
    share = sum(sums) / n if n else 0.0
    if count < 2 or share in {0.0, 1.0}:
        return Clusters(count, 1.0)
    squares = sum((right - size * share) ** 2 for right, size in zip(sums, sizes, strict=True))
    variance = count / (count - 1) * squares / n**2
    return Clusters(count, max(1.0, variance / (share * (1 - share) / n)))


def clustered_proportion(successes: int, n: int, *, clusters: Clusters, level: float) -> Interval:
    """Return a proportion with Wilson's interval at the effective sample size.

    The normal quantile is replaced by Student's t over the clusters, since few of them
    leave the design effect itself uncertain. Source: N. Dean, M. Pagano, Journal of
    Survey Statistics and Methodology 3 (2015), 484-503.

    Args:
        successes: count of successes, 0 to n.
        n: samples, errored and unparsed ones included.
        clusters: what they come in.
        level: confidence level in (0, 1).
    """
    method = "wilson, clustered"
    if not n or clusters.clusters < 2:
        value = successes / n if n else None
        return Interval(value=value, low=None, high=None, n=n, level=level, method=method)
    share, m = successes / n, n / clusters.effect
    z2 = t_quantile(level, clusters.clusters - 1) ** 2
    centre = (share + z2 / (2 * m)) / (1 + z2 / m)
    half = sqrt(z2 * (share * (1 - share) / m + z2 / (4 * m * m))) / (1 + z2 / m)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(value=share, low=low, high=high, n=n, level=level, method=method)


def clustered_difference(changes: Mapping[str, Sequence[int]], *, level: float) -> tuple[Interval, float]:
    """Return the paired difference of two models with its interval and p-value, by t over clusters.

    Args:
        changes: cluster to its samples' changes: 1 gained, -1 lost, 0 neither.
        level: confidence level in (0, 1).
    """
    sizes, sums = [len(each) for each in changes.values()], [sum(each) for each in changes.values()]
    n, count, method = sum(sizes), len(sizes), "paired, t over clusters"
    value = sum(sums) / n if n else None
    squares = sum((total - size * (value or 0.0)) ** 2 for total, size in zip(sums, sizes, strict=True))
    if count < 2 or value is None or squares == 0:
        # One cluster, or clusters that all changed alike, have no spread to test with.
        return Interval(value=value, low=None, high=None, n=n, level=level, method=method), 1.0
    error = sqrt(count / (count - 1) * squares) / n
    half = t_quantile(level, count - 1) * error
    interval = Interval(
        value=value, low=max(-1.0, value - half), high=min(1.0, value + half), n=n, level=level, method=method
    )
    return interval, t_two_sided(value / error, count - 1)
