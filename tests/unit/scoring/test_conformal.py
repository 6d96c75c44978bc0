"""Prediction sets: scores by hand, the right rank, full sets for too little data."""

from fractions import Fraction
from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.conformal import ConformalPredictor, conformal_quantile, conformity_scores

ROWS = [[0.5, 0.2, 0.3], [0.4, 0.4, 0.2], [0.0, 1.0, 0.0]]


def test_lac_scores_are_one_minus_the_probability() -> None:
    assert conformity_scores(probabilities=ROWS, method="lac")[0].tolist() == pytest.approx([0.5, 0.8, 0.7])


def test_aps_adds_a_share_of_its_own_probability_to_those_above() -> None:
    found = conformity_scores(probabilities=ROWS[:1], method="aps", uniforms=[0.25])
    assert found[0].tolist() == pytest.approx([0.125, 0.8 + 0.05, 0.5 + 0.075])


def test_deterministic_aps_adds_all_of_its_own_probability() -> None:
    found = conformity_scores(probabilities=ROWS[:1], method="aps_deterministic")
    assert found[0].tolist() == pytest.approx([0.5, 1.0, 0.8])


def test_options_of_equal_probability_share_score_and_rank() -> None:
    assert conformity_scores(probabilities=ROWS[1:2], method="aps_deterministic")[0].tolist() == pytest.approx(
        [0.4, 0.4, 1.0]
    )
    found = conformity_scores(probabilities=ROWS[1:2], method="raps_deterministic", penalty=0.5, spared_ranks=1)
    assert found[0].tolist() == pytest.approx([0.4, 0.4, 1.0 + 2 * 0.5])


def test_impossible_and_certain_options_have_scores_too() -> None:
    assert conformity_scores(probabilities=ROWS[2:], method="aps", uniforms=[0.5])[0].tolist() == [1.0, 0.5, 1.0]


def test_raps_penalises_the_ranks_beyond_the_spared_ones() -> None:
    plain = conformity_scores(probabilities=ROWS[:1], method="aps", uniforms=[0.25])[0]
    found = conformity_scores(probabilities=ROWS[:1], method="raps", uniforms=[0.25], penalty=0.1, spared_ranks=2)[0]
    assert (found - plain).tolist() == pytest.approx([0.0, 0.1, 0.0])


@pytest.mark.parametrize("uniforms", (None, [0.5], [0.5, 0.5, 1.5], [[0.5], [0.5], [0.5]]))
def test_a_randomised_method_needs_one_uniform_number_a_sample(uniforms: object) -> None:
    with pytest.raises(ResultError, match="uniform"):
        conformity_scores(probabilities=ROWS, method="aps", uniforms=uniforms)  # pyright: ignore[reportArgumentType]  # wrong on purpose


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(ResultError, match="allowed are lac, aps, aps_deterministic"):
        ConformalPredictor(method="naive").scores(probabilities=ROWS)


@given(st.integers(1, 400), st.integers(1, 99))
def test_the_rank_is_exact_wherever_rounding_might_move_it(n: int, percent: int) -> None:
    found = conformal_quantile(scores=np.arange(n), alpha=percent / 100)
    assert found.rank == ceil(Fraction((n + 1) * (100 - percent), 100))
    assert found.value == (found.rank - 1 if found.rank <= n else inf)


@pytest.mark.parametrize("n,value", ((0, inf), (8, inf), (9, 8.0)))
def test_too_few_scores_have_no_quantile_but_the_full_set(n: int, value: float) -> None:
    predictor = ConformalPredictor()
    predictor.calibrate(cal_scores=np.arange(n, dtype=float), alpha=0.1)
    assert predictor.quantiles[None].value == value
    assert predictor.predict(test_scores=[[0.5, 99.0]]).tolist() == [[True, value == inf]]


def test_a_set_that_would_be_empty_holds_the_likeliest_option() -> None:
    predictor = ConformalPredictor()
    predictor.calibrate(cal_scores=[0.1] * 20, alpha=0.1)
    assert predictor.predict(test_scores=[[0.4, 0.3, 0.9]]).tolist() == [[False, True, False]]


def test_a_score_on_the_quantile_is_in_the_set() -> None:
    predictor = ConformalPredictor()
    predictor.calibrate(cal_scores=[0.3] * 20, alpha=0.1)
    assert predictor.predict(test_scores=[[0.3, 0.30000001]]).tolist() == [[True, False]]


def test_each_category_has_its_own_quantile_and_an_unknown_one_full_sets() -> None:
    predictor = ConformalPredictor()
    predictor.calibrate(
        cal_scores=[0.1] * 10 + [0.6] * 10 + [0.2], alpha=0.1, cal_categories=["a"] * 10 + ["b"] * 10 + ["c"]
    )
    scores = [[0.1, 0.5, 0.7]] * 4
    found = predictor.predict(test_scores=scores, test_categories=[["a"], ["b"], ["c"], ["never seen"]])
    assert found.sum(axis=1).tolist() == [1, 2, 3, 3]
    by_option = predictor.predict(test_scores=scores[:1], test_categories=[["a", "b", "a"]])
    assert by_option.tolist() == [[True, True, False]]


def test_a_predictor_that_is_not_calibrated_says_so() -> None:
    with pytest.raises(ResultError, match="not calibrated"):
        ConformalPredictor().predict(test_scores=[[0.5]])


@pytest.mark.parametrize("scores,alpha,said", (([0.1], 0.0, "between 0 and 1"), ([float("nan")], 0.1, "not a number")))
def test_what_has_no_quantile_is_refused(scores: list[float], alpha: float, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        conformal_quantile(scores=scores, alpha=alpha)


def test_scores_of_every_option_cannot_be_calibrated_on() -> None:
    with pytest.raises(ResultError, match="do not belong together"):
        ConformalPredictor().calibrate(cal_scores=[[0.1, 0.2]], alpha=0.1)
