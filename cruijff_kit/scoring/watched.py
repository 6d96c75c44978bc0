"""Figures of option probabilities during training, each with the interval of a seeded bootstrap.

Rows are drawn anew with their bins left as they are, so that a resample is a vector of counts and
hundreds of them one product of matrices. Means get the percentiles of their resamples. Chance
biases a calibration error upwards, and a resample's once more, so its percentiles are
reflected at the value; those of the debiased error at its unbiased square. Sources: A.
Davison, D. Hinkley, Bootstrap Methods and their Application (1997), section 5.2; A. Kumar et
al., NeurIPS (2019).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.scoring.calibration_error import compute_debiased_ece, compute_ece, compute_mce, place_in_bins
from cruijff_kit.scoring.conformal import ConformalPredictor
from cruijff_kit.scoring.estimates import Floats, Integers, events, probability_rows

__all__ = ["Watching", "mean_intervals", "watched_figures"]

_AT_ONCE = 4_000_000
"""Counts of resamples held at a time."""


class Watching(NamedTuple):
    """How figures are taken."""

    bins: int = 10
    """Bins of calibration errors."""
    draws: int = 500
    """Resamples."""
    level: float = 0.95
    """Level of the intervals."""
    alpha: float = 0.1
    """Share of sets that may miss the right option."""
    calibration_share: float = 0.5
    """Share of rows that sets are calibrated on."""
    seed: int = 0
    """Seed of the resamples, and of which rows calibrate."""


def watched_figures(*, y_prob: ArrayLike, y_true: ArrayLike, costs: ArrayLike, how: Watching) -> dict[str, float]:
    """Return every figure that can be told, with `<name>_low` and `<name>_high`.

    Of all rows `accuracy`, `ece`, `ece_debiased`, `mce`, `brier` (over all options, in [0, 2]) and `mean_confidence`.
    Some rows, drawn once by the seed, calibrate the quantile of conformal sets (`lac`);
    `coverage`, `set_size` and `expected_risk` are measured on the others, that quantile given:
    the last is the mean cost of the answer whose expected cost is least.

    Args:
        y_prob: (n, K) option probabilities.
        y_true: index of the right option of each row.
        costs: (right, answered) costs.
        how: bins, bootstrap, sets.
    """
    rows, labels = probability_rows(y_prob, y_true)
    if not len(rows):
        return {}
    confidence, right = events(rows, labels)
    means = {
        "accuracy": right,
        "brier": ((rows - np.eye(rows.shape[1])[labels]) ** 2).sum(axis=1),
        "mean_confidence": confidence,
    }
    found = mean_intervals(means, how=how)
    found |= _calibration(rows, labels, how=how)
    return found | _decisions(rows, labels, costs=np.asarray(costs, dtype=np.float64), how=how)


def mean_intervals(columns: dict[str, Floats], *, how: Watching) -> dict[str, float]:
    """Return the mean of each column, with the percentiles of its resamples."""
    values = np.column_stack([each.astype(np.float64) for each in columns.values()])
    drawn = np.concatenate([counts @ values / len(values) for counts in _resamples(len(values), how)])
    low, high = np.quantile(drawn, _tails(how), axis=0)
    found: dict[str, float] = {}
    for name, value, least, most in zip(columns, values.mean(axis=0), low, high, strict=True):
        found |= {name: float(value), f"{name}_low": float(least), f"{name}_high": float(most)}
    return found


def _calibration(rows: Floats, labels: Integers, *, how: Watching) -> dict[str, float]:
    confidence, right = events(rows, labels)
    n = len(right)
    plain = place_in_bins(confidence, n_bins=how.bins)
    sums = _sums_by_bin(plain, confidence, right)
    errors = [_errors(counts @ sums, bins=int(plain.max()) + 1) for counts in _resamples(n, how)]
    ece, mce = (np.concatenate(each) for each in zip(*errors, strict=True))
    values = (("ece", compute_ece, ece), ("mce", compute_mce, mce))
    found: dict[str, float] = {}
    for name, compute, drawn in values:
        value = float(compute(y_prob=rows, y_true=labels, n_bins=how.bins).value or 0.0)
        low, high = np.quantile(drawn, _tails(how))
        # What a resample strays from the value to one side, the value may stray from the truth to the other.
        found |= _within(name, value, low=2 * value - high, high=2 * value - low)
    return found | _debiased(rows, labels, how=how)


def _debiased(rows: Floats, labels: Integers, *, how: Watching) -> dict[str, float]:
    """Return the debiased error; its interval is that of its square, which chance does not bias."""
    confidence, right = events(rows, labels)
    estimate = compute_debiased_ece(y_prob=rows, y_true=labels, n_bins=how.bins)
    n = len(right)
    if estimate.value is None:
        return {}
    index = place_in_bins(confidence, n_bins=min(how.bins, n // 2), equally=True)
    bins, sums = int(index.max()) + 1, _sums_by_bin(index, confidence, right)
    ones = np.ones((1, n))
    square, biased = _squares(ones @ sums, bins=bins)
    drawn = np.concatenate([_squares(counts @ sums, bins=bins)[0] for counts in _resamples(n, how)])
    low, high = np.quantile(drawn, _tails(how))
    # In the world of the resamples the truth is the biased square: all of them lie that much too high.
    least, most = (float(each - biased[0] + square[0]) for each in (low, high))
    return _within("ece_debiased", estimate.value, low=max(0.0, least) ** 0.5, high=max(0.0, most) ** 0.5)


def _decisions(rows: Floats, labels: Integers, *, costs: Floats, how: Watching) -> dict[str, float]:
    n = len(rows)
    if n < 2:
        return {}
    order = np.random.default_rng([how.seed, 1]).permutation(n)
    cut = min(n - 1, max(1, round(how.calibration_share * n)))
    fitted, measured = order[:cut], order[cut:]
    predictor = ConformalPredictor(method="lac")
    scores = predictor.scores(probabilities=rows)
    predictor.calibrate(cal_scores=scores[fitted, labels[fitted]], alpha=how.alpha)
    sets = predictor.predict(test_scores=scores[measured])
    true = labels[measured]
    answers = (rows[measured] @ costs).argmin(axis=1)
    columns = {
        "coverage": sets[np.arange(len(true)), true].astype(np.float64),
        "set_size": sets.sum(axis=1).astype(np.float64),
        "expected_risk": costs[true, answers],
    }
    return mean_intervals(columns, how=how)


def _resamples(n: int, how: Watching) -> Iterator[Floats]:
    """Yield how often each of n rows is drawn, in resamples of n, shape (resamples, n)."""
    chance, at_once = np.random.default_rng([how.seed, 2]), max(1, _AT_ONCE // n)
    for start in range(0, how.draws, at_once):
        drawn = chance.integers(0, n, size=(min(at_once, how.draws - start), n))
        offsets = np.arange(len(drawn))[:, None] * n
        yield np.bincount((drawn + offsets).ravel(), minlength=len(drawn) * n).reshape(len(drawn), n).astype(np.float64)


def _sums_by_bin(index: Integers, confidence: Floats, right: Floats) -> Floats:
    """Return what counts of rows are multiplied by for the rows, hits and confidence of each bin, in this order."""
    inside = np.eye(int(index.max()) + 1)[index]
    return np.concatenate([inside, inside * right[:, None], inside * confidence[:, None]], axis=1)


def _errors(sums: Floats, *, bins: int) -> tuple[Floats, Floats]:
    counts, hits, forecast = (sums[:, at * bins : (at + 1) * bins] for at in range(3))
    missed = np.abs(hits - forecast)
    return missed.sum(axis=1) / counts.sum(axis=1), (missed / np.maximum(counts, 1)).max(axis=1)


def _squares(sums: Floats, *, bins: int) -> tuple[Floats, Floats]:
    """Return the mean squared gap, less what chance adds to it and as it is."""
    counts, hits, forecast = (sums[:, at * bins : (at + 1) * bins] for at in range(3))
    whole = np.maximum(counts, 1)
    gaps, shares = ((hits - forecast) / whole) ** 2, hits / whole
    noise = np.where(counts < 2, gaps, shares * (1 - shares) / np.maximum(counts - 1, 1))
    n = counts.sum(axis=1)
    return (counts * (gaps - noise)).sum(axis=1) / n, (counts * gaps).sum(axis=1) / n


def _tails(how: Watching) -> tuple[float, float]:
    return (1 - how.level) / 2, (1 + how.level) / 2


def _within(name: str, value: float, *, low: float, high: float) -> dict[str, float]:
    """Return a figure in [0, 1] and its limits, which hold it between them."""
    least, most = max(0.0, min(value, float(low))), min(1.0, max(value, float(high)))
    return {name: value, f"{name}_low": least, f"{name}_high": most}
