"""Scores of numbers: how far they are from the true ones."""

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.estimates import Estimate, Floats

__all__ = ["compute_mae", "compute_r2", "compute_rmse"]

_EMPTY = "no answer holds a number"


def compute_mae(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the mean absolute error, in units of the target."""
    found, true = _pairs(y_pred, y_true)
    return _finite(float(np.abs(found - true).mean()), len(true)) if len(true) else Estimate(None, 0, _EMPTY)


def compute_rmse(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the root of the mean squared error, in units of the target."""
    found, true = _pairs(y_pred, y_true)
    if not len(true):
        return Estimate(None, 0, _EMPTY)
    error = np.abs(found - true)
    largest = float(error.max())
    # Scaled, since squares of what still is a number may be none.
    scaled = error / largest if 0 < largest < np.inf else error
    return _finite(float(np.sqrt((scaled**2).mean()) * (largest or 1.0)), len(true))


def compute_r2(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return 1 - SSE / SST, the share of the targets' variance explained; below 0 is worse than their mean.

    The mean is that of the samples scored. Source: N. Draper, H. Smith, Applied
    Regression Analysis, 3rd ed. (1998), section 1.3.
    """
    found, true = _pairs(y_pred, y_true)
    if len(true) < 2:
        return Estimate(None, len(true), "fewer than 2 answers hold a number")
    spread = float(((true - true.mean()) ** 2).sum())
    if spread == 0:
        return Estimate(None, len(true), "all targets are the same")
    with np.errstate(over="ignore"):
        return _finite(float(1 - ((found - true) ** 2).sum() / spread), len(true))


def _pairs(y_pred: ArrayLike, y_true: ArrayLike) -> tuple[Floats, Floats]:
    found, true = np.asarray(y_pred, dtype=np.float64), np.asarray(y_true, dtype=np.float64)
    if found.shape != true.shape or found.ndim != 1:
        raise ResultError(f"numbers of shapes {found.shape} and {true.shape} do not belong together")
    return found, true


def _finite(value: float, n: int) -> Estimate:
    return Estimate(value, n) if np.isfinite(value) else Estimate(None, n, "infinite: an answer is too far off")
