"""Figures of option probabilities during training, each with the interval of a seeded bootstrap.

Rows are drawn anew with their bins left as they are, so that a resample is a vector of counts and
hundreds of them one product of matrices. Means get the percentiles of their resamples. Chance
biases a calibration error upwards, and a resample's once more, so its percentiles are
reflected at the value; those of the debiased error at its unbiased square. Sources: A.
Davison, D. Hinkley, Bootstrap Methods and their Application (1997), section 5.2; A. Kumar et
al., NeurIPS (2019).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.scoring.calibration_error import chance_in_gaps, place_in_bins
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

    Of all rows `accuracy`, `f1` (macro), `ece`, `ece_debiased`, `mce`, `brier` (over all options, in [0, 2]) and
    `mean_confidence`.
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
    n = len(rows)
    if not n:
        return {}
    confidence, right = events(rows, labels)
    means = {
        "accuracy": right,
        "brier": ((rows - np.eye(rows.shape[1])[labels]) ** 2).sum(axis=1),
        "mean_confidence": confidence,
    }
    # Bins hold two samples at least where chance is to be told from error.
    places = [place_in_bins(confidence, n_bins=how.bins)]
    places += [place_in_bins(confidence, n_bins=min(how.bins, n // 2), equally=True)] if n > 1 else []
    columns = [np.column_stack(list(means.values())), _sums_by_class(rows, labels)]
    columns += [_sums_by_bin(each, confidence, right=right) for each in places]
    drawn = np.split(_resampled(np.hstack(columns), how), np.cumsum([each.shape[1] for each in columns])[:-1], axis=1)
    found = _percentiles(means, drawn[0] / n, how=how)
    found |= _classes(columns[1].sum(axis=0), drawn[1], how=how)
    found |= _reflected(columns[2].sum(axis=0), drawn[2], how=how)
    if n > 1:
        found |= _debiased(columns[3].sum(axis=0), drawn[3], how=how)
    return found | _decisions(rows, labels, costs=np.asarray(costs, dtype=np.float64), how=how)


def mean_intervals(columns: Mapping[str, Floats], *, how: Watching) -> dict[str, float]:
    """Return the mean of each column, with the percentiles of its resamples."""
    values = np.column_stack([each.astype(np.float64) for each in columns.values()])
    return _percentiles(columns, _resampled(values, how) / len(values), how=how)


def _percentiles(columns: Mapping[str, Floats], drawn: Floats, *, how: Watching) -> dict[str, float]:
    found: dict[str, float] = {}
    limits = np.quantile(drawn, _tails(how), axis=0)
    for (name, values), low, high in zip(columns.items(), *limits, strict=True):
        found |= {name: float(values.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def _classes(whole: Floats, drawn: Floats, *, how: Watching) -> dict[str, float]:
    """Return macro F1; a class that neither occurs nor is chosen is none of those that it is the mean of."""
    (value,), resampled = _macro_f1(whole[None]), _macro_f1(drawn)
    low, high = np.quantile(resampled, _tails(how))
    return _within("f1", float(value), low=low, high=high)


def _reflected(whole: Floats, drawn: Floats, *, how: Watching) -> dict[str, float]:
    """Return the calibration errors of bins of equal width."""
    found: dict[str, float] = {}
    for name, (value,), resampled in zip(("ece", "mce"), _errors(whole[None]), _errors(drawn), strict=True):
        low, high = np.quantile(resampled, _tails(how))
        # What a resample strays from the value to one side, the value may stray from the truth to the other.
        found |= _within(name, float(value), low=2 * value - high, high=2 * value - low)
    return found


def _debiased(whole: Floats, drawn: Floats, *, how: Watching) -> dict[str, float]:
    """Return the debiased error; its interval is that of its square, which chance does not bias."""
    (square,), (biased,) = _squares(whole[None])
    low, high = np.quantile(_squares(drawn)[0], _tails(how))
    # In the world of the resamples the truth is the biased square: all of them lie that much too high.
    least, most = (max(0.0, float(each - biased + square)) ** 0.5 for each in (low, high))
    return _within("ece_debiased", max(0.0, float(square)) ** 0.5, low=least, high=most)


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


def _resampled(columns: Floats, how: Watching) -> Floats:
    """Return the sums of columns over each resample of as many rows as there are, shape (resamples, columns)."""
    n, sums = len(columns), []
    chance, at_once = np.random.default_rng([how.seed, 2]), max(1, _AT_ONCE // n)
    for start in range(0, how.draws, at_once):
        drawn = chance.integers(0, n, size=(min(at_once, how.draws - start), n))
        offsets = np.arange(len(drawn))[:, None] * n
        counts = np.bincount((drawn + offsets).ravel(), minlength=len(drawn) * n).reshape(len(drawn), n)
        sums.append(counts.astype(np.float64) @ columns)
    return np.concatenate(sums)


def _sums_by_bin(index: Integers, confidence: Floats, *, right: Floats) -> Floats:
    """Return what counts of rows are multiplied by for the rows, hits and confidence of each bin, in this order."""
    inside = np.eye(int(index.max()) + 1)[index]
    return np.concatenate([inside, inside * right[:, None], inside * confidence[:, None]], axis=1)


def _sums_by_class(rows: Floats, labels: Integers) -> Floats:
    """Return what counts of rows are multiplied by for the hits of each class, and its rows and choices."""
    classes = np.eye(rows.shape[1])
    answered, true = classes[rows.argmax(axis=1)], classes[labels]
    return np.concatenate([answered * true, answered + true], axis=1)


def _macro_f1(sums: Floats) -> Floats:
    hits, named = np.split(sums, 2, axis=1)
    return (2 * hits / np.maximum(named, 1)).sum(axis=1) / (named > 0).sum(axis=1)


def _errors(sums: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the largest gap of bins, from what `_sums_by_bin` adds up to."""
    counts, hits, forecast = np.split(sums, 3, axis=1)
    missed = np.abs(hits - forecast)
    return missed.sum(axis=1) / counts.sum(axis=1), (missed / np.maximum(counts, 1)).max(axis=1)


def _squares(sums: Floats) -> tuple[Floats, Floats]:
    """Return the mean squared gap, less what chance adds to it and as it is."""
    counts, hits, forecast = np.split(sums, 3, axis=1)
    whole = np.maximum(counts, 1)
    gaps, shares = ((hits - forecast) / whole) ** 2, hits / whole
    noise = chance_in_gaps(gaps, counts, shares=shares)
    n = counts.sum(axis=1)
    return (counts * (gaps - noise)).sum(axis=1) / n, (counts * gaps).sum(axis=1) / n


def _tails(how: Watching) -> tuple[float, float]:
    return (1 - how.level) / 2, (1 + how.level) / 2


def _within(name: str, value: float, *, low: float, high: float) -> dict[str, float]:
    """Return a figure in [0, 1] and its limits, which hold it between them."""
    least, most = max(0.0, min(value, float(low))), min(1.0, max(value, float(high)))
    return {name: value, f"{name}_low": least, f"{name}_high": most}
