"""Calibrate: thresholds from the predictions of one split, and what they do on another."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.draws import uniform
from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.tables import read_predictions
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator, SplitFigures
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.collect import write_changed
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["apply_calibrator", "calibrate_run"]

_USED = {
    "train": "the model learnt from it",
    "validation": "epochs are chosen by it",
    "test": "it is kept for judging",
}
"""Splits that cannot be calibrated on, and why."""

_AGAIN = "`ck calibrate` fits it again"


class _Source(NamedTuple):
    """The collected predictions of one run."""

    run: str
    path: str
    sha256: str
    records: tuple[Prediction, ...]


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
    source = _predictions(run, world=world)
    chosen = _chosen(source, split=asked.split, task=asked.task, epoch=asked.epoch)
    warming = _warming(source, chosen, settings=asked)
    calibrator = _fitted(chosen, warming, settings=asked)
    content = (calibrator.model_dump_json(indent=1) + "\n").encode()
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
    source = _predictions(run, world=world)
    calibrator = _read(source.run, world=world)
    settings = calibrator.settings
    if split in {"train", "validation", settings.split, settings.temperature_split}:
        fact = f"split `{split}` is no test of the calibrator: the model or the calibrator was made with it"
        raise SpecError(fact, hint="apply it to a split that nothing was fitted to, such as `test`")
    chosen = _chosen(source, split=split, task=task, epoch=calibrator.epoch)
    _refuse_mismatch(calibrator, source, chosen=chosen)
    from cruijff_kit.analysis.calibrated import split_figures

    return split_figures(chosen, calibrator=calibrator, uniforms=_uniforms(chosen, seed=settings.seed))


def _refuse_settings(asked: CalibrationSettings) -> None:
    risk = asked.method in {"crc", "ltt"}
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


def _predictions(run: str, *, world: World) -> _Source:
    """Return the run's predictions, if they are what was last collected."""
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run).id
    path, hint = ExperimentLayout.predictions_of(chosen), "`ck collect` gathers them"
    content = world.store.read(path)
    if content is None:
        raise ResultError(f"run `{chosen}` has no collected predictions", hint=hint)
    digest = hashlib.sha256(content).hexdigest()
    collected = [each.outputs for each in world.audit.records() if each.action is Action.COLLECT_RESULTS]
    if not collected or collected[-1].get(path) != digest:
        raise ResultError(f"`{path}` is not what was collected last", hint=hint)
    return _Source(chosen, path, digest, read_predictions(content, name=path))


def _chosen(source: _Source, *, split: str, task: str, epoch: int | None) -> tuple[Prediction, ...]:
    """Return the records of one split, task and checkpoint; the last epoch where none is named."""
    there = [each for each in source.records if each.split == split and task in {"", each.task}]
    epochs = {each.epoch for each in there}
    wanted = (
        epoch
        if epoch is not None or None in epochs
        else max((each for each in epochs if each is not None), default=None)
    )
    found = tuple(each for each in there if each.epoch == wanted)
    if not found:
        held = sorted({f"split {each.split}, task {each.task}, epoch {each.epoch}" for each in source.records})
        named = f" of task `{task}`" if task else ""
        at = "" if epoch is None else f" at epoch {epoch}"
        raise ResultError(
            f"run `{source.run}` has no predictions of split `{split}`{named}{at}",
            problems=[Problem(f"there are those of {each}") for each in held],
            hint="add a task with that split to `evaluation.tasks`, evaluate and collect",
        )
    tasks = sorted({each.task for each in found})
    if len(tasks) > 1:
        raise ResultError(f"several tasks have split `{split}`: {', '.join(tasks)}", hint="name one with `--task`")
    twice = [name for name, times in Counter(each.sample_id for each in found).items() if times > 1]
    if twice:
        fact = f"{len(twice)} samples of split `{split}` occur more than once, `{twice[0]}` first"
        raise ResultError(fact, hint="evaluate each sample once; repeated answers are not new samples")
    return found


def _warming(source: _Source, chosen: Sequence[Prediction], *, settings: CalibrationSettings) -> tuple[Prediction, ...]:
    """Return the records that the temperature is fitted on, none where none is asked for."""
    if not settings.temperature_split:
        return ()
    found = _chosen(source, split=settings.temperature_split, task="", epoch=chosen[0].epoch)
    _refuse_overlap(found, chosen, names=(settings.temperature_split, settings.split))
    return found


def _fitted(
    chosen: tuple[Prediction, ...], warming: tuple[Prediction, ...], *, settings: CalibrationSettings
) -> Calibrator:
    from cruijff_kit.scoring.calibrators import fit_decisions, fit_sets, promise_of
    from cruijff_kit.scoring.records import option_records

    found = option_records(chosen, name=f"split `{settings.split}`")
    temperature, risk = _temperature(warming), settings.method in {"crc", "ltt"}
    uniforms = _uniforms(chosen, seed=settings.seed)
    thresholds = () if risk else fit_sets(found, settings=settings, temperature=temperature, uniforms=uniforms)
    threshold = fit_decisions(found, settings=settings, temperature=temperature) if risk else None
    return Calibrator(
        run=chosen[0].run,
        epoch=chosen[0].epoch,
        task=chosen[0].task,
        settings=settings,
        options=found.options,
        alpha=settings.alpha,
        delta=settings.delta if settings.method == "ltt" else None,
        n=len(found.records),
        unscored=found.unscored,
        thresholds=thresholds,
        threshold=threshold,
        temperature=temperature,
        claim=promise_of(settings, thresholds=thresholds, threshold=threshold),
        data_sha256=_digest(chosen),
        temperature_sha256=_digest(warming) if warming else None,
        checkpoint_sha256=_checkpoint((*chosen, *warming)),
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


def _refuse_mismatch(calibrator: Calibrator, source: _Source, *, chosen: Sequence[Prediction]) -> None:
    """Refuse where the data, the checkpoint or the options are others, or samples were calibrated on."""
    settings = calibrator.settings
    fitted = _chosen(source, split=settings.split, task=calibrator.task, epoch=calibrator.epoch)
    parts = [(fitted, settings.split, calibrator.data_sha256)]
    if settings.temperature_split:
        warming = _chosen(source, split=settings.temperature_split, task="", epoch=calibrator.epoch)
        parts.append((warming, settings.temperature_split, calibrator.temperature_sha256 or ""))
    problems = [
        Problem(f"the predictions of split `{split}` are not those it was fitted to")
        for records, split, digest in parts
        if _digest(records) != digest
    ]
    if _checkpoint((*chosen, *fitted)) != calibrator.checkpoint_sha256:
        problems.append(Problem("the predictions come from another checkpoint"))
    if any(each.options != calibrator.options for each in chosen if each.options):
        problems.append(Problem(f"it knows the options {calibrator.options}, and these are others"))
    if problems:
        fact = f"the calibrator of run `{source.run}` does not fit these predictions"
        raise ResultError(fact, problems=problems, hint=_AGAIN)
    for records, split, _ in parts:
        _refuse_overlap(records, chosen, names=(split, chosen[0].split))


def _refuse_overlap(first: Sequence[Prediction], second: Sequence[Prediction], *, names: tuple[str, str]) -> None:
    """Refuse two splits that ask the same: a sample that errored before its prompt has none to compare."""
    asked = {each.prompt_token_sha256 for each in first if each.error is None}
    shared = [each for each in second if each.error is None and each.prompt_token_sha256 in asked]
    if shared:
        fact = f"{len(shared)} samples of split `{names[1]}` are in split `{names[0]}` too"
        problems = [Problem(f"sample `{each.sample_id}` has the same prompt") for each in shared[:5]]
        raise ResultError(fact, problems=problems, hint="make splits that share no sample, and evaluate again")


def _checkpoint(records: Sequence[Prediction]) -> str:
    """Return the one checkpoint that all records come from."""
    found = sorted({each.checkpoint_sha256 for each in records})
    if len(found) > 1:
        fact = (
            f"the predictions come from {len(found)} checkpoints of one epoch: {', '.join(each[:12] for each in found)}"
        )
        raise ResultError(fact, hint="evaluate the splits again, all with the same checkpoint, and collect")
    return found[0]


def _digest(records: Sequence[Prediction]) -> str:
    """Return the hash of records, whatever their order."""
    lines = sorted(each.model_dump_json() for each in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _uniforms(records: Sequence[Prediction], *, seed: int) -> list[float]:
    """Return the number that randomises each sample's set, the same every time."""
    items = (f"{each.sample_id}/{each.prompt_token_sha256}" for each in records if each.error is None)
    return [uniform(item, seed=seed, label="conformal") for item in items]


def _read(run: str, *, world: World) -> Calibrator:
    path = RunLayout(run).calibrator
    content = world.store.read(path)
    if content is None:
        raise ResultError(f"run `{run}` has no calibrator", hint=f"`ck calibrate {run}` fits one")
    try:
        return Calibrator.model_validate_json(content)
    except ValidationError as err:
        where = ".".join(str(part) for part in err.errors()[0]["loc"])
        raise ResultError(f"`{path}` cannot be read: {where}: {err.errors()[0]['msg']}", hint=_AGAIN) from err


def _event(calibrator: Calibrator, source: _Source, *, output: dict[str, str], world: World) -> AuditEvent:
    settings = calibrator.settings
    full = [each for each in calibrator.thresholds if each.quantile is None]
    empty = bool(full) or (settings.method in {"crc", "ltt"} and calibrator.threshold is None)
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
