"""Compute: what the jobs of an experiment took, against what was estimated."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cruijff_kit.analysis.gpu_samples import gpu_use
from cruijff_kit.errors import SchedulerError
from cruijff_kit.planning.job_share import gpu_seconds, gpus_of, limit_of
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.ports import World
from cruijff_kit.rendering.compute_table import COMPUTE_COLUMNS, compute_note, compute_rows
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.compute import ComputeReport, ComputeView, JobCompute, Speed
from cruijff_kit.schema.job import Attempt, JobState, JobUsage, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.workflow.attempts import read_attempts, steps_of
from cruijff_kit.workflow.prior_runs import measured_run
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["read_compute", "show_compute", "write_compute"]


def show_compute(*, world: World) -> ComputeView:
    """Return what every job that has ended took, as figures and as a table; never writes.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
    """
    report = read_compute(world=world)
    return ComputeView(
        report=report, columns=COMPUTE_COLUMNS, rows=tuple(compute_rows(report)), note=compute_note(report)
    )


def read_compute(*, world: World) -> ComputeReport:
    """Return what every job that has ended took, and what was estimated; never writes.

    The scheduler's figures count before the job's own, where it has any.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
    """
    plan, _ = recorded_plan(world=world)
    attempts = read_attempts(world.store)
    ended = [each for tried in attempts.values() for each in tried if each.verdict is not None and each.job_id]
    usage = _usage(ended, world)
    jobs = [
        _job(run, each, plan=plan, usage=usage, world=world)
        for run in plan.runs
        for step in steps_of(run)
        for each in attempts.get((run.id, step), ())
        if each.verdict is not None and each.job_id
    ]
    return _summed(plan, jobs, world=world)


def write_compute(*, world: World) -> ComputeReport:
    """Write `compute.json`, from which later experiments estimate, and return it."""
    report = read_compute(world=world)
    text = report.model_dump_json(indent=1) + "\n"
    if world.store.read_text(ExperimentLayout.compute) != text:
        world.store.write(ExperimentLayout.compute, text)
    return report


def _usage(attempts: Sequence[Attempt], world: World) -> Mapping[str, JobUsage]:
    """Ask the scheduler, in one query, and return by tag; what it cannot tell the jobs' own figures stand for.

    Where attempts share a number, given anew, each turn asks for one of them.
    """
    turns: list[dict[str, str]] = []
    for each in attempts:
        job_id = each.job_id or ""
        turn = next((turn for turn in turns if job_id not in turn), None)
        if turn is None:
            turns.append(turn := {})
        turn[job_id] = each.intent.tag
    try:
        told = [world.scheduler.usage(list(turn), tags=turn) for turn in turns]
    except SchedulerError:
        return {}
    return {turn[job_id]: usage for turn, found in zip(turns, told, strict=True) for job_id, usage in found.items()}


def _job(run: PlannedRun, attempt: Attempt, *, plan: Plan, usage: Mapping[str, JobUsage], world: World) -> JobCompute:
    step = attempt.intent.step
    told = usage.get(attempt.intent.tag, JobUsage())
    verdict = attempt.verdict or JobState.UNKNOWN
    return JobCompute(
        run_id=run.id,
        step=step,
        attempt=attempt.intent.number,
        job_id=attempt.job_id or "",
        state=verdict,
        limit_seconds=seconds_of(attempt.intent.time or limit_of(plan.resources, step)),
        gpus=gpus_of(plan.resources, step) if told.gpus is None else told.gpus,
        usage=_merged(attempt, told),
        gpu=gpu_use(_samples(run.id, attempt.job_id or "", world=world)),
        speed=_speed(run, plan, root=world.store.root)
        if step is Step.TRAIN and verdict is JobState.SUCCEEDED
        else None,
    )


def _merged(attempt: Attempt, told: JobUsage) -> JobUsage:
    """Return the scheduler's figures, the job's own where it has none, and the time between start and end."""
    known = {name: value for name, value in told.model_dump().items() if value is not None}
    if attempt.started and attempt.ended:
        last = (attempt.ended - attempt.started).total_seconds()
        known.setdefault("elapsed_seconds", last)
        if attempt.earlier_seconds:
            # Without accounting a scheduler knows the last turn of a job only.
            known["elapsed_seconds"] = max(known["elapsed_seconds"], attempt.earlier_seconds + last)
    return (attempt.usage or JobUsage()).model_copy(update=known)


def _samples(run_id: str, job_id: str, *, world: World) -> list[str]:
    return (world.store.read(RunLayout(run_id).gpu_samples(job_id)) or b"").decode("utf-8", "replace").splitlines()


def _speed(run: PlannedRun, plan: Plan, *, root: Path) -> Speed | None:
    found = measured_run(run, plan, root=root)
    if found is None:
        return None
    return Speed(
        model_sha256=found.model_sha256,
        middle=found.pace.middle,
        slow=found.pace.slow,
        fast=found.pace.fast,
        tokens=found.tokens,
        beside=found.beside,
        on_gpu=bool(found.like[-1]),
    )


def _estimated(world: World) -> dict[str, str]:
    """Return what the record tells of the last estimate of time, made before anything ran."""
    found = [each.outputs for each in world.audit.records() if each.action is Action.CALCULATE_TIME]
    return found[-1] if found else {}


def _summed(plan: Plan, jobs: list[JobCompute], *, world: World) -> ComputeReport:
    planned = [step for run in plan.runs for step in steps_of(run)]
    seconds = [(job.usage.elapsed_seconds or 0.0, job.gpus) for job in jobs]
    cpu = [job.usage.cpu_seconds for job in jobs if job.usage.cpu_seconds is not None]
    energy = [job.usage.energy_joules for job in jobs if job.usage.energy_joules is not None]
    return ComputeReport(
        experiment=plan.experiment,
        jobs=tuple(jobs),
        hours=sum(each for each, _ in seconds) / 3600,
        gpu_hours=sum(each * gpus for each, gpus in seconds) / 3600,
        cpu_hours=sum(cpu) / 3600 if cpu else None,
        energy_kwh=sum(energy) / 3.6e6 if energy else None,
        most_gpu_hours=sum(gpu_seconds(plan.resources, step) for step in planned) / 3600,
        estimated=_estimated(world),
    )
