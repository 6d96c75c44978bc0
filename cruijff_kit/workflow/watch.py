"""Watch: see where every job stands, and record verdicts as they fall."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError

from cruijff_kit.errors import SchedulerError, SiteError
from cruijff_kit.planning.verdicts import Evidence, judge
from cruijff_kit.ports import RunStore, World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.job import Attempt, JobReport, JobState
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.run import Done, ExperimentStatus, JobStatus, Phase, StepStatus
from cruijff_kit.workflow.attempts import AttemptKey, last_reports, read_attempts, steps_of, write_attempt
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.reconcile import adopt_submitted
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["read_status", "watch_jobs"]

_Own = TypeVar("_Own", JobStatus, Done)

_OUTCOMES = {Phase.COMPLETED: Outcome.SUCCESS, Phase.FAILED: Outcome.FAILURE}


def read_status(*, world: World) -> ExperimentStatus:
    """Return where every step of every run stands; never writes.

    Raises:
        PlanError: the experiment is not scaffolded, or was changed since.
    """
    plan, _ = recorded_plan(world=world)
    return _status(plan, world)


def watch_jobs(*, poll: float = 1.0, timeout: float | None = None, world: World) -> Iterator[ExperimentStatus]:
    """Yield the status until nothing moves any more, recording each verdict once.

    Leaving the iterator disturbs no job; another watch picks up where it was left.

    Args:
        poll: seconds between two looks.
        timeout: seconds after which to stop looking, or None to look on.
        world: the experiment and its surroundings.
    """
    plan, _ = recorded_plan(world=world)
    started, recorded = world.clock.monotonic(), False
    while True:
        status, news = _look(plan, world)
        recorded = recorded or news
        yield status
        late = timeout is not None and world.clock.monotonic() - started >= timeout
        if not status.moving or late:
            break
        world.clock.sleep(poll)
    if recorded:
        _close(status, world)


def _look(plan: Plan, world: World) -> tuple[ExperimentStatus, bool]:
    """Revive the queue, settle what is open, record new verdicts; skip recording while a submission is under way."""
    world.scheduler.revive()
    status = _status(plan, world)
    if not any(_news(entry) or entry.phase is Phase.INTENDED for entry in status.steps):
        return status, False
    try:
        with world.store.lock("submit", wait=0.0):
            adopt_submitted(plan, world=world)
            status = _status(plan, world)
            news = [entry for entry in status.steps if _news(entry)]
            _record(news, world)
            return status, bool(news)
    except SiteError:
        return status, False
    except SchedulerError as err:
        # A controller that restarts ends no watch; the next look asks again.
        if not err.transient:
            raise
        return status, False


def _status(plan: Plan, world: World) -> ExperimentStatus:
    attempts = read_attempts(world.store)
    reports = last_reports(world.scheduler, attempts)
    keys = ((run.id, step) for run in plan.runs for step in steps_of(run))
    steps = (_step(key, attempts.get(key, ()), report=reports.get(key), store=world.store) for key in keys)
    return ExperimentStatus(experiment=plan.experiment, steps=tuple(steps))


def _step(key: AttemptKey, attempts: tuple[Attempt, ...], *, report: JobReport | None, store: RunStore) -> StepStatus:
    run_id, step = key
    layout = RunLayout(run_id)
    own = _read(JobStatus, store.read_text(layout.status(step)))
    done = _proven(store, _read(Done, store.read_text(layout.done(step))))
    return judge(run_id, step, evidence=Evidence(attempts, report, own, done))


def _read(kind: type[_Own], text: str | None) -> _Own | None:
    try:
        return None if text is None else kind.model_validate_json(text)
    except ValidationError:
        return None


def _proven(store: RunStore, done: Done | None) -> Done | None:
    if done is None:
        return None
    return done if all(store.digest(path) == sha for path, sha in done.artefacts.items()) else None


def _news(entry: StepStatus) -> bool:
    """Return whether the last attempt has ended and its verdict is not on record."""
    verdict_due = entry.phase in (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)
    return verdict_due and bool(entry.attempts) and entry.attempts[-1].verdict is None


def _record(news: list[StepStatus], world: World) -> None:
    """Append one event per verdict, then keep the verdict with its attempt."""
    if not news:
        return
    world.audit.append(*(_event(entry, world) for entry in news))
    for entry in news:
        completed = entry.phase is Phase.COMPLETED
        state = JobState.SUCCEEDED if completed else _end_state(entry)
        verdict = {"verdict": state, "reason": "" if completed else entry.reason}
        write_attempt(world.store, entry.attempts[-1].model_copy(update=verdict))


def _end_state(entry: StepStatus) -> JobState:
    if entry.phase is Phase.CANCELLED:
        return JobState.CANCELLED
    state = entry.report.state if entry.report is not None else JobState.FAILED
    return JobState.FAILED if state in (JobState.SUCCEEDED, JobState.UNKNOWN) else state


def _event(entry: StepStatus, world: World) -> AuditEvent:
    last = entry.attempts[-1]
    return AuditEvent(
        actor=world.actor,
        verb="watch",
        action=Action.STATE_CHANGE,
        subject=f"{entry.run_id}/{entry.step.value}",
        inputs={"job_id": last.job_id or "", "attempt": str(last.intent.number)},
        outputs={"phase": entry.phase.value},
        result=_OUTCOMES.get(entry.phase, Outcome.WARNING),
        error=entry.reason or None,
    )


def _close(status: ExperimentStatus, world: World) -> None:
    """Record that everything has ended, where this look saw the last verdict fall."""
    if status.finished:
        completed = sum(entry.phase is Phase.COMPLETED for entry in status.steps)
        outcome = Outcome.SUCCESS if completed == len(status.steps) else Outcome.WARNING
        event = AuditEvent(
            actor=world.actor,
            verb="watch",
            action=Action.ALL_COMPLETE,
            subject=status.experiment,
            outputs={"completed": str(completed), "jobs": str(len(status.steps))},
            result=outcome,
        )
        world.audit.append(event)
    render_views(world=world)
