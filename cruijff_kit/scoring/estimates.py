"""A figure, or the reason why there is none; and the numbers every metric starts from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cruijff_kit.errors import ResultError

__all__ = ["Estimate", "Floats", "Integers", "events", "probability_rows"]

Floats = NDArray[np.float64]
"""Real numbers."""
Integers = NDArray[np.int64]
"""Whole numbers: labels, counts, positions."""

# What rounding may leave of a sum that should be 1.
_SLACK = 1e-6


class Estimate(NamedTuple):
    """A figure with its sample size, or the reason why it cannot be estimated."""

    value: float | None
    """The figure; None where it cannot be estimated."""
    n: int
    """Samples it rests on."""
    reason: str = ""
    """Why there is no figure."""


def events(y_prob: ArrayLike, y_true: ArrayLike) -> tuple[Floats, Floats]:
    """Return what was forecast with which probability, and whether it came true.

    Args:
        y_prob: shape (n,), probabilities of an event; or (n, K), one row of option
            probabilities a sample, of which the largest is the forecast (the first of equals).
        y_true: shape (n,), 0 or 1 for events, else the index of the true option.

    Raises:
        ResultError: a probability lies outside [0, 1], a row does not sum to 1, or a
            label is none of those possible.
    """
    if np.ndim(y_prob) != 1:
        rows, labels = probability_rows(y_prob, y_true)
        return rows.max(axis=1, initial=0.0), (rows.argmax(axis=1) == labels).astype(np.float64)
    probabilities = np.asarray(y_prob, dtype=np.float64)
    return _in_range(probabilities), _labels(y_true, n=len(probabilities), classes=2).astype(np.float64)


def probability_rows(y_prob: ArrayLike, y_true: ArrayLike) -> tuple[Floats, Integers]:
    """Return (n, K) option probabilities and the true indices; (n,) means P(1) of two options.

    Raises:
        ResultError: as `events` says.
    """
    rows = np.asarray(y_prob, dtype=np.float64)
    if rows.ndim == 1:
        rows = np.column_stack([1 - rows, rows])
    if rows.ndim != 2 or rows.shape[1] < 1:
        raise ResultError(f"probabilities have shape {rows.shape}; allowed are (samples,) and (samples, options)")
    _in_range(rows)
    sums = rows.sum(axis=1)
    if np.abs(sums - 1).max(initial=0.0) > _SLACK:
        raise ResultError(f"probabilities of sample {int(np.abs(sums - 1).argmax())} do not sum to 1")
    return rows, _labels(y_true, n=len(rows), classes=rows.shape[1])


def _in_range(probabilities: Floats) -> Floats:
    outside = ~((probabilities >= 0) & (probabilities <= 1 + _SLACK))
    if outside.any():
        raise ResultError(f"`{probabilities[outside].flat[0]}` is no probability; it must lie in [0, 1]")
    return probabilities


def _labels(y_true: ArrayLike, *, n: int, classes: int) -> Integers:
    labels: NDArray[Any] = np.asarray(y_true)
    if labels.shape != (n,):
        raise ResultError(f"{n} probabilities and labels of shape {labels.shape} do not belong together")
    unknown = ~np.isin(labels, np.arange(classes))
    if unknown.any():
        raise ResultError(f"`{labels[unknown][0]}` is no label; labels go from 0 to {classes - 1}")
    return labels.astype(np.int64)
