"""Estimate: what the runs of a design will need, part by part; nothing is written but by `apply_remedy`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import PlanError, Problem, RunError, SiteError
from cruijff_kit.planning.estimates import Basis, disk_span, run_memory, run_work, time_figures
from cruijff_kit.planning.fits import Limit, batch_splits, memory_limit, remedies
from cruijff_kit.planning.settings import site_gpu_memory
from cruijff_kit.planning.throughput import Measured, Pace, likeness
from cruijff_kit.planning.verdicts import out_of_memory
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.estimate import EstimateReport, Probe, Remedy, RunEstimate
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Estimate, PlannedRun
from cruijff_kit.schema.receipt import ScaffoldReceipt
from cruijff_kit.workflow.adopt import adopt_edit
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.basis import basis_of, gpu_limit
from cruijff_kit.workflow.plan import plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import read_lock, recorded_plan, sealed_plan
from cruijff_kit.workflow.standing import read_status

__all__ = ["apply_remedy", "estimate_runs", "propose_remedies"]


class _Subject(NamedTuple):
    """The runs to estimate and what their estimates rest on."""

    experiment: str
    runs: tuple[PlannedRun, ...]
    basis: Basis


def estimate_runs(
    *, run: str | None = None, gpu_memory: str | None = None, probe: int = 0, world: World
) -> EstimateReport:
    """Return what the training runs of the design will need, and which splits of their batch fit.

    Args:
        run: run id, or an unambiguous prefix of it; all runs where None.
        gpu_memory: memory to hold the runs against, such as `80G`; else the job's, the site's or the registry's.
        probe: optimiser steps to take first, apart from the run, to measure its speed; 0 takes none.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no design, or it cannot be planned.
        RunError: no run, or more than one, answers to the name; or its first steps failed.
    """
    subject = _subject(run, world)
    if probe and run is None:
        raise PlanError("a probe takes the first steps of one run", hint="name the run: `ck estimate RUN --probe`")
    measured = _probed(subject.runs[0], steps=probe, world=world) if probe else None
    basis = subject.basis
    if measured is not None:
        basis = basis._replace(measured=_as_measured(subject.runs[0], measured, basis=basis))
    groups = _groups(subject.runs, basis)
    told = tuple(_estimate(group[0], basis, asked=gpu_memory, probe=measured, world=world) for group in groups)
    alike = {group[0].id: tuple(each.id for each in group[1:]) for group in groups if len(group) > 1}
    return EstimateReport(experiment=subject.experiment, runs=told, alike=alike, probe=measured)


def propose_remedies(run: str, *, gpu_memory: str | None = None, world: World) -> tuple[Remedy, ...]:
    """Return what would let a run that ended for want of memory succeed; empty for any other ending.

    Memory of the node and of the GPU are told apart: smaller passes help the one that holds
    the tensors. Nothing is changed.

    Raises:
        PlanError: nothing is scaffolded.
        RunError: no run, or more than one, answers to the name.
    """
    name = find_run(recorded_plan(world=world)[0].runs, run).id
    steps = (each for each in read_status(world=world).steps if each.run_id == name and each.step is Step.TRAIN)
    lacking = next((out_of_memory(each) for each in steps), None)
    if lacking is None:
        return ()
    subject = _subject(name, world)
    chosen = subject.runs[0]
    limit = _limit(chosen, subject.basis, asked=gpu_memory, world=world)
    needed = run_memory(chosen, subject.basis).total
    # It did not fit, whatever the estimate says: a limit above it is no reason to try the same again.
    size = limit.bytes if limit is not None and limit.bytes < needed else None
    return remedies(chosen, subject.basis, limit=size, host=lacking == "host")


def apply_remedy(run: str, *, settings: Mapping[str, int | bool], reason: str, world: World) -> ScaffoldReceipt:
    """Change how a run's effective batch is taken, in its `setup_finetune.yaml`, and adopt that edit.

    The run keeps its id: the effective batch is the same, and so are its results. The
    change stands in the record with the reason, and in the plan as an edit.

    Args:
        run: run id, or an unambiguous prefix of it.
        settings: `batch_size`, `activation_checkpointing` or `packed` to their new values.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: nothing is scaffolded, files were edited, or the effective batch would change.
        RunError: no run, or more than one, answers to the name.
    """
    plan, _ = sealed_plan(world=world)
    chosen = find_run(plan.runs, run)
    path = RunLayout(chosen.id).setup
    before = world.store.read_text(path)
    if chosen.type == "control" or before is None:
        raise RunError(f"run `{chosen.id}` does not train", run_id=chosen.id, hint="name a run that does")
    changes = _checked(chosen, settings)
    world.store.write(path, _edited(before, changes))
    try:
        return adopt_edit(chosen.id, reason=reason, world=world)
    except BaseException:
        world.store.write(path, before)
        raise


def _subject(run: str | None, world: World) -> _Subject:
    """Return the runs asked about: as sealed where they are, with adopted edits, else as designed."""
    spec = read_design(world)
    planned = plan_with_data(spec, world=world)
    sealed = {each.id: each for each in recorded_plan(world=world)[0].runs} if read_lock(world) is not None else {}
    runs = tuple(sealed.get(each.id, each) for each in planned.plan.runs)
    chosen = runs if run is None else (find_run(runs, run),)
    trained = tuple(each for each in chosen if each.type == "fine-tuned")
    if not trained:
        name = run or spec.name
        raise RunError(f"`{name}` trains nothing", run_id=name, hint="only fine-tuning is estimated")
    return _Subject(spec.name, trained, basis_of(spec, planned, runs=trained, world=world))


def _groups(runs: Sequence[PlannedRun], basis: Basis) -> list[list[PlannedRun]]:
    """Return runs in groups that need the same."""
    groups: dict[tuple[object, ...], list[PlannedRun]] = {}
    for run in runs:
        key = (run.model.sha256, run_work(run, basis), run.total_steps, run.epochs_saved, basis.lengths.get(run.id))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def _estimate(run: PlannedRun, basis: Basis, *, asked: str | None, probe: Probe | None, world: World) -> RunEstimate:
    limit = _limit(run, basis, asked=asked, world=world)
    size = limit.bytes if limit is not None else None
    memory = run_memory(run, basis)
    return RunEstimate(
        run_id=run.id,
        device="gpu" if basis.resources.gpus else "cpu",
        memory=memory,
        splits=batch_splits(run, basis, limit=size),
        limit=size,
        limit_source=limit.source if limit is not None else "",
        remedies=remedies(run, basis, limit=size) if size is not None and memory.total > size else (),
        figures=tuple(_figures(run, basis, probe=probe)),
    )


def _limit(run: PlannedRun, basis: Basis, *, asked: str | None, world: World) -> Limit | None:
    registry = gpu_limit(run, basis.models[run.model.name], world=world)
    try:
        return memory_limit(
            basis.resources, asked=asked, site=site_gpu_memory(basis.resources, world.site), registry=registry
        )
    except ValueError as err:
        raise PlanError(str(err), hint="for example `--gpu-memory 80G`") from err


def _figures(run: PlannedRun, basis: Basis, *, probe: Probe | None) -> list[Estimate]:
    time = time_figures([run], basis)[0].model_copy(update={"name": "training time"})
    if probe is not None and time.value is not None:
        fact = (
            f"processed tokens a second of {probe.steps} first steps on `{probe.device}`; loading, validating left out"
        )
        time = time.model_copy(update={"source": fact})
    disk = disk_span(run, basis.models[run.model.name]).scaled(1e-9)
    source = "formula: adapters kept, merged models; high with checkpoints to resume from"
    figures = [time, disk.stated("on disk", unit="GB", source=source)]
    if basis.resources.gpus and time.value is not None:
        hours = time.model_copy(update={"name": "GPU-hours"})
        scaled = {end: (getattr(time, end) or 0.0) * basis.resources.all_gpus for end in ("value", "low", "high")}
        figures.insert(1, hours.model_copy(update={**scaled, "source": f"{time.source}; x GPUs"}))
    return figures


def _probed(run: PlannedRun, *, steps: int, world: World) -> Probe:
    """Take the first steps of a scaffolded run, apart from it."""
    if world.prober is None:
        raise SiteError("this world takes no first steps", hint="use `ck estimate RUN --probe` at a terminal")
    layout = RunLayout(run.id)
    config, script = (world.store.read_text(path) for path in (layout.config, layout.train_script))
    if config is None or script is None:
        hint = "run `ck scaffold` first: a probe reads the run's own configuration and data"
        raise PlanError(f"run `{run.id}` is not scaffolded", hint=hint)
    return world.prober.probe(config, command=parse_script(script).command, steps=steps)


def _as_measured(run: PlannedRun, probe: Probe, *, basis: Basis) -> tuple[Measured, ...]:
    """Return a probe as a measured run, so that time is told from it alone; nothing where it ran on another device."""
    gpus = basis.resources.all_gpus if probe.device.startswith(("cuda", "mps")) else 0
    if probe.tokens_per_second is None or probe.low is None or probe.high is None or run.model.sha256 is None:
        return ()
    pace = Pace(probe.tokens_per_second, probe.low, probe.high)
    size = run.settings["batch_size"].value
    return (Measured(run.id, run.model.sha256, pace, likeness(run, gpus=gpus), size),)


_APPLICABLE = {"batch_size": int, "activation_checkpointing": bool, "packed": bool}


def _checked(run: PlannedRun, settings: Mapping[str, int | bool]) -> dict[str, int | bool]:
    """Return every setting that changes, the accumulation that keeps the effective batch among them.

    Raises:
        PlanError: a setting is none of these, or the batch cannot be taken so.
    """
    strange = [
        Problem(f"`{name}: {value}` is not applied by an estimate", name, hint="edit the file, then `ck adopt`")
        for name, value in settings.items()
        if type(value) is not _APPLICABLE.get(name)
    ]
    if strange:
        raise PlanError("the change cannot be applied", problems=strange)
    changes = dict(settings)
    window = run.settings["batch_size"].value * run.settings["gradient_accumulation_steps"].value
    size = settings.get("batch_size", run.settings["batch_size"].value)
    if size < 1 or window % size:
        whole = ", ".join(str(each) for each in range(1, window + 1) if window % each == 0)
        fact = f"an effective batch of {window} cannot be taken {size} rows at a time"
        raise PlanError(fact, hint=f"one of {whole} rows a pass keeps it")
    if "batch_size" in settings:
        changes["gradient_accumulation_steps"] = window // size
    return changes


def _edited(text: str, changes: Mapping[str, int | bool]) -> str:
    """Return a flat YAML file with the lines of some keys replaced."""
    lines = text.splitlines(keepends=True)
    for name, value in changes.items():
        lines = [dump_yaml({name: value}) if line.startswith(f"{name}:") else line for line in lines]
    return "".join(lines)
