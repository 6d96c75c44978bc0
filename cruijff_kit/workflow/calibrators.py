"""Calibrators in use: read, checked against the predictions they hold for, and applied."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.draws import uniform
from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.tables import read_predictions
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import acts_of
from cruijff_kit.workflow.seal import recorded_plan

__all__ = [
    "Collected",
    "chosen_records",
    "digest_of",
    "fitted_calibrator",
    "last_epoch",
    "one_checkpoint",
    "read_calibrator",
    "read_collected",
    "refuse_mismatch",
    "refuse_overlap",
    "refuse_own_splits",
    "uniforms_of",
]

_AGAIN = "`ck calibrate` fits it again"


class Collected(NamedTuple):
    """The collected predictions of one run."""

    run: str
    """The run."""
    path: str
    """File that they were read from."""
    sha256: str
    """Its hash."""
    records: tuple[Prediction, ...]
    """The predictions."""


def read_collected(run: str, *, world: World) -> Collected:
    """Return the run's predictions, if they are what was last collected."""
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run).id
    path, hint = ExperimentLayout.predictions_of(chosen), "`ck collect` gathers them"
    content = world.store.read(path)
    if content is None:
        raise ResultError(f"run `{chosen}` has no collected predictions", hint=hint)
    digest = hashlib.sha256(content).hexdigest()
    collected = acts_of("collect", Action.COLLECT_RESULTS, world=world)
    if not collected or collected[-1].outputs.get(path) != digest:
        raise ResultError(f"`{path}` is not what was collected last", hint=hint)
    return Collected(chosen, path, digest, read_predictions(content, name=path))


def chosen_records(source: Collected, *, split: str, task: str, epoch: int | None) -> tuple[Prediction, ...]:
    """Return the records of one split, task and checkpoint; the last epoch where none is named."""
    there = [each for each in source.records if each.split == split and task in {"", each.task}]
    wanted = last_epoch(there) if epoch is None else epoch
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


def last_epoch(records: Iterable[Prediction]) -> int | None:
    """Return the last epoch that records are of; None where a model without epochs gave some."""
    epochs = {each.epoch for each in records}
    return None if None in epochs else max((each for each in epochs if each is not None), default=None)


def refuse_own_splits(calibrator: Calibrator, split: str) -> None:
    """Refuse a split that the model or the calibrator was made with."""
    settings = calibrator.settings
    if split in {"train", "validation", settings.split, settings.temperature_split}:
        fact = f"split `{split}` is no test of the calibrator: the model or the calibrator was made with it"
        raise SpecError(fact, hint="apply it to a split that nothing was fitted to, such as `test`")


def refuse_mismatch(
    calibrator: Calibrator, source: Collected, *, chosen: Sequence[Prediction], apart: bool = True
) -> None:
    """Refuse where the data, the checkpoint or the options are others, or samples were calibrated on.

    Args:
        calibrator: what is to be applied.
        source: the run's predictions.
        chosen: those that it is to be applied to.
        apart: whether these must be others than those it was fitted to.
    """
    settings = calibrator.settings
    fitted = chosen_records(source, split=settings.split, task=calibrator.task, epoch=calibrator.epoch)
    parts = [(fitted, settings.split, calibrator.data_sha256)]
    if settings.temperature_split:
        warming = chosen_records(source, split=settings.temperature_split, task="", epoch=calibrator.epoch)
        parts.append((warming, settings.temperature_split, calibrator.temperature_sha256 or ""))
    problems = [
        Problem(f"the predictions of split `{split}` are not those it was fitted to")
        for records, split, digest in parts
        if digest_of(records) != digest
    ]
    if one_checkpoint((*chosen, *fitted)) != calibrator.checkpoint_sha256:
        problems.append(Problem("the predictions come from another checkpoint"))
    if any(each.options != calibrator.options for each in chosen if each.options):
        problems.append(Problem(f"it knows the options {calibrator.options}, and these are others"))
    if problems:
        fact = f"the calibrator of run `{source.run}` does not fit these predictions"
        raise ResultError(fact, problems=problems, hint=_AGAIN)
    for records, split, _ in parts if apart else ():
        refuse_overlap(records, chosen, names=(split, chosen[0].split))


def refuse_overlap(first: Sequence[Prediction], second: Sequence[Prediction], *, names: tuple[str, str]) -> None:
    """Refuse two splits that ask the same: a sample that errored before its prompt has none to compare."""
    asked = {each.prompt_token_sha256 for each in first if each.error is None}
    shared = [each for each in second if each.error is None and each.prompt_token_sha256 in asked]
    if shared:
        fact = f"{len(shared)} samples of split `{names[1]}` are in split `{names[0]}` too"
        problems = [Problem(f"sample `{each.sample_id}` has the same prompt") for each in shared[:5]]
        raise ResultError(fact, problems=problems, hint="make splits that share no sample, and evaluate again")


def one_checkpoint(records: Sequence[Prediction]) -> str:
    """Return the one checkpoint that all records come from."""
    found = sorted({each.checkpoint_sha256 for each in records})
    if len(found) > 1:
        fact = (
            f"the predictions come from {len(found)} checkpoints of one epoch: {', '.join(each[:12] for each in found)}"
        )
        raise ResultError(fact, hint="evaluate the splits again, all with the same checkpoint, and collect")
    return found[0]


def digest_of(records: Sequence[Prediction]) -> str:
    """Return the hash of records, whatever their order."""
    lines = sorted(each.model_dump_json() for each in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def uniforms_of(records: Sequence[Prediction], *, seed: int) -> list[float]:
    """Return the number that randomises each sample's set, the same every time."""
    items = (f"{each.sample_id}/{each.prompt_token_sha256}" for each in records if each.error is None)
    return [uniform(item, seed=seed, label="conformal") for item in items]


def read_calibrator(run: str, *, world: World) -> Calibrator:
    """Return the calibrator that was fitted to a run.

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    path = RunLayout(run).calibrator
    content = world.store.read(path)
    if content is None:
        raise ResultError(f"run `{run}` has no calibrator", hint=f"`ck calibrate {run}` fits one")
    try:
        return Calibrator.model_validate_json(content)
    except ValidationError as err:
        raise ResultError(f"`{path}` cannot be read: {first_fault(err)}", hint=_AGAIN) from err


def fitted_calibrator(run: str, *, world: World) -> Calibrator | None:
    """Return the calibrator that was fitted to a run; None where none was.

    Raises:
        ResultError: it cannot be read.
    """
    return None if world.store.read(RunLayout(run).calibrator) is None else read_calibrator(run, world=world)
