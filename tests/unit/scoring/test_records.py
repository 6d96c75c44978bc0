"""Records as numbers: every sample counted, every missing figure with its reason."""

import numpy as np
import pytest

from cruijff_kit.errors import ResultError
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.records import cost_matrix, option_records, record_metrics
from tests.optioned_run import OPTIONS, optioned_answers

RUN = "rank4-0123abcd"


def answers(n: int = 200, **changes: object) -> list[Prediction]:
    return [each.model_copy(update=changes) for each in optioned_answers(RUN, split="test", n=n)]


def metrics(records: list[Prediction], **options: object) -> dict[str, tuple[float | None, int, str]]:
    found = record_metrics(records, **options)  # pyright: ignore[reportArgumentType]  # the options of the function
    return {each.name: (each.value, each.n, each.reason) for each in found}


def test_records_with_options_have_every_metric() -> None:
    found = metrics(answers())
    assert set(found) == {
        "accuracy", "balanced_accuracy", "f1_macro", "coverage", "abstention_rate", "selective_accuracy",
        "expected_cost", "ece", "mce", "ece_adaptive", "ece_debiased", "calibration_p", "calibration_slope",
        "calibration_intercept", "aurc", "brier_multiclass", "log_loss", "auc",
    }  # fmt: skip
    assert {name for name, (value, _, _) in found.items() if value is None} == {"auc"}
    assert found["auc"][2] == "the AUC is one of two options, and there are 3"
    assert {n for _, n, _ in found.values()} == {200}


def test_two_options_have_a_binary_brier_score_and_an_auc() -> None:
    records = [
        each.model_copy(update={"options": OPTIONS[:2], "option_logprobs": each.option_logprobs[:2]})
        for each in answers()
        if each.target in OPTIONS[:2]
    ]
    found = metrics(records)
    assert "brier_multiclass" not in found
    assert 0 < (found["brier_binary"][0] or 0) < 0.25
    assert (found["auc"][0] or 0) > 0.8


def test_errored_unparsed_and_abstaining_samples_stay_in_the_denominator() -> None:
    records = answers(100)
    right = sum(each.correct is True for each in records[4:])
    records[0] = records[0].model_copy(
        update={"error": "out of memory", "prediction": None, "option_logprobs": (), "parse_ok": False}
    )
    records[1] = records[1].model_copy(update={"prediction": None, "parse_ok": False, "correct": False})
    records[2] = records[2].model_copy(update={"abstain": True, "correct": False})
    records[3] = records[3].model_copy(update={"prediction": "perhaps", "correct": False})
    found = metrics(records)
    assert found["accuracy"][:2] == (pytest.approx(right / 100), 100)
    assert found["coverage"][:2] == (pytest.approx(0.97), 100)
    assert found["abstention_rate"][:2] == (pytest.approx(0.01), 100)
    assert found["selective_accuracy"][:2] == (pytest.approx(right / 97), 97)
    # An abstention is free; what failed costs what a wrong answer costs.
    assert found["expected_cost"][:2] == (pytest.approx((100 - right - 1) / 100), 100)
    assert found["ece"][1] == 99


def test_what_the_scorer_accepted_is_right_however_it_was_worded() -> None:
    records = answers(50, prediction="well, let me see", correct=True)
    assert metrics(records)["accuracy"][0] == 1.0
    assert metrics(answers(50, correct=None))["accuracy"][0] == metrics(answers(50))["accuracy"][0]


def test_free_answers_have_figures_of_their_confidence_alone() -> None:
    found = metrics(answers(100, options=(), option_logprobs=()))
    assert found["ece"][0] is not None
    assert found["aurc"][1] == 100
    assert found["accuracy"] == metrics(answers(100))["accuracy"]
    assert found["f1_macro"] == (None, 0, "the answers are no closed set of options")
    assert "log_loss" not in found


def test_answers_without_any_probability_say_so() -> None:
    found = metrics(answers(10, options=(), option_logprobs=(), confidence=None))
    assert found["ece"] == (None, 0, "the predictions hold neither option log-probabilities nor confidences")
    assert found["accuracy"][1] == 10


def test_no_records_at_all_have_reasons_instead_of_figures() -> None:
    assert all(value is None and reason for value, _, reason in metrics([]).values())


def test_a_temperature_changes_probabilities_and_no_decision() -> None:
    plain, warm = metrics(answers()), metrics(answers(), temperature=2.0)
    assert plain["accuracy"] == warm["accuracy"]
    assert (warm["log_loss"][0] or 9) < (plain["log_loss"][0] or 0)


def test_costs_are_named_by_true_option_first() -> None:
    costs = {"no": {"yes": 1}, "yes": {"no": 5, "yes": 0.5}}
    assert cost_matrix(costs, options=("no", "yes")).tolist() == [[0, 1], [5, 0.5]]
    assert cost_matrix({}, options=("no", "yes")).tolist() == [[0, 1], [1, 0]]


def test_costs_that_are_missing_or_foreign_are_all_told_at_once() -> None:
    with pytest.raises(ResultError) as caught:
        cost_matrix({"no": {"maybe": 1}}, options=("no", "yes"))
    assert [each.message for each in caught.value.problems] == [
        "`no` -> `yes` has no cost",
        "`yes` -> `no` has no cost",
        "`maybe` is no option",
    ]


def test_a_target_that_is_no_option_is_refused_rather_than_dropped() -> None:
    records = answers(10)
    records[4] = records[4].model_copy(update={"target": "never"})
    with pytest.raises(ResultError, match="target `never` of sample `test-4`"):
        metrics(records)


def test_samples_that_errored_are_left_out_of_the_arrays_and_counted() -> None:
    records = answers(10)
    records[4] = records[4].model_copy(update={"error": "lost", "options": (), "option_logprobs": ()})
    found = option_records(records, name="split `test`")
    assert (found.logprobs.shape, found.unscored) == ((9, 3), 1)
    assert [found.options[label] for label in found.labels] == [each.target for each in found.records]
    assert np.isfinite(found.logprobs).all()


def test_a_split_in_which_every_sample_errored_is_refused() -> None:
    with pytest.raises(ResultError, match="no sample that was answered"):
        option_records(answers(3, error="lost"), name="split `test`")
