"""Decisions: every sample stays in the denominator, whatever became of it."""

from itertools import permutations

import numpy as np
import pytest

from cruijff_kit.scoring.decision_scores import (
    NONE,
    OTHER,
    compute_accuracy,
    compute_aurc,
    compute_balanced_accuracy,
    compute_expected_cost,
    compute_f1,
    compute_selective_accuracy,
    compute_share,
)

CHOSEN, TRUE = [0, 0, 1, NONE, OTHER, 1], [0, 1, 1, 1, 0, 1]


def test_undecided_and_foreign_answers_are_wrong_and_counted() -> None:
    found = compute_accuracy(y_pred=CHOSEN, y_true=TRUE)
    assert (found.value, found.n) == (pytest.approx(3 / 6), 6)


def test_selective_accuracy_leaves_out_what_was_not_decided() -> None:
    found = compute_selective_accuracy(y_pred=CHOSEN, y_true=TRUE)
    assert (found.value, found.n) == (pytest.approx(3 / 5), 5)


def test_balanced_accuracy_is_the_mean_recall() -> None:
    assert compute_balanced_accuracy(y_pred=CHOSEN, y_true=TRUE).value == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_f1_counts_undecided_answers_as_missed() -> None:
    # Class 0: TP 1, FP 1, FN 1; class 1: TP 2, FP 0, FN 2.
    assert compute_f1(y_pred=CHOSEN, y_true=TRUE).value == pytest.approx((2 / 4 + 4 / 6) / 2)


def test_cost_rows_are_truth_and_a_foreign_answer_costs_the_most() -> None:
    costs = [[0, 1], [10, 0]]
    assert compute_expected_cost(y_pred=[0], y_true=[1], cost_matrix=costs).value == 10
    assert compute_expected_cost(y_pred=[1], y_true=[0], cost_matrix=costs).value == 1
    found = compute_expected_cost(y_pred=CHOSEN, y_true=TRUE, cost_matrix=costs, abstain_cost=3)
    assert found.value == pytest.approx((0 + 10 + 0 + 3 + 1 + 0) / 6)


def test_the_area_under_the_risk_curve_by_hand() -> None:
    found = compute_aurc(confidence=[0.9, 0.8, 0.7], correct=[True, False, True])
    assert found.value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_equal_confidences_count_as_the_mean_over_their_orders() -> None:
    right = (True, False, False, True)
    areas = [
        sum((np.cumsum([not right[0], *(not each for each in order)]) / np.arange(1, 5)).tolist()) / 4
        for order in permutations(right[1:])
    ]
    found = compute_aurc(confidence=[0.9, 0.6, 0.6, 0.6], correct=right)
    assert found.value == pytest.approx(np.mean(areas))


def test_nothing_decided_and_no_samples_have_reasons() -> None:
    assert compute_selective_accuracy(y_pred=[NONE], y_true=[0]).reason == "no sample was decided"
    assert compute_share(flags=[]).reason == "there are no samples"
    assert compute_aurc(confidence=[], correct=[]).reason == "there are no samples"
    for measure in (compute_accuracy, compute_balanced_accuracy, compute_f1):
        assert measure(y_pred=[], y_true=[]).reason == "there are no samples"
    assert compute_expected_cost(y_pred=[], y_true=[], cost_matrix=[[0]]).value is None
