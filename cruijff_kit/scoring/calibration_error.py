"""Calibration error: how far probabilities are from what comes true, and whether chance explains it.

Every function takes probabilities of an event with outcomes 0 or 1, or rows of option
probabilities with true indices, of which the largest is judged (top label). Bins are
right-closed: bin m of M holds ((m - 1) / M, m / M], and 0 lies in the first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers, events

__all__ = [
    "FilledBins",
    "chance_in_gaps",
    "compute_adaptive_ece",
    "compute_calibration_p",
    "compute_debiased_ece",
    "compute_ece",
    "compute_mce",
    "fill_bins",
    "place_in_bins",
]

_EMPTY = "there are no samples"
_BLOCK = 4_000_000
"""Simulated outcomes held at a time."""


class FilledBins(NamedTuple):
    """The bins that hold samples, in ascending order."""

    places: Integers
    """Number of each bin, from 0."""
    counts: Integers
    """Samples in it."""
    forecast: Floats
    """Mean probability of its samples."""
    share: Floats
    """Share of its samples that came true."""


def fill_bins(*, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10, equally: bool = False) -> FilledBins:
    """Return the bins that calibration errors and reliability diagrams are made of.

    Args:
        y_prob: as above.
        y_true: as above.
        n_bins: bins of equal width.
        equally: whether bins hold equally many samples instead; equal probabilities share one.
    """
    probabilities, outcomes = events(y_prob, y_true)
    index = place_in_bins(probabilities, n_bins=n_bins, equally=equally)
    counts = np.bincount(index)
    places = np.flatnonzero(counts)
    counts, hits, sums = counts[places], np.bincount(index, outcomes)[places], np.bincount(index, probabilities)[places]
    return FilledBins(places, counts, sums / counts, hits / counts)


def place_in_bins(probabilities: Floats, *, n_bins: int, equally: bool = False) -> Integers:
    """Return the bin of each probability, from 0: of equal width, or holding equally many; equal ones share one."""
    return (_equal_mass if equally else _equal_width)(probabilities, n_bins)


def compute_ece(*, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10) -> Estimate:
    """Return the expected calibration error: the mean gap of equal-width bins, weighted by samples.

    It is biased upwards: a perfectly calibrated model has a positive one, the more so at
    small n. Source: M. P. Naeini et al., AAAI (2015); C. Guo et al., ICML (2017).
    """
    probabilities, outcomes = events(y_prob, y_true)
    counts, gaps = _gaps(_equal_width(probabilities, n_bins), probabilities, outcomes=outcomes)
    return _weighted(counts, gaps)


def compute_mce(*, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10) -> Estimate:
    """Return the largest gap of the equal-width bins that hold samples."""
    probabilities, outcomes = events(y_prob, y_true)
    _, gaps = _gaps(_equal_width(probabilities, n_bins), probabilities, outcomes=outcomes)
    return Estimate(float(np.abs(gaps).max()), len(outcomes)) if len(outcomes) else Estimate(None, 0, _EMPTY)


def compute_adaptive_ece(*, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10) -> Estimate:
    """Return the mean gap of bins that hold equally many samples; equal probabilities share a bin.

    Source: J. Nixon et al., CVPR workshops (2019).
    """
    probabilities, outcomes = events(y_prob, y_true)
    counts, gaps = _gaps(_equal_mass(probabilities, n_bins), probabilities, outcomes=outcomes)
    return _weighted(counts, gaps)


def compute_debiased_ece(*, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10) -> Estimate:
    """Return the root-mean-square gap of equally filled bins, less what chance adds to its square.

    The square is unbiased for the binned error; below 0 it counts as 0. Bins hold two
    samples at least. Source: A. Kumar et al., NeurIPS (2019).
    """
    probabilities, outcomes = events(y_prob, y_true)
    n = len(outcomes)
    if n < 2:
        return Estimate(None, n, "chance cannot be told from error with fewer than 2 samples")
    index = _equal_mass(probabilities, min(n_bins, n // 2))
    counts, gaps = _gaps(index, probabilities, outcomes=outcomes)
    shares = np.bincount(index, outcomes, minlength=index.max() + 1)[np.unique(index)] / counts
    noise = chance_in_gaps(gaps**2, counts, shares=shares)
    return Estimate(float(np.sqrt(max(0.0, np.dot(counts, gaps**2 - noise) / n))), n)


def chance_in_gaps(squares: Floats, counts: Integers | Floats, *, shares: Floats) -> Floats:
    """Return what chance adds to the squared gap of each bin; to that of a single sample all of it.

    Args:
        squares: squared gaps.
        counts: samples of the bins.
        shares: their shares that came true.
    """
    return np.where(counts < 2, squares, shares * (1 - shares) / np.maximum(counts - 1, 1))


def compute_calibration_p(
    *, y_prob: ArrayLike, y_true: ArrayLike, n_bins: int = 10, draws: int = 999, seed: int = 0
) -> Estimate:
    """Return the p-value of perfect calibration: how often chance alone gives as large an ECE.

    Outcomes are drawn from the probabilities themselves, so that the test keeps its
    level at every n. It is small where the probabilities cannot be right.

    Args:
        y_prob: as above.
        y_true: as above.
        n_bins: equal-width bins.
        draws: simulated data sets; the p-value is a multiple of 1 / (draws + 1).
        seed: seed of the simulation.
    """
    probabilities, outcomes = events(y_prob, y_true)
    n = len(outcomes)
    if n == 0:
        return Estimate(None, 0, _EMPTY)
    index = _equal_width(probabilities, n_bins)
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    expected = np.add.reduceat(probabilities[order], starts)
    chance, drawn = np.random.default_rng(seed), []
    observed = np.abs(np.add.reduceat(outcomes[order], starts) - expected).sum()
    for first in range(0, draws, max(1, _BLOCK // n)):
        rows = min(draws - first, max(1, _BLOCK // n))
        hits = (chance.random((rows, n)) < probabilities[order]).astype(np.float64)
        drawn.append(np.abs(np.add.reduceat(hits, starts, axis=1) - expected).sum(axis=1))
    # What is equal but for the order of additions counts as equal.
    reached = sum(int((each >= observed - 1e-9 * n).sum()) for each in drawn)
    return Estimate((1 + reached) / (1 + draws), n)


def _equal_width(probabilities: Floats, n_bins: int) -> Integers:
    _refuse_no_bins(n_bins)
    # Quotients are the nearest numbers to m / M, as the probabilities people write are.
    return np.searchsorted(np.arange(1, n_bins) / n_bins, probabilities, side="left")


def _equal_mass(probabilities: Floats, n_bins: int) -> Integers:
    _refuse_no_bins(n_bins)
    n = len(probabilities)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    last = -(-np.arange(1, n_bins) * n // n_bins) - 1
    return np.searchsorted(np.unique(np.sort(probabilities)[last]), probabilities, side="left")


def _refuse_no_bins(n_bins: int) -> None:
    if n_bins < 1:
        raise ResultError(f"`n_bins` is `{n_bins}`; it must be at least 1")


def _gaps(index: Integers, probabilities: Floats, *, outcomes: Floats) -> tuple[Integers, Floats]:
    """Return count and mean outcome minus mean probability of each bin that holds samples."""
    counts = np.bincount(index)
    filled = counts > 0
    sums = np.bincount(index, outcomes) - np.bincount(index, probabilities)
    return counts[filled], sums[filled] / counts[filled]


def _weighted(counts: Integers, gaps: Floats) -> Estimate:
    n = int(counts.sum())
    return Estimate(float(np.dot(counts, np.abs(gaps)) / n), n) if n else Estimate(None, 0, _EMPTY)
