"""Calibration error: hand-computed values, bin edges, ties, and what chance alone does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.calibration_error import (
    compute_adaptive_ece,
    compute_calibration_p,
    compute_debiased_ece,
    compute_ece,
    compute_mce,
)
from cruijff_kit.scoring.probability_scores import compute_brier_score

HAND = (
    (0.04, 0), (0.18, 0),
    (0.26, 0),
    (0.45, 1), (0.49, 0),
    (0.71, 1), (0.77, 0),
    (0.94, 1), (0.95, 0), (0.97, 1),
)  # fmt: skip
"""Ten forecasts in five bins, whose gaps are -.22/2, -.26/1, +.06/2, -.48/2 and -.86/3."""
HAND_PROB, HAND_TRUE = [p for p, _ in HAND], [y for _, y in HAND]


def test_the_hand_example_has_its_three_figures() -> None:
    assert compute_ece(y_prob=HAND_PROB, y_true=HAND_TRUE, n_bins=5).value == pytest.approx(0.188, abs=1e-12)
    assert compute_mce(y_prob=HAND_PROB, y_true=HAND_TRUE, n_bins=5).value == pytest.approx(0.86 / 3, abs=1e-12)
    assert compute_brier_score(y_prob=HAND_PROB, y_true=HAND_TRUE).value == pytest.approx(0.22282, abs=1e-12)


def test_a_forecast_of_zero_lies_in_the_first_bin_and_one_in_the_last() -> None:
    assert compute_ece(y_prob=[0.0, 0.15], y_true=[1, 0], n_bins=10).value == pytest.approx((1 + 0.15) / 2)
    # 0.95 and 1 share a bin: (0 + 1 - 0.95 - 1) / 2; in bins of their own they would be off by more.
    assert compute_ece(y_prob=[0.95, 1.0], y_true=[1, 0], n_bins=10).value == pytest.approx(0.475)
    assert compute_mce(y_prob=[0.95, 1.0], y_true=[1, 0], n_bins=10).value == pytest.approx(0.475)


@pytest.mark.parametrize("edge", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
def test_a_forecast_on_an_edge_belongs_to_the_bin_below(edge: float) -> None:
    below, above = edge - 0.05, edge + 0.05
    together = compute_mce(y_prob=[below, edge], y_true=[1, 0], n_bins=10)
    apart = compute_mce(y_prob=[edge, above], y_true=[1, 0], n_bins=10)
    assert together.value == pytest.approx(abs(0.5 - (below + edge) / 2))
    assert apart.value == pytest.approx(max(1 - edge, above))


def test_rows_of_options_are_judged_by_their_first_largest() -> None:
    rows = [[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 1.0, 0.0]]
    assert compute_ece(y_prob=rows, y_true=[0, 0, 1], n_bins=10).value == pytest.approx((0.5 + 0.6 + 0) / 3)


def test_adaptive_bins_hold_equally_many_and_never_part_equals() -> None:
    assert compute_adaptive_ece(y_prob=[0.1, 0.2, 0.8, 0.9], y_true=[0, 1, 1, 0], n_bins=2).value == pytest.approx(0.35)
    tied = [0.5, 0.5, 0.5, 0.9]
    for outcomes in ([1, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]):
        found = compute_adaptive_ece(y_prob=tied, y_true=outcomes, n_bins=2)
        assert found.value == pytest.approx((3 * abs(1 / 3 - 0.5) + 0.1) / 4)


def test_more_bins_than_samples_leave_one_sample_a_bin() -> None:
    assert compute_adaptive_ece(y_prob=[0.2, 0.7], y_true=[0, 1], n_bins=50).value == pytest.approx(0.25)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40), st.randoms())
def test_no_order_of_the_samples_changes_a_figure(pairs: list[tuple[float, int]], chance: object) -> None:
    mixed = sorted(pairs, key=lambda _: chance.random())  # pyright: ignore[reportAttributeAccessIssue]  # a Random
    for measure in (compute_ece, compute_mce, compute_adaptive_ece, compute_debiased_ece):
        first, again = (measure(y_prob=[p for p, _ in each], y_true=[y for _, y in each]) for each in (pairs, mixed))
        assert first.value == pytest.approx(again.value, abs=1e-7)


def test_chance_alone_raises_the_plain_error_and_not_the_debiased_square() -> None:
    plain, squares = [], []
    for trial in range(400):
        chance = np.random.default_rng([trial, 1])
        sure = chance.uniform(0.2, 0.95, 200)
        came = (chance.random(200) < sure).astype(int)
        plain.append(compute_ece(y_prob=sure, y_true=came).value or 0.0)
        debiased = compute_debiased_ece(y_prob=sure, y_true=came).value
        squares.append(debiased == 0)
    assert np.mean(plain) > 0.05
    # The unbiased square is below 0 about as often as above it.
    assert 0.4 < np.mean(squares) < 0.75


def test_a_perfectly_calibrated_model_is_rarely_flagged() -> None:
    flagged = 0
    for trial in range(1_000):
        chance = np.random.default_rng([trial, 2])
        rows = chance.dirichlet(np.ones(4), 100)
        true = (chance.random((100, 1)) > rows.cumsum(axis=1)).sum(axis=1).clip(0, 3)
        found = compute_calibration_p(y_prob=rows, y_true=true, draws=199, seed=trial).value
        flagged += found is not None and found <= 0.05
    # The level is 5 %; 73 is that plus 3.3 standard errors.
    assert flagged <= 73


def test_an_overconfident_model_is_flagged_at_a_hundred_samples() -> None:
    chance = np.random.default_rng(7)
    right = (chance.random(100) < 0.7).astype(int)
    found = compute_calibration_p(y_prob=np.full(100, 0.95), y_true=right)
    assert found.value == pytest.approx(1 / 1_000)


def test_a_large_split_is_simulated_in_pieces_with_the_same_answer_every_time() -> None:
    chance = np.random.default_rng(8)
    sure = chance.random(30_000)
    came = (chance.random(30_000) < sure).astype(int)
    first, again = (compute_calibration_p(y_prob=sure, y_true=came, draws=199, seed=4) for _ in range(2))
    assert first == again
    assert first.value is not None
    assert first.value > 0.01


@pytest.mark.parametrize(
    "measure", (compute_ece, compute_mce, compute_adaptive_ece, compute_debiased_ece, compute_calibration_p)
)
def test_no_samples_give_a_reason_instead_of_a_number(measure: object) -> None:
    found = measure(y_prob=[], y_true=[])  # pyright: ignore[reportCallIssue]  # one of the five above
    assert found.value is None
    assert found.n == 0
    assert found.reason


def test_one_sample_cannot_be_debiased() -> None:
    found = compute_debiased_ece(y_prob=[0.7], y_true=[1])
    assert (found.value, found.n) == (None, 1)
    assert "fewer than 2 samples" in found.reason


@pytest.mark.parametrize(
    "y_prob,y_true,said",
    (
        (HAND_TRUE, HAND_PROB, "is no label; labels go from 0 to 1"),
        ([1.2], [1], "is no probability"),
        ([float("nan")], [1], "is no probability"),
        ([[0.5, 0.4]], [0], "do not sum to 1"),
        ([[0.5, 0.5]], [2], "labels go from 0 to 1"),
        ([0.5], [0, 1], "do not belong together"),
        ([[[0.5]]], [0], "allowed are"),
    ),
)
def test_numbers_that_cannot_be_meant_are_refused_in_words(y_prob: object, y_true: object, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        compute_ece(y_prob=y_prob, y_true=y_true)  # pyright: ignore[reportArgumentType]  # wrong on purpose


def test_no_bins_at_all_are_refused() -> None:
    with pytest.raises(ResultError, match="`n_bins` is `0`"):
        compute_ece(y_prob=[0.5], y_true=[1], n_bins=0)
