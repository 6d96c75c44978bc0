"""Scorers as functions of a record: what each reads, what it refuses to guess, and that none ever raises."""

import json
from math import log
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.figure_names import FIGURES, measures_of
from cruijff_kit.scoring.figures import MEASURES
from cruijff_kit.scoring.judging import JUDGES, judge, text_verdict
from cruijff_kit.scoring.numbers import find_number
from cruijff_kit.scoring.records import scorer_figures
from cruijff_kit.scoring.regression_scores import compute_mae, compute_r2, compute_rmse

RISK = ScoringRules(options=("no", "yes"))


def record(completion: str = "", target: str = "yes", **changes: Any) -> Prediction:
    return Prediction(
        sample_id="1", run="rank4-0123abcd", epoch=0, task="t", split="test", target=target, prediction=None,
        completion=completion, prompt_token_sha256="1" * 64, checkpoint_sha256="2" * 64, **changes,
    )  # fmt: skip


def asked(no: float, yes: float, target: str = "yes") -> Prediction:
    return record("?", target, options=RISK.options, option_logprobs=(log(no), log(yes)), option_mass=no + yes)


def test_case_counts_unless_told_otherwise() -> None:
    assert not text_verdict("match", rules=ScoringRules())(" Yes\n", "yes")
    assert text_verdict("match", rules=ScoringRules(ignore_case=True))(" Yes\n", "yes")
    assert text_verdict("includes", rules=ScoringRules(ignore_case=True))("I say YES!", "yes")


def test_risk_takes_the_likeliest_option_and_its_share_of_the_options() -> None:
    seen = judge(asked(0.1, 0.3), "risk", rules=RISK)
    assert (seen.prediction, seen.correct) == ("yes", True)
    assert seen.confidence == pytest.approx(0.75)


def test_a_sample_without_option_probabilities_is_unscored_never_made_up() -> None:
    missing = record("yes", options=RISK.options, reason="`no` not among the first token's 5 likeliest")
    seen = judge(missing, "risk", rules=RISK)
    assert (seen.prediction, seen.correct, seen.parse_ok, seen.option_logprobs) == (None, False, False, ())
    assert "`no` not among" in seen.reason
    found = scorer_figures([asked(0.2, 0.8), asked(0.7, 0.3, "no"), missing], "risk", rules=RISK)
    assert found["coverage"].value == pytest.approx(2 / 3)
    assert (found["auc"].n, found["auc"].value) == (2, 1.0)
    assert found["brier_binary"].value == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert found["ece_event"].value == pytest.approx(0.25)
    # What was not scored costs what a wrong answer costs.
    assert found["expected_cost"].value == pytest.approx(1 / 3)


def test_a_target_that_is_no_option_leaves_reasons_instead_of_figures() -> None:
    found = scorer_figures([asked(0.2, 0.8, "perhaps")], "risk", rules=RISK)
    assert {each.value for each in found.values()} == {None}
    assert "target `perhaps` of sample `1` is none of the options" in found["auc"].reason


@pytest.mark.parametrize(
    "text,value",
    (
        ("1,234.5", 1234.5),
        ("about -$5,000", -5000),
        ("$-5", -5),
        ("\u22123.5e-2 units", -0.035),
        ("1e5", 100_000),
        ("12 %", 12),
        ("1'000'000", 1_000_000),
        (".5", 0.5),
        ("v2 has 3", 3),
        ("12.", 12),
        ("1,5", None),
        ("1.234,50", None),
        ("3.14.15", None),
        ("1e999", None),
        ("H2O", None),
        ("none", None),
    ),
)
def test_the_first_number_is_read_and_none_is_guessed(text: str, value: float | None) -> None:
    assert find_number(text).value == value


def test_a_unit_is_said() -> None:
    assert "read as %" in judge(record("85%", "85"), "continuous", rules=ScoringRules()).reason
    assert "the target is in no unit" in judge(record("85%", "85"), "continuous", rules=ScoringRules()).reason


@pytest.mark.parametrize(
    "text,target,number,correct",
    (("0.7", "1", 0.7, True), ("70%", "1", 0.7, True), ("0.2", "1", 0.2, False), ("1.7", "1", None, False)),
)
def test_a_stated_probability_is_compared_with_the_threshold(
    text: str, target: str, number: float | None, correct: bool
) -> None:
    seen = judge(record(text, target), "numeric_risk", rules=ScoringRules())
    assert (seen.number if number is None else pytest.approx(number), seen.correct) == (number, correct)
    strict = judge(record(text, target), "numeric_risk", rules=ScoringRules(threshold=0.9))
    assert strict.prediction == (None if number is None else "0")


def test_numbers_have_the_errors_computed_by_hand() -> None:
    answers = [record("2", "1"), record("it is 4", "4"), record("none", "3"), record("9", "7")]
    found = scorer_figures(answers, "continuous", rules=ScoringRules())
    assert (found["mae"].value, found["mae"].n) == (1.0, 3)
    assert found["rmse"].value == pytest.approx((5 / 3) ** 0.5)
    assert found["r2"].value == pytest.approx(1 - 5 / 18)
    assert found["parse_rate"].value == 0.75


def test_what_has_no_spread_or_no_end_has_a_reason() -> None:
    assert compute_r2(y_pred=[1, 2], y_true=[3, 3]).reason == "all targets are the same"
    assert compute_mae(y_pred=[], y_true=[]).reason == "no answer holds a number"
    assert compute_rmse(y_pred=[1e300, 0], y_true=[0, 0]).value == pytest.approx(1e300 / 2**0.5)
    assert compute_r2(y_pred=[1e300, 0], y_true=[0, 1]).value is None


def said(**changes: Any) -> str:
    return json.dumps({"decision": "yes", "rationale": "because", "abstain": False, **changes})


def test_a_decision_is_read_with_its_rationale() -> None:
    seen = judge(record(f"Sure!\n```json\n{said()}\n```"), "decision", rules=RISK)
    assert (seen.prediction, seen.correct, seen.abstain, seen.rationale) == ("yes", True, False, "because")


@pytest.mark.parametrize(
    "text,reason,parsed",
    (
        (said(abstain=True, decision=None), "the model abstained", True),
        (said(decision="maybe"), "`maybe` is none of the options", False),
        (said(abstain="no"), "`abstain` is neither", False),
        (said(decision=1), "`decision` is no text", False),
        ('{"decision": "yes"}', "lacks `rationale`, `abstain`", False),
        ('{"decision": "yes", "decision": "no", "rationale": "", "abstain": false}', "a key is there twice", False),
        (said(rationale="\ud800"), "`rationale` is no text", False),
        ("{" * 5, "holds no JSON object", False),
        ('{"a": ' + "[" * 100_000 + "}", "", False),
        ("yes", "holds no JSON object", False),
    ),
)
def test_anything_else_is_an_abstention_with_its_reason(text: str, reason: str, parsed: bool) -> None:
    seen = judge(record(text), "decision", rules=RISK)
    assert (seen.prediction, seen.correct, seen.abstain, seen.parse_ok) == (None, False, True, parsed)
    assert reason in seen.reason
    assert seen.reason


def test_abstentions_cost_what_the_design_says() -> None:
    rules = RISK.model_copy(update={"costs": {"no": {"yes": 1.0}, "yes": {"no": 5.0}}, "abstain_cost": 0.5})
    answers = [record(said()), record(said(decision="no")), record("garbage"), record(said(), "no")]
    found = scorer_figures(answers, "decision", rules=rules)
    assert found["expected_cost"].value == pytest.approx((0 + 5 + 0.5 + 1) / 4)
    assert (found["coverage"].value, found["abstention_rate"].value) == (0.75, 0.25)
    assert found["selective_accuracy"].value == pytest.approx(1 / 3)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet='{}[]",:\\u0d8eE+-.%truefalsnb '), st.binary().map(repr)))
@example('{"decision": "yes", "rationale": "r", "abstain": fals}')
@example("{" + "9" * 5000 + "}")
def test_no_answer_ever_breaks_a_scorer(text: str) -> None:
    for scorer in JUDGES:
        seen = judge(record(text), scorer, rules=RISK)
        assert seen.correct is not None
        assert seen.parse_ok or seen.reason
        # What was judged can be written down and read again.
        assert Prediction.model_validate_json(seen.model_dump_json()) == seen


def test_a_judged_record_can_be_judged_by_every_other_scorer() -> None:
    first = judge(asked(0.4, 0.6), "risk", rules=RISK)
    for scorer in JUDGES:
        again = judge(judge(first, scorer, rules=RISK), "risk", rules=RISK)
        assert (again.prediction, again.correct, again.confidence) == (first.prediction, True, first.confidence)


def test_an_errored_sample_has_no_verdict_and_keeps_its_place() -> None:
    lost = record(error="out of memory")
    assert judge(lost, "match", rules=RISK).correct is None
    found = scorer_figures([lost, asked(0.2, 0.8)], "risk", rules=RISK)
    assert (found["coverage"].value, found["coverage"].n) == (0.5, 2)


def test_every_figure_that_a_scorer_names_exists() -> None:
    for scorer in JUDGES:
        for options in ((), ("a", "b"), ("a", "b", "c")):
            assert set(measures_of(scorer, options)) <= set(MEASURES) == set(FIGURES)
