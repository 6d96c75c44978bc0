"""Scores of decisions: accuracy in its kinds, abstention, cost, risk against coverage.

A decision is the index of the option chosen; -1 stands for none: an abstention, an answer
that could not be parsed, or an error; -2 for an answer that is not one of the options.
Neither is ever right, and both stay in every denominator.
"""

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.scoring.estimates import Estimate, Floats

__all__ = [
    "NONE",
    "OTHER",
    "compute_accuracy",
    "compute_aurc",
    "compute_balanced_accuracy",
    "compute_expected_cost",
    "compute_f1",
    "compute_selective_accuracy",
    "compute_share",
    "decision_costs",
]

NONE = -1
"""No option was chosen."""
OTHER = -2
"""Something was chosen that is not an option."""
_EMPTY = "there are no samples"


def compute_share(*, flags: ArrayLike) -> Estimate:
    """Return the share of samples that are flagged."""
    given = np.asarray(flags, dtype=bool)
    return Estimate(float(given.mean()), len(given)) if len(given) else Estimate(None, 0, _EMPTY)


def compute_accuracy(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the share of samples decided rightly, of all."""
    return compute_share(flags=np.asarray(y_pred) == np.asarray(y_true))


def compute_selective_accuracy(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the share of samples decided rightly, of those decided."""
    chosen, labels = np.asarray(y_pred), np.asarray(y_true)
    decided = chosen != NONE
    if not decided.any():
        return Estimate(None, 0, "no sample was decided")
    return compute_share(flags=chosen[decided] == labels[decided])


def compute_balanced_accuracy(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return the mean recall of the classes that occur; undecided samples lower their class's."""
    chosen, labels = np.asarray(y_pred), np.asarray(y_true)
    if not len(labels):
        return Estimate(None, 0, _EMPTY)
    recalls = [float((chosen[labels == each] == each).mean()) for each in np.unique(labels)]
    return Estimate(float(np.mean(recalls)), len(labels))


def compute_f1(*, y_pred: ArrayLike, y_true: ArrayLike) -> Estimate:
    """Return macro F1: the mean over classes that occur or were chosen of 2 TP / (2 TP + FP + FN)."""
    chosen, labels = np.asarray(y_pred), np.asarray(y_true)
    if not len(labels):
        return Estimate(None, 0, _EMPTY)
    classes = np.setdiff1d(np.union1d(labels, chosen), [NONE, OTHER])
    scores = [
        2 * int(((chosen == each) & (labels == each)).sum()) / int((chosen == each).sum() + (labels == each).sum())
        for each in classes
    ]
    return Estimate(float(np.mean(scores)), len(labels))


def compute_expected_cost(
    *, y_pred: ArrayLike, y_true: ArrayLike, cost_matrix: ArrayLike, abstain_cost: float = 0.0
) -> Estimate:
    """Return the mean cost of the decisions, each as `decision_costs` counts it."""
    if not len(np.asarray(y_true)):
        return Estimate(None, 0, _EMPTY)
    paid = decision_costs(y_pred=y_pred, y_true=y_true, cost_matrix=cost_matrix, abstain_cost=abstain_cost)
    return Estimate(float(paid.mean()), len(paid))


def decision_costs(
    *, y_pred: ArrayLike, y_true: ArrayLike, cost_matrix: ArrayLike, abstain_cost: float = 0.0
) -> Floats:
    """Return the cost of each decision; an answer that is no option costs the most its truth allows.

    Args:
        y_pred: options chosen, -1 for none, -2 for another answer.
        y_true: true options.
        cost_matrix: (true, chosen) cost; rows are truth.
        abstain_cost: what choosing none costs.
    """
    chosen, labels, costs = np.asarray(y_pred), np.asarray(y_true), np.asarray(cost_matrix, dtype=np.float64)
    paid = np.where(chosen == OTHER, costs[labels].max(axis=1), costs[labels, np.maximum(chosen, 0)])
    return np.where(chosen == NONE, abstain_cost, paid)


def compute_aurc(*, confidence: ArrayLike, correct: ArrayLike) -> Estimate:
    """Return the area under the risk-coverage curve: the error rate averaged over all coverages.

    Of k samples acted on, the k most confident, the share that is wrong, averaged over k
    from 1 to n; equal confidences come in every order alike, on average.
    Source: Y. Geifman and R. El-Yaniv, NeurIPS (2017).
    """
    sure, wrong = np.asarray(confidence, dtype=np.float64), ~np.asarray(correct, dtype=bool)
    n = len(sure)
    if n == 0:
        return Estimate(None, 0, _EMPTY)
    _, place, counts = np.unique(-sure, return_inverse=True, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    errors = np.concatenate([[0.0], np.cumsum(np.bincount(place, wrong))])
    acted = np.arange(1, n + 1)
    return Estimate(float((np.interp(acted, ends, errors) / acted).mean()), n)
