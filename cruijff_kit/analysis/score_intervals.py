"""Intervals of figures of probabilities: calibration error, recalibration line, mean scores, risk and coverage."""

from collections.abc import Callable, Mapping
from math import exp, isfinite, log, sqrt
from types import MappingProxyType

import numpy as np

from cruijff_kit.analysis.distributions import noncentral_below, normal_quantile, t_quantile
from cruijff_kit.analysis.roc import auc_interval, rank_scores
from cruijff_kit.schema.interval import Interval
from cruijff_kit.scoring.calibration_error import compute_debiased_ece, fill_bins
from cruijff_kit.scoring.decision_scores import compute_aurc
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers
from cruijff_kit.scoring.probability_scores import FittedLine, compute_auc, fit_intercept, fit_slope

__all__ = [
    "FORECASTS",
    "OPTIONS",
    "aurc_interval",
    "debiased_ece_interval",
    "line_interval",
    "mean_interval",
    "unbounded",
]

_HALVINGS = 60


def unbounded(estimate: Estimate, *, level: float) -> Interval:
    """Return an estimate without limits."""
    return Interval(value=estimate.value, low=None, high=None, n=estimate.n, level=level, method="none")


def debiased_ece_interval(sure: Floats, right: Floats, *, n_bins: int = 10, level: float) -> Interval:
    """Return the debiased calibration error with limits that chance, and the error itself, both allow.

    The weighted squares of the gaps are about a scaled noncentral chi-squared, whose
    noncentrality is the squared error; it is inverted, so that a perfectly calibrated
    model has a lower limit of 0. Scale and degrees of freedom by F. E. Satterthwaite,
    Biometrics Bulletin 2 (1946), 110-114.

    Args:
        sure: probability of each sample's event.
        right: 1 where it came true.
        n_bins: equally filled bins, as the estimate has.
        level: confidence level in (0, 1).
    """
    estimate, method = compute_debiased_ece(y_prob=sure, y_true=right, n_bins=n_bins), "noncentral chi-squared"
    n = len(right)
    if estimate.value is None:
        return unbounded(estimate, level=level)
    bins = fill_bins(y_prob=sure, y_true=right, n_bins=min(n_bins, n // 2), equally=True)
    # Twenty sure answers without a fault have no spread to speak of, and prove little.
    seen = bins.share * (1 - bins.share) * bins.counts / np.maximum(bins.counts - 1, 1)
    spread = np.maximum(seen, bins.forecast * (1 - bins.forecast))
    if not spread.sum():
        return unbounded(estimate, level=level)
    scale, df = float((spread**2).sum() / spread.sum()), float(spread.sum() ** 2 / (spread**2).sum())
    statistic = float(bins.counts @ (bins.share - bins.forecast) ** 2) / scale
    tail = (1 - level) / 2
    low, high = (
        sqrt(scale * _noncentrality(lambda at: noncentral_below(statistic, df, noncentrality=at), below=share) / n)
        for share in (1 - tail, tail)
    )
    # Limits are of the error's binned part; the estimate is never outside of them.
    value = estimate.value
    return Interval(value=value, low=min(low, value), high=min(1.0, max(high, value)), n=n, level=level, method=method)


def aurc_interval(sure: Floats, right: Floats, *, level: float) -> Interval:
    """Return the area under the risk-coverage curve with limits on the logit scale.

    Its variance is that of the samples' influence on the area: an error costs more the
    surer it was, and each sample moves the coverage of all that are less sure.

    Args:
        sure: confidence of each sample.
        right: 1 where it was right.
        level: confidence level in (0, 1).
    """
    estimate, method, n = compute_aurc(confidence=sure, correct=right), "influence, logit", len(right)
    if estimate.value is None or not 0 < estimate.value < 1:
        return unbounded(estimate, level=level)
    order = np.argsort(-sure, kind="stable")
    wrong = 1.0 - right[order]
    # Equal confidences stand at the middle of their block.
    _, place, counts = np.unique(-sure[order], return_inverse=True, return_counts=True)
    covered = (np.cumsum(counts) - counts / 2 + 0.5)[place] / n
    moved = np.cumsum((wrong / covered)[::-1])[::-1] / n
    influence = -wrong * np.log(covered) - moved
    error = float(influence.std(ddof=1)) / sqrt(n) if n > 1 else float("nan")
    if not isfinite(error) or not error:
        return unbounded(estimate, level=level)
    value = estimate.value
    centre, half = log(value / (1 - value)), t_quantile(level, n - 1) * error / (value * (1 - value))
    low, high = (1 / (1 + exp(-end)) for end in (centre - half, centre + half))
    return Interval(value=value, low=low, high=high, n=n, level=level, method=method)


def line_interval(line: FittedLine, *, level: float) -> Interval:
    """Return a coefficient of the recalibration line with Wald's interval, its error robust."""
    value = line.estimate.value
    if value is None:
        return unbounded(line.estimate, level=level)
    half = normal_quantile(level) * line.error
    return Interval(value=value, low=value - half, high=value + half, n=line.estimate.n, level=level, method="wald")


def mean_interval(values: Floats, *, level: float) -> Interval:
    """Return a mean with Student's t over samples; no limits where the samples do not vary."""
    n, method = len(values), "t over samples"
    if n == 0 or not np.isfinite(values).all():
        return Interval(value=None, low=None, high=None, n=n, level=level, method=method)
    value, error = float(values.mean()), float(values.std(ddof=1)) / sqrt(n) if n > 1 else 0.0
    if not error:
        return Interval(value=value, low=None, high=None, n=n, level=level, method=method)
    half = t_quantile(level, n - 1) * error
    return Interval(value=value, low=value - half, high=value + half, n=n, level=level, method=method)


def _slope(sure: Floats, right: Floats, *, level: float) -> Interval:
    return line_interval(fit_slope(y_prob=sure, y_true=right), level=level)


def _intercept(sure: Floats, right: Floats, *, level: float) -> Interval:
    return line_interval(fit_intercept(y_prob=sure, y_true=right), level=level)


def _brier(rows: Floats, labels: Integers, *, level: float) -> Interval:
    """Return the binary score of two options, whose second is the event, and the sum over all of more."""
    if rows.shape[1] == 2:
        return mean_interval((rows[:, 1] - labels) ** 2, level=level)
    return mean_interval(((rows - np.eye(rows.shape[1])[labels]) ** 2).sum(axis=1), level=level)


def _log_loss(rows: Floats, labels: Integers, *, level: float) -> Interval:
    with np.errstate(divide="ignore"):
        surprises = -np.log(rows[np.arange(len(rows)), labels])
    return mean_interval(surprises, level=level)


def _auc(rows: Floats, labels: Integers, *, level: float) -> Interval:
    if rows.shape[1] == 2:
        return auc_interval(rank_scores(rows[:, 1], labels), level=level)
    return unbounded(compute_auc(y_prob=rows, y_true=labels), level=level)


FORECASTS: Mapping[str, Callable[..., Interval]] = MappingProxyType(
    {
        "ece_debiased": debiased_ece_interval,
        "calibration_slope": _slope,
        "calibration_intercept": _intercept,
        "aurc": aurc_interval,
    }
)
"""Intervals by formula of figures of forecasts: they take the probabilities, what came true, and `level`."""

OPTIONS: Mapping[str, Callable[..., Interval]] = MappingProxyType({"brier": _brier, "log_loss": _log_loss, "auc": _auc})
"""Intervals by formula of figures of all options: they take the rows, the true options, and `level`."""


def _noncentrality(chance: Callable[[float], float], *, below: float) -> float:
    """Return the noncentrality at which a statistic this small has the chance `below`; 0 where it never has."""
    if chance(0.0) <= below:
        return 0.0
    low, high = 0.0, 1.0
    while chance(high) > below:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) > below else (low, middle)
    return (low + high) / 2
