"""Diagnoses: each run's probabilities against what came true, at the last epoch of every task."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cruijff_kit.analysis.group_columns import Floats, Ints
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.last_epoch import last_samples
from cruijff_kit.analysis.score_intervals import FORECASTS, OPTIONS, line_interval, unbounded
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.diagnosis import Diagnosis, Point, ReliabilityBin, ScoreFigure
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.scoring.calibration_error import compute_ece, fill_bins
from cruijff_kit.scoring.estimates import Estimate, events
from cruijff_kit.scoring.probability_scores import compute_auc, compute_log_loss, fit_intercept, fit_slope
from cruijff_kit.scoring.records import OptionRecords, option_records
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["BINS", "diagnose_all", "diagnose_run"]

BINS = 10
"""Bins of every reliability diagram and calibration error."""

_POINTS = 60
"""Points that a curve is thinned to."""
_FEWEST = 10
"""Samples below which an error rate is no point of a curve."""


class _Events(NamedTuple):
    """What was forecast with which probability, and whether it came true."""

    sure: Floats
    right: Floats


def diagnose_all(
    table: ResultTable, calibrators: Mapping[str, Calibrator] | None = None, *, level: float
) -> tuple[Diagnosis, ...]:
    """Return a diagnosis of each run and task whose predictions hold probabilities.

    Args:
        table: what was collected.
        calibrators: by run, for the temperature that its other splits are shown at too.
        level: confidence level in (0, 1).
    """
    known, cells = calibrators or {}, last_samples(table)
    found = (diagnose_run(each, calibrator=known.get(run), level=level) for (run, _), each in cells.items())
    return tuple(each for each in found if each is not None)


def diagnose_run(
    predictions: Sequence[Prediction], *, calibrator: Calibrator | None = None, level: float
) -> Diagnosis | None:
    """Return how far the probabilities of one evaluation can be believed; None where there are none.

    Options are judged where all samples that did not error have their
    log-probabilities, else the confidence of the answer given.

    Args:
        predictions: one run's samples of one task at one epoch.
        calibrator: the run's, whose temperature is shown beside where it was fitted elsewhere.
        level: confidence level in (0, 1).
    """
    answered = [each for each in predictions if each.error is None]
    sure = [each for each in answered if each.confidence is not None and each.correct is not None]
    try:
        if answered and all(each.option_logprobs for each in answered):
            found = option_records(answered, name="these samples")
            return _of_options(predictions, found, calibrator=calibrator, level=level)
        return _of_confidences(predictions, sure, level=level) if sure else None
    except ResultError as err:
        # A foreign task may record what is no probability; its figures are missing, not the report.
        return _empty(predictions, reason=str(err).partition("\n")[0])


def _of_options(
    predictions: Sequence[Prediction], found: OptionRecords, *, calibrator: Calibrator | None, level: float
) -> Diagnosis:
    rows = option_probabilities(found.logprobs)
    told = _Events(*events(rows, found.labels))
    binary = rows.shape[1] == 2
    diagnosis = _empty(predictions, reason="").model_copy(
        update={
            "n": len(rows),
            "without": len(predictions) - len(rows),
            "figures": (*_event_figures(told, level=level), *_option_figures(rows, found.labels, level=level)),
            "bins": _bins(told, level=level),
            "roc": _roc(rows[:, 1], found.labels) if binary else (),
            "risk_coverage": _risk_coverage(told),
            "mass": _median_mass(found),
        }
    )
    temperature = _temperature(calibrator, diagnosis)
    if temperature is None:
        return diagnosis
    warm = _Events(*events(option_probabilities(found.logprobs, temperature=temperature), found.labels))
    ece = compute_ece(y_prob=warm.sure, y_true=warm.right, n_bins=BINS).value
    update = {"temperature": temperature, "warmed": _bins(warm, level=level), "warmed_ece": ece}
    return diagnosis.model_copy(update=update)


def _median_mass(found: OptionRecords) -> float | None:
    known = [each.option_mass for each in found.records if each.option_mass is not None]
    return float(np.median(known)) if known else None


def _of_confidences(predictions: Sequence[Prediction], sure: Sequence[Prediction], *, level: float) -> Diagnosis:
    told = _Events(
        np.asarray([each.confidence for each in sure], dtype=np.float64),
        np.asarray([each.correct is True for each in sure], dtype=np.float64),
    )
    lacking = Estimate(None, 0, "no options were scored")
    nothing = unbounded(lacking, level=level)
    none = [ScoreFigure(name=name, figure=nothing, reason=lacking.reason) for name in OPTIONS]
    return _empty(predictions, reason="").model_copy(
        update={
            "kind": "confidence",
            "n": len(sure),
            "without": len(predictions) - len(sure),
            "figures": (*_event_figures(told, level=level), *none),
            "bins": _bins(told, level=level),
            "risk_coverage": _risk_coverage(told),
        }
    )


def _empty(predictions: Sequence[Prediction], *, reason: str) -> Diagnosis:
    first = predictions[0]
    return Diagnosis(
        run=first.run, task=first.task, epoch=first.epoch, split=first.split, kind="options", n=0,
        without=len(predictions), reason=reason,
    )  # fmt: skip


def _temperature(calibrator: Calibrator | None, diagnosis: Diagnosis) -> float | None:
    """Return a temperature that was fitted, to this checkpoint and to another split."""
    if calibrator is None or not calibrator.settings.temperature_split or calibrator.epoch != diagnosis.epoch:
        return None
    return None if diagnosis.split == calibrator.settings.temperature_split else calibrator.temperature


def _event_figures(told: _Events, *, level: float) -> tuple[ScoreFigure, ...]:
    sure, right = told
    ece = compute_ece(y_prob=sure, y_true=right, n_bins=BINS)
    lines = {
        "calibration_slope": fit_slope(y_prob=sure, y_true=right),
        "calibration_intercept": fit_intercept(y_prob=sure, y_true=right),
    }
    lacking = {"ece_debiased": "fewer than 2 samples" if len(sure) < 2 else ""}
    lacking |= {name: line.estimate.reason for name, line in lines.items()}
    # A line takes longer to fit than all else together, so it is fitted once for its figure and its reason.
    fitted = {name: line_interval(line, level=level) for name, line in lines.items()}
    figures = {
        name: fitted[name] if name in fitted else interval(sure, right, level=level)
        for name, interval in FORECASTS.items()
    }
    return (
        ScoreFigure(name="ece", figure=unbounded(ece, level=level), reason=ece.reason),
        *(ScoreFigure(name=name, figure=figure, reason=lacking.get(name, "")) for name, figure in figures.items()),
    )


def _option_figures(rows: Floats, labels: Ints, *, level: float) -> tuple[ScoreFigure, ...]:
    """Return scores of all options; with two of them the second is the event."""
    found = {name: interval(rows, labels, level=level) for name, interval in OPTIONS.items()}
    few = _few_of_a_class(found["auc"]) if rows.shape[1] == 2 else ""
    lacking = {
        "log_loss": compute_log_loss(y_prob=rows, y_true=labels).reason,
        "auc": compute_auc(y_prob=rows, y_true=labels).reason or few,
    }
    return tuple(ScoreFigure(name=name, figure=figure, reason=lacking.get(name, "")) for name, figure in found.items())


def _few_of_a_class(figure: Interval) -> str:
    return "" if figure.value is not None else "fewer than 2 samples of a class"


def _bins(told: _Events, *, level: float) -> tuple[ReliabilityBin, ...]:
    filled = fill_bins(y_prob=told.sure, y_true=told.right, n_bins=BINS)
    return tuple(
        ReliabilityBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            confidence=forecast,
            accuracy=wilson_interval(round(share * count), count, level=level),
        )
        for place, count, forecast, share in zip(*(column.tolist() for column in filled), strict=True)
    )


def _roc(score: Floats, positive: Ints) -> tuple[Point, ...]:
    """Return the corners of the curve, ties on one line; none where a class is missing."""
    ones = int(positive.sum())
    if ones in {0, len(positive)}:
        return ()
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    hits = np.concatenate([[0], np.cumsum(positive[order])[ends]])
    misses = np.concatenate([[0], np.cumsum(1 - positive[order])[ends]])
    return _thinned(misses / (len(positive) - ones), hits / ones)


def _risk_coverage(told: _Events) -> tuple[Point, ...]:
    """Return the error rate of the surest samples, from ten of them on; equal confidences act together."""
    order = np.argsort(-told.sure, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(told.sure[order])), len(order) - 1)
    ends = ends[ends + 1 >= min(_FEWEST, len(order))]
    acted = ends + 1
    return _thinned(acted / len(order), np.cumsum(1 - told.right[order])[ends] / acted)


def _thinned(across: Floats, up: Floats) -> tuple[Point, ...]:
    chosen = np.unique(np.rint(np.linspace(0, len(across) - 1, min(_POINTS, len(across)))).astype(int))
    return tuple(zip(across[chosen].tolist(), up[chosen].tolist(), strict=True))
