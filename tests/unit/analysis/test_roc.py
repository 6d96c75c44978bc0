"""The area under the ROC curve, its variance and its interval."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cruijff_kit.analysis.roc import auc_interval, rank_scores


@pytest.mark.parametrize("digits", (1, 2, 12))
def test_it_is_the_library_s_area_with_and_without_ties(digits: int) -> None:
    rng = np.random.default_rng(digits)
    for _ in range(200):
        n = int(rng.integers(4, 200))
        score, positive = np.round(rng.random(n), digits), rng.integers(0, 2, n)
        if positive.min() < positive.max():
            assert rank_scores(score, positive).auc == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_delong_s_variance_is_that_of_its_placement_values() -> None:
    rng = np.random.default_rng(5)
    ones, noughts = np.round(rng.normal(1, 1, 40), 1), np.round(rng.normal(0, 1, 60), 1)
    beats = (ones[:, None] > noughts) + (ones[:, None] == noughts) / 2
    expected = beats.mean(axis=1).var(ddof=1) / 40 + beats.mean(axis=0).var(ddof=1) / 60
    found = rank_scores(np.concatenate((ones, noughts)), np.repeat([1, 0], (40, 60)))
    assert found.auc == pytest.approx(beats.mean())
    assert found.variance == pytest.approx(expected)


@pytest.mark.parametrize("shift", (0.0, 1.0, 2.5))
def test_the_interval_covers_as_often_as_it_says(shift: float) -> None:
    from scipy.special import ndtr

    rng, truth, covered = np.random.default_rng(11), ndtr(shift / np.sqrt(2)), 0
    positive = np.repeat([1, 0], (25, 35))
    for _ in range(1_000):
        interval = auc_interval(rank_scores(rng.normal(shift * positive, 1), positive), level=0.95)
        covered += (interval.low or 0.0) <= truth <= (interval.high or 0.0)
    assert 930 <= covered <= 985


def test_a_faultless_ranking_still_has_an_interval() -> None:
    interval = auc_interval(rank_scores(np.arange(40.0), np.repeat([0, 1], 20)), level=0.95)
    assert interval.value == interval.high == 1.0
    assert 0.85 < (interval.low or 0.0) < 0.95
    mirrored = auc_interval(rank_scores(-np.arange(40.0), np.repeat([0, 1], 20)), level=0.95)
    assert (mirrored.low, mirrored.high) == pytest.approx((0.0, 1 - (interval.low or 0.0)))


def test_one_class_alone_has_no_area() -> None:
    assert auc_interval(rank_scores(np.arange(5.0), np.ones(5, dtype=int)), level=0.95).value is None
