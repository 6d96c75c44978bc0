from math import log
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.schema.scoring_rules import ScorerName
from cruijff_kit.scoring.answers import confidence, includes, match, parse_answer
from cruijff_kit.scoring.judging import JUDGES


def test_only_outer_white_space_is_no_part_of_an_answer() -> None:
    assert match(" Apple\n", "Apple")
    assert not match("App le", "Apple")


def test_case_and_punctuation_count_in_a_match() -> None:
    assert not match("apple", "Apple")
    assert not match("Apple.", "Apple")


def test_an_answer_around_the_target_includes_it_and_does_not_match() -> None:
    assert includes("It is Apple.", " Apple ")
    assert not match("It is Apple.", "Apple")


def test_a_blank_target_is_included_in_nothing() -> None:
    assert not includes("anything", " ")


@given(st.text(min_size=1).filter(str.strip))
def test_whatever_matches_is_included(target: str) -> None:
    assert match(target, target)
    assert includes(target, target)


@pytest.mark.parametrize("completion, answer", ((" Apple ", "Apple"), ("", None), (" \n", None)))
def test_a_blank_completion_is_no_answer(completion: str, answer: str | None) -> None:
    assert parse_answer(completion) == answer


def test_confidence_is_the_product_of_the_token_probabilities() -> None:
    assert confidence([log(0.5), log(0.4)]) == pytest.approx(0.2)


def test_confidence_of_nothing_generated_is_unknown() -> None:
    assert confidence([]) is None


@given(st.lists(st.floats(max_value=1e-7, min_value=-50), min_size=1))
def test_confidence_is_a_probability_whatever_the_rounding(logprobs: list[float]) -> None:
    value = confidence(logprobs)
    assert value is not None
    assert 0 <= value <= 1


def test_every_scorer_that_a_design_may_name_exists() -> None:
    assert sorted(get_args(ScorerName)) == sorted(JUDGES)
