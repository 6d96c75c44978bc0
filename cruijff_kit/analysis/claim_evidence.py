"""What figures say of a claim: one-sided p-values against any bound, over seeds or over samples."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.analysis.clustered import Clusters, clustered_difference, clustered_proportion
from cruijff_kit.analysis.distributions import binomial_at_most, normal_below, t_below, t_quantile
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.paired import paired_difference, tango_score
from cruijff_kit.schema.interval import Interval

__all__ = ["Evidence", "from_changes", "from_counts", "from_seeds"]

_ONE_RUN = "one run a setting: the spread between seeds is unknown"
_NO_SPREAD = "seeds of the same setting gave the same figure: there is no spread to test with"


class Evidence(NamedTuple):
    """A figure, and how surely it lies to either side of a bound."""

    figure: Interval
    """The figure with its interval."""
    above: Callable[[float], float]
    """Bound to the p-value of the figure's being at most that."""
    below: Callable[[float], float]
    """Bound to the p-value of the figure's being at least that."""
    test: str
    """How it was tested."""
    reason: str = ""
    """Why nothing can be tested."""


def from_seeds(cells: Sequence[Sequence[float]], weights: Sequence[float], *, level: float) -> Evidence:
    """Return a weighted sum of means of settings, by t over seeds with the error pooled within all settings.

    Args:
        cells: outcomes of every setting of the design, one a run.
        weights: one a setting; 0 where a setting lends its spread alone.
        level: confidence level in (0, 1).
    """
    used = [(weight, cell) for weight, cell in zip(weights, cells, strict=True) if weight]
    value = sum(weight * fmean(cell) for weight, cell in used)
    n, df = sum(len(cell) for _, cell in used), sum(len(cell) - 1 for cell in cells)
    # Equal replicates differ from their mean by rounding alone, which is no spread.
    squares = sum((each - fmean(cell)) ** 2 for cell in cells if min(cell) < max(cell) for each in cell)
    reason = _ONE_RUN if df == 0 else "" if squares else _NO_SPREAD
    if reason:
        return _untested(value, n, level=level, test="t over seeds", reason=reason)
    error = sqrt(squares / df * sum(weight**2 / len(cell) for weight, cell in used))
    return _by_t(value, error, df=df, n=n, level=level, method="t over seeds, error pooled within combinations")


def from_counts(successes: int, n: int, *, clusters: Clusters | None = None, level: float) -> Evidence:
    """Return a share of right answers, by exact binomial tails over samples, or by t at the effective sample size.

    Args:
        successes: samples that are right.
        n: all samples.
        clusters: what they come in, where they are not independent.
        level: confidence level in (0, 1).
    """
    if clusters is None:
        return Evidence(
            wilson_interval(successes, n, level=level),
            lambda bound: 1.0 - binomial_at_most(successes - 1, n, share=_share(bound)) if bound < 1 else 1.0,
            lambda bound: binomial_at_most(successes, n, share=_share(bound)) if bound > 0 else 1.0,
            "exact binomial test over samples",
        )
    figure, size = clustered_proportion(successes, n, clusters=clusters, level=level), n / clusters.effect
    test = "score test over clusters"
    if figure.low is None:
        return Evidence(figure, _never, _never, test, "one cluster: there is no spread to test with")

    def tail(bound: float) -> float:
        spread = sqrt(_share(bound) * (1 - _share(bound)) / size)
        return t_below((successes / n - bound) / spread, clusters.clusters - 1) if spread else 0.5

    return Evidence(figure, lambda bound: 1.0 - tail(bound), tail, test)


def from_changes(
    changes: Mapping[str, Sequence[int]], *, clustered: bool, margin: bool = False, level: float
) -> Evidence:
    """Return a paired difference in accuracy, by McNemar's exact test, Tango's beside a margin, or t over clusters.

    Args:
        changes: cluster to its samples' changes: 1 gained, -1 lost, 0 neither; a sample is its own cluster otherwise.
        clustered: whether samples come in clusters.
        margin: whether bounds other than 0 are asked about.
        level: confidence level in (0, 1).
    """
    flat = [change for each in changes.values() for change in each]
    gained, lost, n = flat.count(1), flat.count(-1), len(flat)
    if not clustered:
        figure = paired_difference(gained, lost, n=n, level=level)
        return Evidence(
            figure,
            lambda bound: _mcnemar(gained, lost) if not bound else _above(gained, lost, n=n, bound=bound),
            lambda bound: _mcnemar(lost, gained) if not bound else _above(lost, gained, n=n, bound=-bound),
            "paired score test (Tango)" if margin else "exact McNemar test",
        )
    figure, _ = clustered_difference(changes, level=level)
    if figure.value is None or figure.low is None:
        return _untested(
            figure.value, n, level=level, test=figure.method, reason="clusters changed alike: there is no spread"
        )
    sums = [(sum(each), len(each)) for each in changes.values()]
    squares = sum((total - size * figure.value) ** 2 for total, size in sums)
    error = sqrt(len(sums) / (len(sums) - 1) * squares) / n
    return _by_t(figure.value, error, df=len(sums) - 1, n=n, level=level, method="paired, t over clusters")


def _by_t(value: float, error: float, *, df: int, n: int, level: float, method: str) -> Evidence:
    half = t_quantile(level, df) * error
    figure = Interval(value=value, low=value - half, high=value + half, n=n, level=level, method=method)
    return Evidence(
        figure,
        lambda bound: t_below((bound - value) / error, df),
        lambda bound: t_below((value - bound) / error, df),
        method,
    )


def _untested(value: float | None, n: int, *, level: float, test: str, reason: str) -> Evidence:
    figure = Interval(value=value, low=None, high=None, n=n, level=level, method="none")
    return Evidence(figure, _never, _never, test, reason)


def _never(bound: float) -> float:
    """Return that nothing is known against any bound."""
    del bound
    return 1.0


def _share(bound: float) -> float:
    return min(1.0, max(0.0, bound))


def _mcnemar(gained: int, lost: int) -> float:
    """Return the exact chance of so many gains or more where gains and losses are equally likely."""
    return 1.0 - binomial_at_most(gained - 1, gained + lost, share=0.5) if gained + lost else 1.0


def _above(gained: int, lost: int, *, n: int, bound: float) -> float:
    """Return the p-value that the difference is at most a bound inside of (-1, 1)."""
    if abs(bound) >= 1 or not n:
        return 1.0 if bound >= 1 or not n else 0.0
    return normal_below(-tango_score(gained, lost, n=n, delta=bound))
