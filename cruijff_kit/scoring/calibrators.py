"""Calibrators: from the records of a calibration split to thresholds, and what they promise in words."""

from collections.abc import Hashable, Sequence
from fractions import Fraction
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.errors import Problem, ResultError
from cruijff_kit.schema.calibration import BY_CLASS, CalibrationSettings, Calibrator, Threshold
from cruijff_kit.scoring.conformal import ConformalPredictor, Quantile
from cruijff_kit.scoring.records import OptionRecords, cost_matrix
from cruijff_kit.scoring.risk_control import RiskControlledPredictor, RiskDecisions
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["categories_of", "decide", "fit_decisions", "fit_sets", "predict_sets", "promise_of", "risk_of"]

_SHOWN = 5


def fit_sets(
    found: OptionRecords, *, settings: CalibrationSettings, temperature: float, uniforms: Sequence[float]
) -> tuple[Threshold, ...]:
    """Return the quantile of the scores of the true options, one for each category."""
    predictor = _conformal(settings)
    probabilities = option_probabilities(found.logprobs, temperature=temperature)
    scores = predictor.scores(probabilities=probabilities, uniforms=uniforms)
    categories = categories_of(found, by=settings.by)
    predictor.calibrate(
        cal_scores=scores[np.arange(len(scores)), found.labels], alpha=settings.alpha, cal_categories=categories
    )
    # An option that no sample has is a category too: nothing is known of it.
    absent = [option for option in found.options if settings.by == BY_CLASS and option not in predictor.quantiles]
    known = {**predictor.quantiles, **dict.fromkeys(absent, Quantile(0, 1, float("inf")))}
    ordered = sorted(known.items(), key=lambda item: str(item[0]))
    return tuple(
        Threshold(
            category=None if name is None else str(name),
            n=quantile.n,
            rank=quantile.rank,
            quantile=quantile.value if isfinite(quantile.value) else None,
        )
        for name, quantile in ordered
    )


def fit_decisions(found: OptionRecords, *, settings: CalibrationSettings, temperature: float) -> float | None:
    """Return the largest expected cost at which to act; None for abstaining on everything."""
    predictor = _risk_controlled(settings)
    predictor.calibrate(
        cal_probs=option_probabilities(found.logprobs, temperature=temperature),
        cal_labels=found.labels,
        risk_level=settings.alpha,
        cost_matrix=cost_matrix(settings.costs, options=found.options),
    )
    return predictor.threshold


def predict_sets(found: OptionRecords, *, calibrator: Calibrator, uniforms: Sequence[float]) -> NDArray[np.bool_]:
    """Return (n, K) flags: which options are in each record's set."""
    predictor = _conformal(calibrator.settings)
    predictor.restore(
        {
            each.category: Quantile(each.n, each.rank, float("inf") if each.quantile is None else each.quantile)
            for each in calibrator.thresholds
        }
    )
    probabilities = option_probabilities(found.logprobs, temperature=calibrator.temperature)
    by = calibrator.settings.by
    rows: list[list[Hashable]] = (
        [list(found.options)] * len(found.records)
        if by == BY_CLASS
        else [[name] for name in categories_of(found, by=by) or [None] * len(found.records)]
    )
    scores = predictor.scores(probabilities=probabilities, uniforms=uniforms)
    return predictor.predict(test_scores=scores, test_categories=rows)


def decide(found: OptionRecords, *, calibrator: Calibrator) -> RiskDecisions:
    """Return what to do with each record: the cheapest option, or abstain."""
    predictor = _risk_controlled(calibrator.settings)
    costs = cost_matrix(calibrator.settings.costs, options=found.options)
    predictor.restore(threshold=calibrator.threshold, cost_matrix=costs)
    return predictor.predict(test_probs=option_probabilities(found.logprobs, temperature=calibrator.temperature))


def categories_of(found: OptionRecords, *, by: str) -> list[Hashable] | None:
    """Return each record's true option, or its value of a group column; None where there is no column.

    Raises:
        ResultError: a record lacks the column.
    """
    if not by:
        return None
    if by == BY_CLASS:
        return [found.options[label] for label in found.labels]
    lacking = [each for each in found.records if by not in each.groups]
    if lacking:
        columns = ", ".join(f"`{name}`" for name in lacking[0].groups) or "none"
        problems = [Problem(f"sample `{each.sample_id}` has no group `{by}`") for each in lacking[:_SHOWN]]
        hint = f"group columns there: {columns}; `{BY_CLASS}` stands for the true option"
        raise ResultError(f"{len(lacking)} predictions have no group `{by}`", problems=problems, hint=hint)
    return [each.groups[by] for each in found.records]


def risk_of(settings: CalibrationSettings) -> str:
    """Return which risk is controlled: the selective one, unless asked otherwise or impossible."""
    return settings.risk or ("marginal" if settings.method == "crc" else "selective")


def promise_of(settings: CalibrationSettings, *, thresholds: Sequence[Threshold], threshold: float | None) -> str:
    """Return what a calibrator guarantees, in words, or why it can guarantee nothing."""
    if settings.method in {"crc", "ltt"}:
        return _risk_promise(settings, threshold)
    share, least = f"{100 * (1 - settings.alpha):g} %", ceil(1 / Fraction(str(settings.alpha)) - 1)
    within = {"": "", BY_CLASS: ", within each class"}.get(settings.by, f", within each `{settings.by}`")
    held = f"over calibration sets and samples, at least {share} of sets hold the right option{within}"
    full = [each for each in thresholds if each.quantile is None]
    if not full:
        return held
    names = ", ".join(f"`{each.category}` ({each.n})" for each in full if each.category is not None)
    few = f"of {names}" if names else f"of {full[0].n} samples"
    return f"{held}; too few calibration samples {few}: alpha {settings.alpha:g} needs {least}, and the set is full"


def _risk_promise(settings: CalibrationSettings, threshold: float | None) -> str:
    per = "sample acted on" if risk_of(settings) == "selective" else "sample (abstentions cost nothing)"
    risk = f"the cost per {per} is at most {settings.alpha:g}"
    if settings.method == "crc":
        held = f"on average over calibration sets, {risk}"
    else:
        held = f"with probability {1 - settings.delta:g} over calibration sets, {risk}"
    if threshold is None:
        return f"no threshold could be found at which {held}: abstain on everything"
    return held


def _conformal(settings: CalibrationSettings) -> ConformalPredictor:
    return ConformalPredictor(method=settings.method, penalty=settings.penalty, spared_ranks=settings.spared_ranks)


def _risk_controlled(settings: CalibrationSettings) -> RiskControlledPredictor:
    return RiskControlledPredictor(method=settings.method, risk=risk_of(settings), delta=settings.delta)
