"""Calibrate: thresholds from the predictions of one split, and what they do on another."""

import hashlib
from collections.abc import Sequence

from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.calibrator_text import calibrator_text
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator, SplitFigures
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.workflow.calibrators import (
    Collected,
    chosen_records,
    digest_of,
    one_checkpoint,
    read_calibrator,
    read_collected,
    refuse_mismatch,
    refuse_overlap,
    refuse_own_splits,
    uniforms_of,
)
from cruijff_kit.workflow.collect import write_changed

__all__ = ["apply_calibrator", "calibrate_run", "fit_calibrator"]

_USED = {
    "train": "the model learnt from it",
    "validation": "epochs are chosen by it",
    "test": "it is kept for judging",
}
"""Splits that cannot be calibrated on, and why."""


def calibrate_run(run: str, *, settings: CalibrationSettings | None = None, world: World) -> Calibrator:
    """Fit a calibrator to a run's predictions of a dedicated split, write it, and return it.

    Reads what `ck collect` gathered, never a model. Too little data is no error: the
    calibrator then has full sets, or abstains on everything, and says so. Fitting
    again what has not changed writes the same bytes and records nothing new.

    Args:
        run: run id, or an unambiguous start of it.
        settings: method, error rate, split; defaults where None.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the settings contradict each other, or name a split used otherwise.
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown.
        ResultError: the predictions are missing, changed, or cannot be calibrated on.
        SiteError: an extra that reads tables or computes thresholds is not installed.
    """
    asked = settings or CalibrationSettings()
    _refuse_settings(asked)
    source = read_collected(run, world=world)
    chosen = chosen_records(source, split=asked.split, task=asked.task, epoch=asked.epoch)
    warming = _warming(source, chosen, settings=asked)
    calibrator = fit_calibrator(chosen, warming, settings=asked)
    content = calibrator_text(calibrator).encode()
    path = RunLayout(source.run).calibrator
    write_changed({path: content}, world=world)
    event = _event(calibrator, source, output={path: hashlib.sha256(content).hexdigest()}, world=world)
    last = [each for each in world.audit.records() if (each.action, each.subject) == (event.action, event.subject)][-1:]
    if not last or (last[0].inputs, last[0].outputs) != (event.inputs, event.outputs):
        world.audit.append(event)
    return calibrator


def apply_calibrator(run: str, *, split: str = "test", task: str = "", world: World) -> SplitFigures:
    """Return what a run's calibrator does on a split that it was not fitted on; never writes.

    Args:
        run: run id, or an unambiguous start of it.
        split: split to apply it to.
        task: evaluation task; may be empty where one alone has the split.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown.
        SpecError: the split is one that the model or the calibrator was made with.
        ResultError: there is no calibrator; it, its data or its checkpoint is not what it
            was; or samples of the split were calibrated on.
        SiteError: an extra that reads tables or computes intervals is not installed.
    """
    source = read_collected(run, world=world)
    calibrator = read_calibrator(source.run, world=world)
    refuse_own_splits(calibrator, split)
    chosen = chosen_records(source, split=split, task=task, epoch=calibrator.epoch)
    refuse_mismatch(calibrator, source, chosen=chosen)
    from cruijff_kit.analysis.calibrated import split_figures

    return split_figures(chosen, calibrator=calibrator, uniforms=uniforms_of(chosen, seed=calibrator.settings.seed))


def _refuse_settings(asked: CalibrationSettings) -> None:
    risk = asked.controls_risk
    found = [
        (asked.split in _USED, "split", f"`{asked.split}` cannot be calibrated on: {_USED.get(asked.split)}"),
        (asked.temperature_split in {asked.split, "test"}, "temperature_split", "it must be a split of its own"),
        (not risk and asked.alpha >= 1, "alpha", f"`{asked.alpha:g}` is no error rate; it lies between 0 and 1"),
        (not risk and bool(asked.costs), "costs", f"`{asked.method}` makes sets and knows no costs"),
        (not risk and asked.risk is not None, "risk", f"`{asked.method}` makes sets and controls no risk"),
        (risk and bool(asked.by), "by", f"`{asked.method}` has one threshold for all samples"),
        (asked.method == "crc" and asked.risk == "selective", "risk", "`crc` controls the marginal risk alone"),
    ]
    problems = [Problem(message, path=path) for wrong, path, message in found if wrong]
    if problems:
        hint = "evaluate a split of its own and name it, such as `--split calibration`; see `ck calibrate --help`"
        raise SpecError("the calibration asked for is not possible", problems=problems, hint=hint)


def _warming(
    source: Collected, chosen: Sequence[Prediction], *, settings: CalibrationSettings
) -> tuple[Prediction, ...]:
    """Return the records that the temperature is fitted on, none where none is asked for."""
    if not settings.temperature_split:
        return ()
    found = chosen_records(source, split=settings.temperature_split, task="", epoch=chosen[0].epoch)
    refuse_overlap(found, chosen, names=(settings.temperature_split, settings.split))
    return found


def fit_calibrator(
    chosen: tuple[Prediction, ...], warming: tuple[Prediction, ...] = (), *, settings: CalibrationSettings
) -> Calibrator:
    """Return the calibrator of some records; nothing is read or written.

    Args:
        chosen: records of the calibration split, one evaluation.
        warming: records of another split that the temperature is fitted on first.
        settings: method, error rate, costs.

    Raises:
        ResultError: the records or the costs cannot be used.
        SiteError: the extra that computes thresholds is not installed.
    """
    from cruijff_kit.scoring.calibrators import fit_thresholds, keep_scores
    from cruijff_kit.scoring.records import option_records

    found = option_records(chosen, name=f"split `{settings.split}`")
    temperature = _temperature(warming)
    kept = keep_scores(found, settings=settings, uniforms=uniforms_of(chosen, seed=settings.seed))
    return Calibrator(
        run=chosen[0].run,
        epoch=chosen[0].epoch,
        task=chosen[0].task,
        options=found.options,
        n=len(found.records),
        unscored=found.unscored,
        temperature=temperature,
        data_sha256=digest_of(chosen),
        temperature_sha256=digest_of(warming) if warming else None,
        checkpoint_sha256=one_checkpoint((*chosen, *warming)),
        kept=kept,
        **fit_thresholds(kept, options=found.options, settings=settings, temperature=temperature),
    )


def _temperature(warming: Sequence[Prediction]) -> float:
    if not warming:
        return 1.0
    from cruijff_kit.scoring.records import option_records
    from cruijff_kit.scoring.temperature import fit_temperature

    found = option_records(warming, name=f"split `{warming[0].split}`")
    fitted = fit_temperature(logprobs=found.logprobs, labels=found.labels)
    if fitted.value is None:
        fact = f"split `{warming[0].split}` determines no temperature: {fitted.reason}"
        raise ResultError(fact, hint="use more samples, or leave `--temperature-split` away")
    return fitted.value


def _event(calibrator: Calibrator, source: Collected, *, output: dict[str, str], world: World) -> AuditEvent:
    settings = calibrator.settings
    full = [each for each in calibrator.thresholds if each.quantile is None]
    empty = bool(full) or (settings.controls_risk and calibrator.threshold is None)
    return AuditEvent(
        actor=world.actor,
        verb="calibrate",
        action=Action.CALIBRATE,
        subject=source.run,
        inputs={
            source.path: source.sha256,
            "data_sha256": calibrator.data_sha256,
            "checkpoint_sha256": calibrator.checkpoint_sha256,
            "method": settings.method,
            "alpha": f"{calibrator.alpha:g}",
            "split": settings.split,
        },
        outputs={**output, "claim": calibrator.claim},
        result=Outcome.WARNING if empty else Outcome.SUCCESS,
    )
