"""Guarantees: every run's calibrator applied to its test split, for the report; never writes."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.calibration import Calibrator, SplitFigures
from cruijff_kit.schema.diagnosis import Guarantee
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.workflow.calibrators import (
    Collected,
    chosen_records,
    fitted_calibrator,
    refuse_mismatch,
    uniforms_of,
)

__all__ = ["Calibrated", "gather_guarantees"]

_SPLIT = "test"


class Calibrated(NamedTuple):
    """The calibrators of an experiment and what they do."""

    calibrators: Mapping[str, Calibrator]
    """By run."""
    guarantees: tuple[Guarantee, ...]
    """One for each test evaluation of a run that has a calibrator."""
    notes: tuple[str, ...]
    """Calibrators that cannot be read."""


def gather_guarantees(table: ResultTable, *, world: World) -> Calibrated:
    """Apply each calibrator to the test split of its run; what does not fit is told, not refused.

    Args:
        table: what was collected.
        world: the experiment and its surroundings.
    """
    calibrators: dict[str, Calibrator] = {}
    guarantees: list[Guarantee] = []
    notes: list[str] = []
    for run, records in groupby(table.predictions, key=lambda each: each.run):
        source = Collected(run, "", "", tuple(records))
        try:
            calibrator = fitted_calibrator(run, world=world)
        except ResultError as err:
            notes.append(str(err).partition("\n")[0])
            continue
        if calibrator is not None:
            calibrators[run] = calibrator
            guarantees.extend(_applied(calibrator, source))
    return Calibrated(calibrators, tuple(guarantees), tuple(notes))


def _applied(calibrator: Calibrator, source: Collected) -> Iterator[Guarantee]:
    known = [each for each in source.records if (each.split, each.epoch) == (_SPLIT, calibrator.epoch)]
    for task in dict.fromkeys(each.task for each in known) or ("",):
        try:
            chosen = chosen_records(source, split=_SPLIT, task=task, epoch=calibrator.epoch)
            refuse_mismatch(calibrator, source, chosen=chosen)
            yield _kept(calibrator, chosen)
        except ResultError as err:
            yield _promised(calibrator, task).model_copy(update={"reason": str(err).partition("\n")[0]})


def _promised(calibrator: Calibrator, task: str) -> Guarantee:
    return Guarantee(
        run=calibrator.run,
        task=task,
        epoch=calibrator.epoch,
        method=calibrator.settings.method,
        claim=calibrator.claim,
        alpha=calibrator.alpha,
        delta=calibrator.delta,
        n=calibrator.n,
        temperature=calibrator.temperature,
    )


def _kept(calibrator: Calibrator, chosen: tuple[Prediction, ...]) -> Guarantee:
    from cruijff_kit.analysis.calibrated import split_figures

    uniforms = uniforms_of(chosen, seed=calibrator.settings.seed)
    found = split_figures(chosen, calibrator=calibrator, uniforms=uniforms, measured=False)
    category, lowest = _lowest(found)
    return _promised(calibrator, chosen[0].task).model_copy(
        update={
            "coverage": found.coverage[0] if found.coverage else None,
            "category": category,
            "lowest": lowest,
            "expected": found.expected,
            "set_size": found.mean_set_size,
            "acted": found.acted,
            "risk": found.risk,
            "unscored": found.unscored,
        }
    )


def _lowest(found: SplitFigures) -> tuple[str, Interval | None]:
    parts = [pair for pair in zip(found.categories, found.coverage, strict=True) if pair[1].value is not None][1:]
    return min(parts, key=lambda pair: pair[1].value or 0.0) if parts else ("", None)
