"""Prediction records as numbers: options, their log-probabilities, the true one; and metrics of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cruijff_kit.errors import Problem, ResultError
from cruijff_kit.schema.calibration import MetricFigure
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring import decision_scores as decisions
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers
from cruijff_kit.scoring.figure_names import measures_of
from cruijff_kit.scoring.figures import Answers, measure_answers
from cruijff_kit.scoring.judging import event_options, judge
from cruijff_kit.scoring.numbers import find_number
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = [
    "OptionRecords",
    "cost_matrix",
    "option_records",
    "record_answers",
    "record_metrics",
    "scorer_answers",
    "scorer_figures",
]

_DECIDED = ("accuracy", "coverage", "abstention_rate", "selective_accuracy", "balanced_accuracy", "f1_macro",
            "expected_cost")  # fmt: skip
_OF_CONFIDENCES = ("ece", "mce", "ece_adaptive", "ece_debiased", "calibration_p", "calibration_slope",
                   "calibration_intercept", "aurc")  # fmt: skip
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

    Raises:
        ResultError: a target is none of the options, or the costs do not fit them.
    """
    answers = record_answers(predictions, temperature=temperature, costs=costs)
    names, options = (*_DECIDED, *_OF_CONFIDENCES), len(answers.options)
    if answers.rows.shape[1]:
        names = (*names, "brier_binary" if options == 2 else "brier_multiclass", "log_loss", "auc")
    return tuple(MetricFigure(name=name, **measure_answers(name, answers)._asdict()) for name in names)


def record_answers(
    predictions: Sequence[Prediction],
    *,
    temperature: float = 1.0,
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> Answers:
    """Return the records of one evaluation as arrays, decisions as given, probabilities at a temperature.

    Raises:
        ResultError: a target is none of the options, or the costs do not fit them.
    """
    options = next((each.options for each in predictions if each.options), ())
    answers = _decided(predictions, ScoringRules(options=options))
    if answers.fault:
        raise ResultError(answers.fault, hint="give the task the options that its data set has")
    answers = answers._replace(costs=cost_matrix(costs or {}, options=options))
    answered = [each for each in predictions if each.error is None]
    if answered and all(each.option_logprobs for each in answered):
        option_records(answered, name="these samples")
        return answers._replace(rows=_rows(predictions, len(options), temperature=temperature))
    return answers._replace(**_confidences(predictions))


def scorer_figures(predictions: Sequence[Prediction], scorer: str, *, rules: ScoringRules) -> dict[str, Estimate]:
    """Return the figures that a scorer gives beside the share of right answers, of one evaluation.

    Args:
        predictions: records of any scorer.
        scorer: whose figures.
        rules: what the scorer was told.
    """
    names = measures_of(scorer, rules.options)
    if not names:
        return {}
    answers = scorer_answers(predictions, scorer, rules=rules)
    return {name: measure_answers(name, answers) for name in names}


def scorer_answers(predictions: Sequence[Prediction], scorer: str, *, rules: ScoringRules) -> Answers:
    """Return records as arrays, as a scorer sees them; a target that fits no option is a fault, not dropped."""
    told = rules.model_copy(update={"options": event_options(rules)}) if scorer == "numeric_risk" else rules
    seen = [judge(each, scorer, rules=told) for each in predictions]
    if scorer == "continuous":
        return _numbers(seen)
    answers = _decided(seen, told)
    if answers.fault:
        return answers
    if scorer == "risk":
        return answers._replace(rows=_rows(seen, len(told.options), temperature=1.0))
    if scorer == "numeric_risk":
        chances = _column(seen)
        return answers._replace(rows=np.column_stack([1 - chances, chances]))
    return answers


def _faults(record: Prediction, options: tuple[str, ...]) -> list[Problem]:
    if record.options != options:
        return [Problem(f"sample `{record.sample_id}` has the options {record.options}, the first has {options}")]
    if len(record.option_logprobs) != len(options):
        fact = f"sample `{record.sample_id}` has {len(record.option_logprobs)} log-probabilities"
        return [Problem(f"{fact} for {len(options)} options")]
    if record.target.strip() not in {option.strip() for option in options}:
        return [Problem(_stray_words(record, options))]
    return []


def _decided(predictions: Sequence[Prediction], rules: ScoringRules) -> Answers:
    """Return what was decided; without options, 0 stands for the right answer."""
    places = {_key(option, rules): at for at, option in enumerate(rules.options)}
    true = [places.get(_key(each.target, rules), -1 if places else 0) for each in predictions]
    stray = next((each for each, at in zip(predictions, true, strict=True) if at < 0), None)
    chosen = [_choice(each, places, true=at, rules=rules) for each, at in zip(predictions, true, strict=True)]
    nothing = np.full(len(predictions), np.nan)
    return Answers(
        options=rules.options,
        true=np.array(true, dtype=np.int64),
        chosen=np.array(chosen, dtype=np.int64),
        abstained=np.array([each.abstain for each in predictions], dtype=bool),
        failed=np.array([not each.abstain and _lost(each) for each in predictions], dtype=bool),
        parsed=np.array([each.error is None and each.parse_ok for each in predictions], dtype=bool),
        rows=np.zeros((len(predictions), 0)),
        sure=nothing,
        right=nothing,
        numbers=nothing,
        targets=nothing,
        costs=cost_matrix(rules.costs, options=rules.options),
        abstain_cost=rules.abstain_cost,
        fault="" if stray is None else _stray_words(stray, rules.options),
    )


def _lost(record: Prediction) -> bool:
    return record.error is not None or not record.parse_ok


def _stray_words(record: Prediction, options: Sequence[str]) -> str:
    return f"target `{record.target}` of sample `{record.sample_id}` is none of the options {tuple(options)}"


def _key(text: str, rules: ScoringRules) -> str:
    return text.strip().casefold() if rules.ignore_case else text.strip()


def _choice(record: Prediction, places: Mapping[str, int], *, true: int, rules: ScoringRules) -> int:
    """Return the option chosen; what the scorer accepted is the true one, however it was worded."""
    if record.abstain or _lost(record) or record.prediction is None:
        return decisions.NONE
    chosen = places.get(_key(record.prediction, rules), decisions.OTHER)
    if record.correct is None:
        return chosen
    return true if record.correct else (decisions.OTHER if chosen == true else chosen)


def _rows(predictions: Sequence[Prediction], options: int, *, temperature: float) -> Floats:
    """Return (n, K) option probabilities, not numbers where a sample has none."""
    rows = np.full((len(predictions), options), np.nan)
    known = [at for at, each in enumerate(predictions) if each.error is None and each.option_logprobs]
    if known:
        logprobs = [predictions[at].option_logprobs for at in known]
        rows[known] = option_probabilities(logprobs, temperature=temperature)
    return rows


def _confidences(predictions: Sequence[Prediction]) -> dict[str, Floats]:
    known = [each.error is None and each.confidence is not None and each.correct is not None for each in predictions]
    sure = [each.confidence if has else np.nan for each, has in zip(predictions, known, strict=True)]
    right = [float(bool(each.correct)) for each in predictions]
    return {"sure": np.array(sure, dtype=np.float64), "right": np.array(right, dtype=np.float64)}


def _numbers(predictions: Sequence[Prediction]) -> Answers:
    targets = [find_number(each.target).value for each in predictions]
    bad = next((each for each, value in zip(predictions, targets, strict=True) if value is None), None)
    fault = "" if bad is None else f"target `{bad.target}` of sample `{bad.sample_id}` is no number"
    true = np.array([np.nan if value is None else value for value in targets], dtype=np.float64)
    return _decided(predictions, ScoringRules())._replace(numbers=_column(predictions), targets=true, fault=fault)


def _column(predictions: Sequence[Prediction]) -> Floats:
    """Return the numbers read, not a number where there is none."""
    values = [np.nan if each.number is None else each.number for each in predictions]
    return np.array(values, dtype=np.float64)
