"""Prediction records as numbers: options, their log-probabilities, the true one; and metrics of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cruijff_kit.errors import Problem, ResultError
from cruijff_kit.schema.calibration import MetricFigure
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring import calibration_error as errors
from cruijff_kit.scoring import decision_scores as decisions
from cruijff_kit.scoring import probability_scores as scores
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers, events
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["OptionRecords", "cost_matrix", "option_records", "record_metrics"]

_OF_CONFIDENCES = {
    "ece": errors.compute_ece,
    "mce": errors.compute_mce,
    "ece_adaptive": errors.compute_adaptive_ece,
    "ece_debiased": errors.compute_debiased_ece,
    "calibration_p": errors.compute_calibration_p,
    "calibration_slope": scores.compute_calibration_slope,
    "calibration_intercept": scores.compute_calibration_intercept,
}
_UNSCORED = "the predictions hold neither option log-probabilities nor confidences"
_OPEN = "the answers are no closed set of options"
_SHOWN = 5


class OptionRecords(NamedTuple):
    """The records of a closed set of options, as arrays of equal length."""

    options: tuple[str, ...]
    """The options, in the order of the columns."""
    logprobs: Floats
    """(n, K) log-probabilities."""
    labels: Integers
    """(n,) index of the true option."""
    records: tuple[Prediction, ...]
    """The records themselves."""
    unscored: int
    """How many more ended in an error and have no log-probabilities."""


def option_records(predictions: Sequence[Prediction], *, name: str) -> OptionRecords:
    """Return records whose options were all scored; those that errored are left out and counted.

    Args:
        predictions: records of one evaluation.
        name: what they are, for messages.

    Raises:
        ResultError: a record has no option log-probabilities, other options, or a target that is none of them.
    """
    scored = tuple(each for each in predictions if each.error is None)
    if not scored:
        raise ResultError(f"{name} hold no sample that was answered", hint="look at the evaluation with `ck logs`")
    bare = sum(not each.option_logprobs for each in scored)
    if bare:
        fact = f"{bare} of {len(scored)} predictions of {name} hold no option log-probabilities"
        raise ResultError(fact, hint="evaluate a task with a closed set of options, each of which is scored")
    options = scored[0].options
    problems = [problem for each in scored for problem in _faults(each, options)]
    if problems:
        fact = f"{len(problems)} predictions of {name} cannot be used together"
        raise ResultError(fact, problems=problems[:_SHOWN], hint="calibrate one task with one set of options")
    places = {option.strip(): at for at, option in enumerate(options)}
    return OptionRecords(
        options,
        np.array([each.option_logprobs for each in scored], dtype=np.float64),
        np.array([places[each.target.strip()] for each in scored], dtype=np.int64),
        scored,
        len(predictions) - len(scored),
    )


def cost_matrix(costs: Mapping[str, Mapping[str, float]], *, options: Sequence[str]) -> Floats:
    """Return (true, chosen) costs; 1 for every wrong choice where none are named.

    Raises:
        ResultError: a wrong choice has no cost, or an option named is none.
    """
    if not costs:
        return 1 - np.eye(len(options))
    problems = [
        Problem(f"`{true}` -> `{chosen}` has no cost")
        for true in options
        for chosen in options
        if true != chosen and chosen not in costs.get(true, {})
    ]
    named = dict.fromkeys([*costs, *(chosen for row in costs.values() for chosen in row)])
    problems += [Problem(f"`{each}` is no option") for each in named if each not in options]
    if problems:
        known = ", ".join(f"`{option}`" for option in options)
        hint = f"name the cost of every wrong choice, true option first; the options are {known}"
        raise ResultError("the costs do not fit the options", problems=problems, hint=hint)
    return np.array([[costs[true].get(chosen, 0.0) for chosen in options] for true in options])


def record_metrics(
    predictions: Sequence[Prediction],
    *,
    temperature: float = 1.0,
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[MetricFigure, ...]:
    """Return every metric that the records of one evaluation allow, and why for the others.

    Decisions are the answers given; all samples are in their denominators. Figures of
    probabilities rest on the samples that have them: option log-probabilities where
    all that did not error have some, else the confidence of the answer.
    """
    found = {**_decision_metrics(predictions, costs or {}), **_probability_metrics(predictions, temperature)}
    return tuple(MetricFigure(name=name, **estimate._asdict()) for name, estimate in found.items())


def _faults(record: Prediction, options: tuple[str, ...]) -> list[Problem]:
    if record.options != options:
        return [Problem(f"sample `{record.sample_id}` has the options {record.options}, the first has {options}")]
    if len(record.option_logprobs) != len(options):
        fact = f"sample `{record.sample_id}` has {len(record.option_logprobs)} log-probabilities"
        return [Problem(f"{fact} for {len(options)} options")]
    if record.target.strip() not in {option.strip() for option in options}:
        return [Problem(f"target `{record.target}` of sample `{record.sample_id}` is none of the options {options}")]
    return []


def _decision_metrics(
    predictions: Sequence[Prediction], costs: Mapping[str, Mapping[str, float]]
) -> dict[str, Estimate]:
    options = next((each.options for each in predictions if each.options), ())
    true, chosen = _decided(predictions, options)
    found = {
        "accuracy": decisions.compute_accuracy(y_pred=chosen, y_true=true),
        "coverage": decisions.compute_share(flags=chosen != decisions.NONE),
        "abstention_rate": decisions.compute_share(flags=[each.abstain for each in predictions]),
        "selective_accuracy": decisions.compute_selective_accuracy(y_pred=chosen, y_true=true),
    }
    if not options:
        return found | dict.fromkeys(("balanced_accuracy", "f1_macro", "expected_cost"), Estimate(None, 0, _OPEN))
    # Nobody decided to leave these out, so that they cost what a bad answer costs.
    failed = np.array([not each.abstain and (each.error is not None or not each.parse_ok) for each in predictions])
    return found | {
        "balanced_accuracy": decisions.compute_balanced_accuracy(y_pred=chosen, y_true=true),
        "f1_macro": decisions.compute_f1(y_pred=chosen, y_true=true),
        "expected_cost": decisions.compute_expected_cost(
            y_pred=np.where(failed, decisions.OTHER, chosen),
            y_true=true,
            cost_matrix=cost_matrix(costs, options=options),
        ),
    }


def _decided(predictions: Sequence[Prediction], options: Sequence[str]) -> tuple[Integers, Integers]:
    """Return the true and the chosen option of each sample; without options, 0 stands for the right answer."""
    places = {option.strip(): at for at, option in enumerate(options)}
    lost = [each for each in predictions if options and each.target.strip() not in places]
    if lost:
        fact = f"target `{lost[0].target}` of sample `{lost[0].sample_id}` is none of the options {tuple(options)}"
        raise ResultError(fact, hint="give the task the options that its data set has")
    true = [places.get(each.target.strip(), 0) for each in predictions]
    chosen = [_choice(each, places, true=at) for each, at in zip(predictions, true, strict=True)]
    return np.array(true, dtype=np.int64), np.array(chosen, dtype=np.int64)


def _choice(record: Prediction, places: Mapping[str, int], *, true: int) -> int:
    """Return the option chosen; what the scorer accepted is the true one, however it was worded."""
    if record.abstain or record.error is not None or not record.parse_ok or record.prediction is None:
        return decisions.NONE
    chosen = places.get(record.prediction.strip(), decisions.OTHER)
    if record.correct is None:
        return chosen
    return true if record.correct else (decisions.OTHER if chosen == true else chosen)


def _probability_metrics(predictions: Sequence[Prediction], temperature: float) -> dict[str, Estimate]:
    answered = [each for each in predictions if each.error is None]
    if answered and all(each.option_logprobs for each in answered):
        found = option_records(answered, name="these samples")
        rows = option_probabilities(found.logprobs, temperature=temperature)
        return {**_event_metrics(rows, found.labels), **_option_metrics(rows, found.labels)}
    sure = [each for each in answered if each.confidence is not None and each.correct is not None]
    if not sure:
        return dict.fromkeys((*_OF_CONFIDENCES, "aurc"), Estimate(None, 0, _UNSCORED))
    forecast = np.array([each.confidence for each in sure], dtype=np.float64)
    return _event_metrics(forecast, np.array([bool(each.correct) for each in sure], dtype=np.int64))


def _event_metrics(y_prob: Floats, y_true: Integers) -> dict[str, Estimate]:
    """Return how well confidences fit what came true."""
    sure, right = events(y_prob, y_true)
    found = {name: measure(y_prob=sure, y_true=right) for name, measure in _OF_CONFIDENCES.items()}
    return found | {"aurc": decisions.compute_aurc(confidence=sure, correct=right)}


def _option_metrics(rows: Floats, labels: Integers) -> dict[str, Estimate]:
    """Return scores of all options; with two of them the second is the event."""
    binary = rows.shape[1] == 2
    name, forecast = ("brier_binary", rows[:, 1]) if binary else ("brier_multiclass", rows)
    return {
        name: scores.compute_brier_score(y_prob=forecast, y_true=labels),
        "log_loss": scores.compute_log_loss(y_prob=rows, y_true=labels),
        "auc": scores.compute_auc(y_prob=rows, y_true=labels),
    }
