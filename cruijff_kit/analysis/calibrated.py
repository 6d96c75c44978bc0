"""A calibrator on another split: coverage, set sizes, abstentions and risk, with their intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.analysis.distributions import beta_limits
from cruijff_kit.analysis.intervals import bounded_mean_interval, wilson_interval
from cruijff_kit.schema.calibration import Calibrator, SplitFigures
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.calibrators import categories_of, decide, predict_sets, risk_of
from cruijff_kit.scoring.decision_scores import NONE
from cruijff_kit.scoring.records import OptionRecords, cost_matrix, option_records, record_metrics

__all__ = ["LEVEL", "AnswerSets", "ControlledCosts", "answer_sets", "controlled_costs", "split_figures"]

LEVEL = 0.95
"""Level of every interval here."""


class AnswerSets(NamedTuple):
    """The set of each record, in order; of those that errored there is none."""

    held: NDArray[np.int64]
    """1 where the set holds the right option, 0 where not; -1 without a set."""
    sizes: NDArray[np.float64]
    """Options in the set; not a number without one."""


class ControlledCosts(NamedTuple):
    """What decisions cost of which the risk is controlled."""

    acted: int
    """Samples acted on."""
    costs: NDArray[np.float64]
    """Cost of each sample that the risk counts: of those acted on, or of all, abstaining and errors free."""
    bound: float
    """Largest cost of a sample."""


def answer_sets(predictions: Sequence[Prediction], *, calibrator: Calibrator, uniforms: Sequence[float]) -> AnswerSets:
    """Return whether each record's conformal set holds its right option, and how large it is.

    Args:
        predictions: records of one evaluation that the calibrator was not fitted on.
        calibrator: one that makes sets.
        uniforms: as `split_figures` takes them.

    Raises:
        ResultError: the records have no option log-probabilities, or other options.
    """
    found = option_records(predictions, name="the predictions")
    sets = predict_sets(found, calibrator=calibrator, uniforms=uniforms)
    answered = np.flatnonzero([each.error is None for each in predictions])
    held, sizes = np.full(len(predictions), -1, dtype=np.int64), np.full(len(predictions), np.nan)
    held[answered] = sets[np.arange(len(sets)), found.labels]
    sizes[answered] = sets.sum(axis=1)
    return AnswerSets(held, sizes)


def controlled_costs(found: OptionRecords, *, calibrator: Calibrator) -> ControlledCosts:
    """Return what a calibrator's decisions cost, at the costs that it knows.

    Args:
        found: records of one evaluation that the calibrator was not fitted on.
        calibrator: one that makes decisions.

    Raises:
        ResultError: the costs do not fit the options.
    """
    actions = decide(found, calibrator=calibrator).actions
    costs = cost_matrix(calibrator.settings.costs, options=found.options)
    acts = actions != NONE
    paid = np.where(acts, costs[found.labels, actions], 0.0)
    selective = risk_of(calibrator.settings) == "selective"
    counted = paid[acts] if selective else np.concatenate([paid, np.zeros(found.unscored)])
    return ControlledCosts(int(acts.sum()), counted, float(costs.max()))


def split_figures(
    predictions: Sequence[Prediction], *, calibrator: Calibrator, uniforms: Sequence[float], measured: bool = True
) -> SplitFigures:
    """Return what a calibrator does on a split that it was not fitted on.

    Args:
        predictions: records of the split, one evaluation.
        calibrator: what to apply.
        uniforms: one number in [0, 1) for each record that did not error, in order.
        measured: whether metrics of the split are wanted too.

    Raises:
        ResultError: the records have no option log-probabilities, or other options.
    """
    first = predictions[0]
    found = option_records(predictions, name=f"split `{first.split}`")
    figures = SplitFigures(
        run=first.run,
        split=first.split,
        task=first.task,
        claim=calibrator.claim,
        n=len(predictions),
        unscored=found.unscored,
        metrics=record_metrics(predictions, temperature=calibrator.temperature, costs=calibrator.settings.costs)
        if measured
        else (),
    )
    if calibrator.thresholds:
        sets = predict_sets(found, calibrator=calibrator, uniforms=uniforms)
        return figures.model_copy(update=_set_figures(found, calibrator, sets=sets))
    return figures.model_copy(update=_risk_figures(found, calibrator))


def _set_figures(found: OptionRecords, calibrator: Calibrator, *, sets: NDArray[np.bool_]) -> dict[str, object]:
    held = sets[np.arange(len(sets)), found.labels]
    names = np.array(categories_of(found, by=calibrator.settings.by) or [], dtype=str)
    known = [str(name) for name in np.unique(names)]
    parts = [held, *(held[names == name] for name in known)]
    sizes = sets.sum(axis=1)
    return {
        "categories": ("all", *known),
        "coverage": tuple(wilson_interval(int(part.sum()), len(part), level=LEVEL) for part in parts),
        "expected": _expected(calibrator),
        "set_sizes": tuple(int(count) for count in np.bincount(sizes, minlength=len(found.options) + 1)),
        "mean_set_size": float(sizes.mean()),
    }


def _expected(calibrator: Calibrator) -> tuple[float, float] | None:
    """Return where coverage lies given the calibration set: Beta(k, n + 1 - k), for one quantile."""
    if len(calibrator.thresholds) != 1:
        return None
    only = calibrator.thresholds[0]
    return (1.0, 1.0) if only.quantile is None else beta_limits(only.rank, only.n + 1 - only.rank, level=LEVEL)


def _risk_figures(found: OptionRecords, calibrator: Calibrator) -> dict[str, object]:
    made = controlled_costs(found, calibrator=calibrator)
    return {
        "acted": wilson_interval(made.acted, len(found.labels) + found.unscored, level=LEVEL),
        "risk": bounded_mean_interval(made.costs, bound=made.bound, level=LEVEL),
    }
