"""Brier, log loss, AUC and the recalibration line, by hand and at their ends."""

from math import log

import numpy as np
import pytest

from cruijff_kit.scoring.probability_scores import (
    compute_auc,
    compute_brier_score,
    compute_calibration_intercept,
    compute_calibration_slope,
    compute_log_loss,
)


def test_the_multiclass_brier_score_of_two_options_is_twice_the_binary_one() -> None:
    sure, true = np.array([0.1, 0.8, 0.4]), [0, 1, 1]
    rows = np.column_stack([1 - sure, sure])
    binary = compute_brier_score(y_prob=sure, y_true=true).value
    assert binary == pytest.approx((0.01 + 0.04 + 0.36) / 3)
    assert compute_brier_score(y_prob=rows, y_true=true).value == pytest.approx(2 * (binary or 0))


def test_log_loss_is_the_mean_surprise_in_nats() -> None:
    assert compute_log_loss(y_prob=[0.25, 0.5], y_true=[1, 0]).value == pytest.approx((log(4) + log(2)) / 2)


def test_an_impossible_truth_makes_the_log_loss_infinite_in_words() -> None:
    found = compute_log_loss(y_prob=[[1.0, 0.0], [0.5, 0.5]], y_true=[1, 0])
    assert (found.value, found.n) == (None, 2)
    assert found.reason == "infinite: 1 true options were given probability 0"


def test_ties_count_half_in_the_auc() -> None:
    assert compute_auc(y_prob=[0.2, 0.5, 0.5, 0.9], y_true=[0, 0, 1, 1]).value == pytest.approx(3.5 / 4)
    assert compute_auc(y_prob=[0.5, 0.5, 0.5], y_true=[0, 1, 1]).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    "y_prob,y_true,said",
    (
        ([0.2, 0.9], [1, 1], "all outcomes are the same"),
        ([[0.2, 0.3, 0.5]], [1], "there are 3"),
        ([], [], "there are no samples"),
    ),
)
def test_an_auc_that_does_not_exist_has_a_reason(y_prob: list[float], y_true: list[int], said: str) -> None:
    found = compute_auc(y_prob=y_prob, y_true=y_true)
    assert found.value is None
    assert said in found.reason


def test_the_line_finds_how_far_log_odds_were_stretched_and_shifted() -> None:
    chance = np.random.default_rng(3)
    odds = chance.normal(0, 1.5, 40_000)
    came = (chance.random(40_000) < 1 / (1 + np.exp(-odds))).astype(int)
    stretched, shifted = (1 / (1 + np.exp(-each)) for each in (2 * odds, odds + 0.7))
    assert compute_calibration_slope(y_prob=stretched, y_true=came).value == pytest.approx(0.5, abs=0.02)
    assert compute_calibration_intercept(y_prob=shifted, y_true=came).value == pytest.approx(-0.7, abs=0.04)


def test_certain_forecasts_have_a_line_too() -> None:
    slope = compute_calibration_slope(y_prob=[0.0, 1.0, 1.0, 0.6, 0.3], y_true=[0, 1, 0, 1, 0]).value
    assert slope is not None
    assert 0 < slope < 1


@pytest.mark.parametrize(
    "y_prob,y_true,said",
    (
        ([0.3, 0.6], [1, 1], "all outcomes are the same"),
        ([0.3, 0.3], [0, 1], "all probabilities are the same"),
        ([0.1, 0.2, 0.7, 0.8], [0, 0, 1, 1], "separate the outcomes perfectly"),
        ([], [], "there are no samples"),
    ),
)
def test_a_line_that_does_not_exist_has_a_reason(y_prob: list[float], y_true: list[int], said: str) -> None:
    found = compute_calibration_slope(y_prob=y_prob, y_true=y_true)
    assert found.value is None
    assert said in found.reason


def test_no_samples_have_no_score_but_a_reason() -> None:
    for measure in (compute_brier_score, compute_log_loss, compute_calibration_intercept):
        found = measure(y_prob=[], y_true=[])
        assert (found.value, found.reason) == (None, "there are no samples")
