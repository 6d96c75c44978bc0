"""The area under the ROC curve, with an interval that holds at its ends."""

from math import exp, isfinite, log, sqrt
from typing import NamedTuple

import numpy as np

from cruijff_kit.analysis.distributions import normal_quantile
from cruijff_kit.analysis.group_columns import Floats, Ints
from cruijff_kit.schema.report import Interval

__all__ = ["Ranking", "auc_interval", "auc_variance", "rank_scores"]

_HALVINGS = 50


class Ranking(NamedTuple):
    """An area under the ROC curve with DeLong's variance."""

    auc: float
    """Chance that a sample of class 1 has the higher score, ties counted half."""
    variance: float
    """Its variance; not a number with fewer than two of a class."""
    positives: int
    """Samples of class 1."""
    negatives: int
    """Samples of class 0."""


def rank_scores(score: Floats, positive: Ints, *, ordered: bool = False) -> Ranking:
    """Return the AUC of scores with its variance.

    Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988),
    837-845, by midranks as in X. Sun, W. Xu, IEEE Signal Process. Lett. 21 (2014).

    Args:
        score: P(class 1), or any score that rises with it.
        positive: 1 or 0 by class.
        ordered: whether the scores ascend already.
    """
    if not ordered:
        order = np.argsort(score, kind="stable")
        score, positive = score[order], positive[order]
    m, n = int(positive.sum()), int(len(positive) - positive.sum())
    if not m or not n:
        return Ranking(float("nan"), float("nan"), m, n)
    starts = np.flatnonzero(np.concatenate(([True], score[1:] != score[:-1])))
    ones = np.add.reduceat(positive, starts)
    noughts = np.diff(np.append(starts, len(score))) - ones
    # Each sample's share of the other class that it beats; tied samples have one share.
    beaten = (np.cumsum(noughts) - noughts / 2) / n
    beating = 1 - (np.cumsum(ones) - ones / 2) / m
    auc = float(ones @ beaten / m)
    if min(m, n) < 2:
        return Ranking(auc, float("nan"), m, n)
    spread = ones @ (beaten - auc) ** 2 / (m - 1) / m + noughts @ (beating - auc) ** 2 / (n - 1) / n
    return Ranking(auc, float(spread), m, n)


def auc_interval(ranking: Ranking, *, level: float) -> Interval:
    """Return an AUC with DeLong's interval on the logit scale.

    Where the classes are told apart without a fault, DeLong's variance is zero; the
    interval then is where Hanley and McNeil's variance just allows the value.
    Source: R. G. Newcombe, Statistics in Medicine 25 (2006), 559-573, method 5.
    """
    n = ranking.positives + ranking.negatives
    if not isfinite(ranking.variance):
        return Interval(value=None, low=None, high=None, n=n, level=level, method="delong, logit")
    z, auc = normal_quantile(level), ranking.auc
    if not ranking.variance or auc in {0.0, 1.0}:
        limit = _limit(ranking, z)
        low, high = (limit, 1.0) if auc > 0.5 else (0.0, 1 - limit)
        return Interval(value=auc, low=low, high=high, n=n, level=level, method="hanley-mcneil, score")
    centre, half = log(auc / (1 - auc)), z * sqrt(ranking.variance) / (auc * (1 - auc))
    low, high = (1 / (1 + exp(-end)) for end in (centre - half, centre + half))
    return Interval(value=auc, low=low, high=high, n=n, level=level, method="delong, logit")


def auc_variance(ranking: Ranking, *, at: float) -> float:
    """Return DeLong's variance, or Hanley and McNeil's at another AUC where that is zero."""
    return ranking.variance or _hanley_mcneil(ranking, at)


def _limit(ranking: Ranking, z: float) -> float:
    """Return the smallest AUC under which a faultless sample is not yet a surprise."""
    low, high = 0.5, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if 1 - middle > z * sqrt(_hanley_mcneil(ranking, middle)):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _hanley_mcneil(ranking: Ranking, auc: float) -> float:
    m, n, mean = ranking.positives, ranking.negatives, (ranking.positives + ranking.negatives) / 2
    near, far = (1 - auc) / (2 - auc), auc / (1 + auc)
    return auc * (1 - auc) * (1 + (mean - 1) * (near + far)) / (m * n)
