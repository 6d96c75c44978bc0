"""Figures of a scorer: which there are, what each is of, and how it is computed from records.

Undecided and errored samples stay in every denominator of decisions; figures of
probabilities and numbers rest on the samples that have one, and say how many.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.scoring import calibration_error as errors
from cruijff_kit.scoring import decision_scores as decisions
from cruijff_kit.scoring import probability_scores as scores
from cruijff_kit.scoring import regression_scores as regression
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers, events

__all__ = ["MEASURES", "Answers", "confidences", "costs_paid", "forecasts", "measure_answers", "scored_options"]

_Bools = NDArray[np.bool_]
_UNSCORED = "the predictions hold neither option log-probabilities nor confidences"
_OPEN = "the answers are no closed set of options"


class Answers(NamedTuple):
    """Records as arrays of equal length; what a sample does not have is not a number."""

    options: tuple[str, ...]
    """The options; none where the answers are no closed set."""
    true: Integers
    """(n,) index of the true option, 0 without options."""
    chosen: Integers
    """(n,) index of the option chosen, -1 for none and -2 for another answer."""
    abstained: _Bools
    """(n,) whether the model declined to answer."""
    failed: _Bools
    """(n,) whether there is no answer though nobody declined."""
    parsed: _Bools
    """(n,) whether the answer could be read."""
    rows: Floats
    """(n, K) option probabilities; (n, 0) where there are none."""
    sure: Floats
    """(n,) confidence in the answer, where there are no option probabilities."""
    right: Floats
    """(n,) whether the answer that `sure` is about is right."""
    numbers: Floats
    """(n,) numbers read from the answers."""
    targets: Floats
    """(n,) numbers of the targets."""
    costs: Floats
    """(true, chosen) costs."""
    abstain_cost: float = 0.0
    """What choosing none costs."""
    fault: str = ""
    """Why figures of options cannot be had, such as a target that is none."""

    def at(self, index: Integers) -> "Answers":
        """Return some of the samples."""
        whole = {"options", "costs", "abstain_cost", "fault"}
        taken = {name: value[index] for name, value in self._asdict().items() if name not in whole}
        return self._replace(**taken)


def measure_answers(name: str, answers: Answers) -> Estimate:
    """Return one figure of `MEASURES`, or why there is none."""
    if answers.fault:
        return Estimate(None, 0, answers.fault)
    return MEASURES[name](answers)


def _of_confidence(measure: Callable[..., Estimate]) -> Callable[[Answers], Estimate]:
    """Return a figure of how well the confidence in the answer fits what came true."""

    def compute(answers: Answers) -> Estimate:
        sure, right = forecasts(answers)
        return measure(y_prob=sure, y_true=right) if len(sure) else Estimate(None, 0, _UNSCORED)

    return compute


def forecasts(answers: Answers) -> tuple[Floats, Floats]:
    """Return the probability of each answer that has one, and whether it was right."""
    sure, right = confidences(answers)
    known = ~np.isnan(sure)
    return sure[known], right[known]


def confidences(answers: Answers) -> tuple[Floats, Floats]:
    """Return the probability of every sample's answer, and whether it was right; not numbers where it has none."""
    if not answers.rows.shape[1]:
        return answers.sure, answers.right
    known = ~np.isnan(answers.rows[:, 0])
    sure, right = np.full(len(known), np.nan), np.full(len(known), np.nan)
    sure[known], right[known] = events(*scored_options(answers))
    return sure, right


def scored_options(answers: Answers) -> tuple[Floats, Integers]:
    """Return the option probabilities and true options of the samples that have them."""
    if not answers.rows.shape[1]:
        return answers.rows, answers.true
    known = ~np.isnan(answers.rows[:, 0])
    return answers.rows[known], answers.true[known]


def _of_options(measure: Callable[..., Estimate], *, binary: bool | None = None) -> Callable[[Answers], Estimate]:
    """Return a figure of all option probabilities; with `binary` of the event's alone."""

    def compute(answers: Answers) -> Estimate:
        rows, labels = scored_options(answers)
        if not rows.size:
            return Estimate(None, 0, _UNSCORED)
        if binary is not None and binary != (rows.shape[1] == 2):
            kind = "two options" if binary else "more than two options"
            return Estimate(None, len(rows), f"it is of {kind}, and there are {rows.shape[1]}")
        return measure(y_prob=rows[:, 1] if binary else rows, y_true=labels)

    return compute


def _of_classes(measure: Callable[..., Estimate]) -> Callable[[Answers], Estimate]:
    """Return a figure of decisions that needs to know the options."""

    def compute(answers: Answers) -> Estimate:
        if not answers.options:
            return Estimate(None, 0, _OPEN)
        return measure(y_pred=answers.chosen, y_true=answers.true)

    return compute


def _expected_cost(answers: Answers) -> Estimate:
    if not answers.options:
        return Estimate(None, 0, _OPEN)
    return decisions.compute_expected_cost(**_decisions(answers))


def costs_paid(answers: Answers) -> Floats:
    """Return what each sample of a closed set of options costs; their mean is `expected_cost`."""
    return decisions.decision_costs(**_decisions(answers))


def _decisions(answers: Answers) -> dict[str, Any]:
    # Nobody decided to leave the failed ones out, so that they cost what a bad answer costs.
    return {
        "y_pred": np.where(answers.failed, decisions.OTHER, answers.chosen),
        "y_true": answers.true,
        "cost_matrix": answers.costs,
        "abstain_cost": answers.abstain_cost,
    }


def _of_numbers(measure: Callable[..., Estimate]) -> Callable[[Answers], Estimate]:
    """Return a figure of the numbers read; what was not read is left out, as `n` says."""

    def compute(answers: Answers) -> Estimate:
        known = ~np.isnan(answers.numbers)
        return measure(y_pred=answers.numbers[known], y_true=answers.targets[known])

    return compute


def _share(name: str) -> Callable[[Answers], Estimate]:
    return lambda answers: decisions.compute_share(flags=getattr(answers, name))


MEASURES: Mapping[str, Callable[[Answers], Estimate]] = MappingProxyType(
    {
        "accuracy": lambda of: decisions.compute_accuracy(y_pred=of.chosen, y_true=of.true),
        "coverage": lambda of: decisions.compute_share(flags=of.chosen != decisions.NONE),
        "abstention_rate": _share("abstained"),
        "parse_rate": _share("parsed"),
        "selective_accuracy": lambda of: decisions.compute_selective_accuracy(y_pred=of.chosen, y_true=of.true),
        "balanced_accuracy": _of_classes(decisions.compute_balanced_accuracy),
        "f1_macro": _of_classes(decisions.compute_f1),
        "expected_cost": _expected_cost,
        "ece": _of_confidence(errors.compute_ece),
        "mce": _of_confidence(errors.compute_mce),
        "ece_adaptive": _of_confidence(errors.compute_adaptive_ece),
        "ece_debiased": _of_confidence(errors.compute_debiased_ece),
        "ece_event": _of_options(errors.compute_ece, binary=True),
        "calibration_p": _of_confidence(errors.compute_calibration_p),
        "calibration_slope": _of_confidence(scores.compute_calibration_slope),
        "calibration_intercept": _of_confidence(scores.compute_calibration_intercept),
        "aurc": _of_confidence(lambda y_prob, y_true: decisions.compute_aurc(confidence=y_prob, correct=y_true)),
        "brier_binary": _of_options(scores.compute_brier_score, binary=True),
        "brier_multiclass": _of_options(scores.compute_brier_score, binary=False),
        "log_loss": _of_options(scores.compute_log_loss),
        "auc": _of_options(scores.compute_auc),
        "mae": _of_numbers(regression.compute_mae),
        "rmse": _of_numbers(regression.compute_rmse),
        "r2": _of_numbers(regression.compute_r2),
    }
)
"""Every figure of `FIGURES`: how it is computed."""
