"""Calibrators: from the records of a calibration split to thresholds, and what they promise in words."""

from collections.abc import Hashable, Sequence
from fractions import Fraction
from math import ceil, isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cruijff_kit.errors import Problem, ResultError
from cruijff_kit.schema.calibration import BY_CLASS, CalibrationSettings, Calibrator, KeptScores, Threshold
from cruijff_kit.scoring.conformal import ConformalPredictor, Quantile
from cruijff_kit.scoring.records import OptionRecords, cost_matrix
from cruijff_kit.scoring.risk_control import RiskControlledPredictor, RiskDecisions
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = [
    "categories_of",
    "decide",
    "decide_rows",
    "fit_thresholds",
    "keep_scores",
    "predict_sets",
    "promise_of",
    "recalibrated",
    "risk_of",
    "set_flags",
]

_SHOWN = 5


def keep_scores(found: OptionRecords, *, settings: CalibrationSettings, uniforms: Sequence[float]) -> KeptScores:
    """Return what calibrating needs of records, in an order that tells nothing of theirs.

    Args:
        found: records of the calibration split.
        settings: what is asked for; of it the group column.
        uniforms: one number in [0, 1) a record.

    Raises:
        ResultError: a record lacks the group column.
    """
    of_groups = settings.by not in {"", BY_CLASS}
    names = (
        [str(each) for each in categories_of(found, by=settings.by) or ()] if of_groups else [""] * len(found.labels)
    )
    numbers = (tuple(map(float, row)) for row in found.logprobs)
    rows = sorted(zip(numbers, map(int, found.labels), map(float, uniforms), names, strict=True))
    logprobs, labels, drawn, categories = zip(*rows, strict=True) if rows else ((), (), (), ())
    return KeptScores(labels=labels, logprobs=logprobs, uniforms=drawn, categories=categories if of_groups else ())


def fit_thresholds(
    kept: KeptScores, *, options: Sequence[str], settings: CalibrationSettings, temperature: float
) -> dict[str, Any]:
    """Return the fields of a calibrator that its settings and the scores kept decide.

    Args:
        kept: what to calibrate on.
        options: answer options, in the order of the columns.
        settings: method, error rate, costs.
        temperature: what log-probabilities are divided by.

    Raises:
        ResultError: the costs do not fit the options, or the error rate is none.
    """
    risk = settings.controls_risk
    sets = () if risk else _fit_sets(kept, options=options, settings=settings, temperature=temperature)
    limit = _fit_decisions(kept, options=options, settings=settings, temperature=temperature) if risk else None
    return {
        "settings": settings,
        "alpha": settings.alpha,
        "delta": settings.delta if settings.method == "ltt" else None,
        "thresholds": sets,
        "threshold": limit,
        "claim": promise_of(settings, thresholds=sets, threshold=limit),
    }


def recalibrated(calibrator: Calibrator, *, settings: CalibrationSettings) -> Calibrator:
    """Return a calibrator as fitting anew with other settings would give it, from the scores that it keeps.

    Of the settings method, alpha, delta, costs and the kind of risk may be others; the
    samples, their categories and the temperature stay.

    Raises:
        ResultError: it keeps no scores, or the settings are not possible.
    """
    if calibrator.kept is None:
        hint = f"`ck calibrate {calibrator.run}` fits it again and keeps them"
        raise ResultError("the calibrator keeps no scores to find another threshold from", hint=hint)
    fitted = fit_thresholds(
        calibrator.kept, options=calibrator.options, settings=settings, temperature=calibrator.temperature
    )
    return calibrator.model_copy(update=fitted)


def predict_sets(found: OptionRecords, *, calibrator: Calibrator, uniforms: Sequence[float]) -> NDArray[np.bool_]:
    """Return (n, K) flags: which options are in each record's set."""
    by = calibrator.settings.by
    names = None if by == BY_CLASS else categories_of(found, by=by)
    return set_flags(found.logprobs, calibrator=calibrator, uniforms=uniforms, categories=names)


def set_flags(
    logprobs: ArrayLike,
    *,
    calibrator: Calibrator,
    uniforms: Sequence[float] | None = None,
    categories: Sequence[Hashable] | None = None,
) -> NDArray[np.bool_]:
    """Return (n, K) flags: which options are in each sample's set.

    Args:
        logprobs: (n, K) log-probabilities, as the model gave them.
        calibrator: one that makes sets.
        uniforms: one number in [0, 1) a sample; needed by randomised methods alone.
        categories: each sample's group, where the calibrator has a quantile for each; a group that it does not
            know has full sets.
    """
    predictor = _conformal(calibrator.settings)
    predictor.restore(
        {
            each.category: Quantile(each.n, each.rank, float("inf") if each.quantile is None else each.quantile)
            for each in calibrator.thresholds
        }
    )
    probabilities = option_probabilities(logprobs, temperature=calibrator.temperature)
    rows: list[list[Hashable]] = (
        [list(calibrator.options)] * len(probabilities)
        if calibrator.settings.by == BY_CLASS
        else [[name] for name in categories or [None] * len(probabilities)]
    )
    scores = predictor.scores(probabilities=probabilities, uniforms=uniforms)
    return predictor.predict(test_scores=scores, test_categories=rows)


def decide(found: OptionRecords, *, calibrator: Calibrator) -> RiskDecisions:
    """Return what to do with each record: the cheapest option, or abstain."""
    return decide_rows(found.logprobs, calibrator=calibrator)


def decide_rows(logprobs: ArrayLike, *, calibrator: Calibrator) -> RiskDecisions:
    """Return what to do with each of (n, K) log-probabilities: the cheapest option, or abstain.

    Raises:
        ResultError: the costs do not fit the options.
    """
    predictor = _risk_controlled(calibrator.settings)
    costs = cost_matrix(calibrator.settings.costs, options=calibrator.options)
    predictor.restore(threshold=calibrator.threshold, cost_matrix=costs)
    return predictor.predict(test_probs=option_probabilities(logprobs, temperature=calibrator.temperature))


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


def risk_of(settings: CalibrationSettings) -> Literal["selective", "marginal"]:
    """Return which risk is controlled: the selective one, unless asked otherwise or impossible."""
    return settings.risk or ("marginal" if settings.method == "crc" else "selective")


def promise_of(settings: CalibrationSettings, *, thresholds: Sequence[Threshold], threshold: float | None) -> str:
    """Return what a calibrator guarantees, in words, or why it can guarantee nothing."""
    if settings.controls_risk:
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


def _fit_sets(
    kept: KeptScores, *, options: Sequence[str], settings: CalibrationSettings, temperature: float
) -> tuple[Threshold, ...]:
    """Return the quantile of the scores of the true options, one for each category."""
    predictor, labels = _conformal(settings), np.array(kept.labels, dtype=np.int64)
    probabilities = option_probabilities(kept.logprobs, temperature=temperature)
    scores = predictor.scores(probabilities=probabilities, uniforms=kept.uniforms)
    named: Sequence[Hashable] = (
        [options[label] for label in kept.labels] if settings.by == BY_CLASS else kept.categories
    )
    predictor.calibrate(
        cal_scores=scores[np.arange(len(scores)), labels], alpha=settings.alpha, cal_categories=named or None
    )
    # An option that no sample has is a category too: nothing is known of it.
    absent = [option for option in options if settings.by == BY_CLASS and option not in predictor.quantiles]
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


def _fit_decisions(
    kept: KeptScores, *, options: Sequence[str], settings: CalibrationSettings, temperature: float
) -> float | None:
    """Return the largest expected cost at which to act; None for abstaining on everything."""
    predictor = _risk_controlled(settings)
    predictor.calibrate(
        cal_probs=option_probabilities(kept.logprobs, temperature=temperature),
        cal_labels=kept.labels,
        risk_level=settings.alpha,
        cost_matrix=cost_matrix(settings.costs, options=options),
    )
    return predictor.threshold


def _conformal(settings: CalibrationSettings) -> ConformalPredictor:
    return ConformalPredictor(method=settings.method, penalty=settings.penalty, spared_ranks=settings.spared_ranks)


def _risk_controlled(settings: CalibrationSettings) -> RiskControlledPredictor:
    return RiskControlledPredictor(method=settings.method, risk=risk_of(settings), delta=settings.delta)
