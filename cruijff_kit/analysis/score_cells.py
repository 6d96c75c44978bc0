"""AUC and calibration error by group: exact values, and a bootstrap drawn from fine cells of the score."""

import numpy as np

from cruijff_kit.analysis.cell_bootstrap import Resamples, drawn_counts
from cruijff_kit.analysis.group_columns import Floats, Ints
from cruijff_kit.scoring.calibration_error import compute_ece, place_in_bins

__all__ = ["calibration_errors", "resample_auc", "resample_ece"]

# Equal-width bins of the calibration error, and cells within each of them for its bootstrap.
_BINS, _FINE = 10, 10
# Cells of equal frequency for the bootstrap of the AUC; as many as values where those are fewer.
_CELLS = 128


def calibration_errors(confidence: Floats, correct: Ints, *, group: Ints, groups: int) -> Floats:
    """Return the expected calibration error of each group, not a number where it has no sample.

    The answer's confidence against its correctness, as `compute_ece` bins it.
    """
    parts = (group == code for code in range(groups))
    found = (compute_ece(y_prob=confidence[part], y_true=correct[part], n_bins=_BINS).value for part in parts)
    return np.array([np.nan if value is None else value for value in found])


def resample_auc(
    score: Floats, positive: Ints, *, group: Ints, groups: int, resamples: int, rng: np.random.Generator
) -> Resamples:
    """Return bootstrap values of the AUC, of one metric.

    Scores are sorted into 128 cells of equal frequency and drawn by cell; with no
    more distinct scores than that, this is the bootstrap of the rows exactly.
    """
    cell, cells = _cells(score)
    counts = np.bincount((group * cells + cell) * 2 + positive, minlength=groups * cells * 2)
    by, whole = [], []
    for drawn in drawn_counts(counts.reshape(groups, cells, 2), resamples=resamples, rng=rng):
        by.append(_areas(drawn))
        whole.append(_areas(drawn.sum(axis=1)))
    return Resamples(np.concatenate(by)[..., None], np.concatenate(whole)[..., None])


def resample_ece(
    confidence: Floats, correct: Ints, *, group: Ints, groups: int, resamples: int, rng: np.random.Generator
) -> Resamples:
    """Return bootstrap values of the expected calibration error, of one metric.

    Confidences are drawn by cells a tenth of a bin wide, at each cell's mean.
    """
    fine = _BINS * _FINE
    at = group * fine + place_in_bins(confidence, n_bins=fine)
    counts = np.bincount(at * 2 + correct, minlength=groups * fine * 2).reshape(groups, fine, 2)
    totals = np.bincount(at, weights=confidence, minlength=groups * fine).reshape(groups, fine)
    mean = totals / np.maximum(counts.sum(axis=2), 1)
    by, whole = [], []
    for drawn in drawn_counts(counts, resamples=resamples, rng=rng):
        size = drawn.sum(axis=3)
        gap = (size * mean - drawn[..., 1]).reshape(*size.shape[:2], _BINS, _FINE).sum(axis=3)
        with np.errstate(invalid="ignore", divide="ignore"):
            by.append(np.abs(gap).sum(axis=2) / size.sum(axis=2))
            whole.append(np.abs(gap.sum(axis=1)).sum(axis=1) / size.sum(axis=(1, 2)))
    return Resamples(np.concatenate(by)[..., None], np.concatenate(whole)[..., None])


def _areas(counts: Floats) -> Floats:
    """Return the AUC of counts of shape (…, cells, class)."""
    noughts, ones = counts[..., 0], counts[..., 1]
    beaten = np.cumsum(noughts, axis=-1) - noughts / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (ones * beaten).sum(axis=-1) / (ones.sum(axis=-1) * noughts.sum(axis=-1))


def _cells(score: Floats) -> tuple[Ints, int]:
    edges = np.unique(score)
    if len(edges) > _CELLS:
        edges = np.unique(np.quantile(score, np.linspace(0, 1, _CELLS + 1)[1:]))
    return np.searchsorted(edges, score), len(edges)
