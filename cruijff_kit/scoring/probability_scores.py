"""Scores of probabilities: Brier, log loss, AUC, and the recalibration line."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.scoring.estimates import Estimate, Floats, events, probability_rows

__all__ = [
    "FittedLine",
    "compute_auc",
    "compute_brier_score",
    "compute_calibration_intercept",
    "compute_calibration_slope",
    "compute_log_loss",
    "fit_intercept",
    "fit_slope",
]

_EMPTY = "there are no samples"
_ONE_CLASS = "all outcomes are the same"
_CLIP = 1e-12
"""Probabilities nearer to 0 or 1 have no finite log-odds worth a line; they count as this near."""
_STEPS = 100


class FittedLine(NamedTuple):
    """A coefficient of the recalibration line, with what sampling leaves open."""

    estimate: Estimate
    """The coefficient, or why there is none."""
    error: float
    """Its standard error, right even where no line fits; not a number where there is no coefficient."""


def compute_brier_score(*, y_prob: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the mean squared error of probabilities; smaller is better.

    With shape (n,) it is the binary score, mean (p - y)^2 in [0, 1]; with (n, K) the
    multiclass one, the sum over all options, in [0, 2]. At K = 2 that is twice the
    binary score. Source: G. W. Brier, Monthly Weather Review 78 (1950), 1-3.
    """
    if np.ndim(y_prob) == 1:
        probabilities, outcomes = events(y_prob, y_true)
        squares = (probabilities - outcomes) ** 2
    else:
        rows, labels = probability_rows(y_prob, y_true)
        squares = ((rows - np.eye(rows.shape[1])[labels]) ** 2).sum(axis=1)
    return Estimate(float(squares.mean()), len(squares)) if len(squares) else Estimate(None, 0, _EMPTY)


def compute_log_loss(*, y_prob: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the mean of -ln of the true option's probability, in nats."""
    rows, labels = probability_rows(y_prob, y_true)
    if len(rows) == 0:
        return Estimate(None, 0, _EMPTY)
    given = rows[np.arange(len(rows)), labels]
    impossible = int((given == 0).sum())
    if impossible:
        return Estimate(None, len(rows), f"infinite: {impossible} true options were given probability 0")
    return Estimate(float(-np.log(given).mean()), len(rows))


def compute_auc(*, y_prob: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the chance that a sample of class 1 has a higher P(1) than one of class 0; ties count half.

    Source: J. A. Hanley and B. J. McNeil, Radiology 143 (1982), 29-36.
    """
    rows, labels = probability_rows(y_prob, y_true)
    n, positive = len(rows), int(labels.sum())
    if rows.shape[1] != 2:
        return Estimate(None, n, f"the AUC is one of two options, and there are {rows.shape[1]}")
    if positive in {0, n}:
        return Estimate(None, n, _ONE_CLASS if n else _EMPTY)
    _, place, counts = np.unique(rows[:, 1], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    wins = ranks[labels == 1].sum() - positive * (positive + 1) / 2
    return Estimate(float(wins / (positive * (n - positive))), n)


def compute_calibration_slope(*, y_prob: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return b of logit P(event) = a + b logit(p), fitted by maximum likelihood.

    1 is perfect, below 1 overconfident. Source: D. R. Cox, Biometrika 45 (1958), 562-565.
    """
    return fit_slope(y_prob=y_prob, y_true=y_true).estimate


def compute_calibration_intercept(*, y_prob: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return a of logit P(event) = a + logit(p): calibration in the large, with the slope held at 1.

    0 is perfect, below 0 the event comes true less often than said. Source: as for the slope.
    """
    return fit_intercept(y_prob=y_prob, y_true=y_true).estimate


def fit_slope(*, y_prob: ArrayLike, y_true: ArrayLike) -> FittedLine:
    """Return the calibration slope with its standard error."""
    probabilities, outcomes = events(y_prob, y_true)
    odds = _log_odds(probabilities)
    if len(np.unique(odds)) < 2:
        return _unfitted(len(odds), "all probabilities are the same" if len(odds) else _EMPTY)
    return _fitted(np.column_stack([odds, np.ones_like(odds)]), outcomes, offset=np.zeros_like(odds))


def fit_intercept(*, y_prob: ArrayLike, y_true: ArrayLike) -> FittedLine:
    """Return the calibration intercept with its standard error."""
    probabilities, outcomes = events(y_prob, y_true)
    return _fitted(np.ones((len(outcomes), 1)), outcomes, offset=_log_odds(probabilities))


def _log_odds(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities, _CLIP, 1 - _CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _unfitted(n: int, reason: str) -> FittedLine:
    return FittedLine(Estimate(None, n, reason), float("nan"))


def _fitted(design: Floats, outcomes: Floats, *, offset: Floats) -> FittedLine:
    """Return the first coefficient of a logistic regression, by damped Newton steps."""
    n = len(outcomes)
    if len(np.unique(outcomes)) < 2:
        return _unfitted(n, _ONE_CLASS if n else _EMPTY)
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(-np.clip(design @ weights + offset, -700, 700)))
        curvature = (design * (chances * (1 - chances))[:, None]).T @ design
        if _singular(curvature):
            break
        step = np.asarray(np.linalg.solve(curvature, design.T @ (outcomes - chances)), dtype=np.float64)
        weights = weights + _damping(design, outcomes, offset=offset, weights=weights, step=step) * step
        if np.abs(step).max() < 1e-10 * (1 + np.abs(weights).max()):
            return FittedLine(Estimate(float(weights[0]), n), _error(design, outcomes - chances, curvature=curvature))
    return _unfitted(n, "the probabilities separate the outcomes perfectly; every steeper line fits better")


def _singular(curvature: Floats) -> bool:
    """Return whether no step can be computed; a single number is so at 0 alone, and needs no decomposition."""
    if curvature.size == 1:
        return not curvature.any()
    return bool(np.linalg.cond(curvature) > 1 / np.finfo(np.float64).eps)


def _error(design: Floats, residuals: Floats, *, curvature: Floats) -> float:
    """Return the first coefficient's robust standard error.

    Source: H. White, Econometrica 50 (1982), 1-25.
    """
    inverse, scores = np.linalg.inv(curvature), design * residuals[:, None]
    return float(np.sqrt((inverse @ (scores.T @ scores) @ inverse)[0, 0]))


def _damping(design: Floats, outcomes: Floats, *, offset: Floats, weights: Floats, step: Floats) -> float:
    """Return the share of a Newton step that does not make the likelihood worse."""

    def loss(at: Floats) -> float:
        line = design @ at + offset
        return float((np.logaddexp(0, line) - outcomes * line).sum())

    share, before = 1.0, loss(weights)
    while share > 1e-6 and loss(weights + share * step) > before + 1e-12 * abs(before):
        share /= 2
    return share
