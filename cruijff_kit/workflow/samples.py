"""Samples: the evaluated samples of a run on which nothing was fitted, where its data may be shown; never writes."""

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.sample_view import SamplePage, StoredSample
from cruijff_kit.workflow.calibrators import fitted_calibrator, last_epoch, read_collected
from cruijff_kit.workflow.consent import refuse_hidden
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["list_samples"]

_MADE_WITH = frozenset({"train", "validation", "calibration"})
"""Splits that no verdict is asked of, whatever a calibrator says."""


def list_samples(run: str, *, world: World) -> SamplePage:
    """Return the samples of a run's collected predictions that a verdict can be asked of, in their order.

    They are those of the calibrator's epoch, or of the last one.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown, or its data may not be shown.
        ResultError: nothing was collected.
    """
    source = read_collected(run, world=world)
    refuse_hidden("single samples", source.run, plan=recorded_plan(world=world)[0], world=world)
    calibrator = _fitted(source.run, world=world)
    used = _MADE_WITH
    if calibrator is not None:
        used |= {calibrator.settings.split, calibrator.settings.temperature_split}
    epoch = last_epoch(source.records) if calibrator is None else calibrator.epoch
    free = [each for each in source.records if each.epoch == epoch and each.split not in used]
    scored = [each for each in free if each.error is None and len(each.option_logprobs) > 1]
    samples = (
        StoredSample(
            sample_id=each.sample_id,
            task=each.task,
            split=each.split,
            options=each.options,
            target=each.target,
            groups=each.groups,
        )
        for each in scored
    )
    return SamplePage(run=source.run, samples=tuple(samples), left_out=len(free) - len(scored))


def _fitted(run: str, *, world: World) -> Calibrator | None:
    try:
        return fitted_calibrator(run, world=world)
    except ResultError:
        # Whoever asks for a verdict is told.
        return None
