"""Failures: verdicts put on record, and what the failure policy makes of them."""

from datetime import datetime
from typing import NamedTuple

from cruijff_kit.errors import SchedulerError
from cruijff_kit.planning.policy import Case, decide, ending_of, gpu_hours
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.job import Attempt, JobState, JobUsage, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.policy import Decision, Ending, Reaction
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import find_run, write_attempt
from cruijff_kit.workflow.logs import last_lines
from cruijff_kit.workflow.wanted import wanted_runs

__all__ = ["apply_policy", "cancel_orphans", "is_news", "record_verdicts", "settle_forgotten"]

_OUTCOMES = {Phase.COMPLETED: Outcome.SUCCESS, Phase.FAILED: Outcome.FAILURE}
_LINES = 20
_ENDED = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


def is_news(entry: StepStatus) -> bool:
    """Return whether the last attempt has ended and its verdict is not on record."""
    return entry.phase in _ENDED and bool(entry.attempts) and entry.attempts[-1].verdict is None


def record_verdicts(news: list[StepStatus], plan: Plan, *, world: World) -> None:
    """Append one event per verdict, then keep it with its attempt, with what schedulers forget."""
    if not news:
        return
    world.audit.append(*(_verdict_event(entry, world) for entry in news))
    for entry in news:
        completed, report, last = entry.phase is Phase.COMPLETED, entry.report, entry.attempts[-1]
        changes = {
            "verdict": JobState.SUCCEEDED if completed else _end_state(entry),
            "reason": "" if completed else entry.reason,
            "log": () if completed or plan.tier == "red" else _printed(entry, world),
            "started": report.started if report is not None else None,
            "ended": report.ended if report is not None else None,
            "reached": _reached(entry, last, world=world),
            "usage": _own_usage(entry, last),
        }
        write_attempt(world.store, last.model_copy(update=changes))


def settle_forgotten(status: ExperimentStatus, site: Site, *, world: World) -> bool:
    """Record as lost the jobs whose tag the scheduler no longer holds, with no sign of them for long; tell if any.

    One that said itself that it failed has failed. An unknown state alone never is a failure;
    and should such a job still run, the run lock keeps it from being trained twice.
    """
    now, limit = world.clock.now(), site.policy.forgotten_after
    silent = [
        entry for entry in status.steps if entry.phase is Phase.UNKNOWN and (now - _sign(entry)).total_seconds() > limit
    ]
    if not silent:
        return False
    try:
        held = world.scheduler.find([entry.attempts[-1].intent.tag for entry in silent])
    except SchedulerError:
        return False
    gone = [entry for entry in silent if entry.attempts[-1].intent.tag not in held]
    for entry in gone:
        last, own = entry.attempts[-1], entry.own
        told = own is not None and own.state == "failed" and own.job_id == last.job_id
        reason = f"the scheduler no longer knows it, and there was no sign of it for {limit:g} s"
        if told and own is not None:
            reason = f"failed: {own.message}; {reason}"
        verdict = JobState.FAILED if told else JobState.LOST
        lost = entry.model_copy(update={"phase": Phase.FAILED, "reason": reason})
        world.audit.append(_verdict_event(lost, world))
        write_attempt(world.store, last.model_copy(update={"verdict": verdict, "reason": reason}))
    return bool(gone)


def cancel_orphans(status: ExperimentStatus, *, world: World) -> None:
    """Cancel the jobs that wait for a training that ended badly: such an edge can never be met."""
    dead = _dead_trainings(status)
    waiting = (Phase.PENDING, Phase.UNKNOWN)
    orphans = {
        entry.attempts[-1].job_id or "": entry.attempts[-1].intent.tag
        for entry in status.steps
        if entry.phase in waiting and dead.get(entry.run_id, set()) & set(entry.attempts[-1].after_ok)
    }
    if orphans:
        world.scheduler.cancel(sorted(orphans), tags=orphans)


def apply_policy(status: ExperimentStatus, plan: Plan, *, site: Site, world: World) -> bool:
    """Decide on every attempt of a wanted run that ended badly and was not decided on; return whether any was.

    Each decision is in the audit log, with the rule that fired, before it is kept with its attempt.
    """
    wanted, found = wanted_runs(world), False
    spending = _Spending.of(status, plan, site=site)
    trainings: dict[str, StepStatus] = {}
    for entry in status.steps:
        if entry.run_id not in wanted:
            continue
        decision = _decision(entry, plan, site=site, spending=spending, world=world)
        if decision is None and entry.step is Step.EVAL and entry.run_id in trainings:
            decision = _following(entry, trainings[entry.run_id], now=world.clock.now())
        found = found or decision is not None
        settled = entry if decision is None else _keep(entry, decision, world=world)
        if entry.step is Step.TRAIN:
            trainings[entry.run_id] = settled
    return found


class _Spending(NamedTuple):
    """GPU-hours of the experiment."""

    spent: float
    asks: dict[Step, float]
    allowed: float

    @classmethod
    def of(cls, status: ExperimentStatus, plan: Plan, *, site: Site) -> "_Spending":
        gpus = {Step.TRAIN: plan.resources.all_gpus, Step.EVAL: min(1, plan.resources.gpus)}
        spent = sum(gpu_hours(entry.attempts, gpus=gpus[entry.step]) for entry in status.steps)
        limits = {Step.TRAIN: plan.resources.time, Step.EVAL: plan.resources.eval_time}
        asks = {step: seconds_of(text) * gpus[step] / 3600 for step, text in limits.items()}
        most = site.policy.max_gpu_hours
        return cls(spent, asks, site.caps.max_gpu_hours if most is None else most)


def _decision(entry: StepStatus, plan: Plan, *, site: Site, spending: _Spending, world: World) -> Decision | None:
    last = entry.attempts[-1] if entry.attempts else None
    if entry.phase is not Phase.FAILED or last is None or last.verdict is None or last.decision is not None:
        return None
    log = _printed(entry, world)
    ending = ending_of(entry, log)
    if ending is None:
        return None
    run = find_run(plan.runs, entry.run_id)
    case = Case(entry, run, log, spending.spent, spending.asks[entry.step], spending.allowed)
    return decide(case, site.policy, ending=ending, now=world.clock.now())


def _following(entry: StepStatus, training: StepStatus, *, now: datetime) -> Decision | None:
    """Return what follows for an evaluation that was cancelled because its training ended badly."""
    last = entry.attempts[-1] if entry.attempts else None
    if last is None or last.verdict is not JobState.CANCELLED or not _waited_in_vain(last, training):
        return None
    newest = training.attempts[-1]
    again = newest.verdict in (None, JobState.SUCCEEDED) or _tried_again(newest)
    reaction = Reaction.RETRY if again else Reaction.STOP
    if last.decision is not None and (last.decision.reaction is Reaction.RETRY or not again):
        return None
    if not again and newest.decision is None:
        return None
    why = "its training is tried again" if again else f"its training ended badly: {training.reason}"
    return Decision.model_validate({"rule": Ending.ORPHANED, "reaction": reaction, "reason": why, "decided": now})


def _waited_in_vain(attempt: Attempt, training: StepStatus) -> bool:
    dead = {each.job_id for each in training.attempts if each.verdict not in (None, JobState.SUCCEEDED)}
    return bool(dead & set(attempt.after_ok))


def _tried_again(attempt: Attempt) -> bool:
    return attempt.decision is not None and attempt.decision.reaction is Reaction.RETRY


def _dead_trainings(status: ExperimentStatus) -> dict[str, set[str | None]]:
    """Return, by run, the training jobs that ended and did not succeed."""
    return {
        entry.run_id: {each.job_id for each in entry.attempts if each.verdict not in (None, JobState.SUCCEEDED)}
        for entry in status.steps
        if entry.step is Step.TRAIN
    }


def _keep(entry: StepStatus, decision: Decision, *, world: World) -> StepStatus:
    """Record a decision, and return the entry with it."""
    last = entry.attempts[-1]
    event = AuditEvent(
        actor=world.actor,
        verb="watch",
        action=Action.APPLY_POLICY,
        subject=f"{entry.run_id}/{entry.step.value}",
        reason=decision.reason,
        inputs={
            "rule": decision.rule.value,
            "job_id": last.job_id or "",
            "attempt": str(last.intent.number),
            **({"log": "\n".join(last.log[-5:])} if last.log else {}),
        },
        outputs={
            "reaction": decision.reaction.value,
            **{name: str(value) for name, value in decision.proposal.items()},
        },
        result=Outcome.SUCCESS if decision.reaction is Reaction.RETRY else Outcome.WARNING,
    )
    world.audit.append(event)
    kept = last.model_copy(update={"decision": decision})
    write_attempt(world.store, kept)
    return entry.model_copy(update={"attempts": (*entry.attempts[:-1], kept)})


def _printed(entry: StepStatus, world: World) -> tuple[str, ...]:
    job_id = entry.attempts[-1].job_id
    if job_id is None:
        return ()
    return tuple(last_lines(RunLayout(entry.run_id).job_output(job_id), _LINES, world=world))


def _reached(entry: StepStatus, last: Attempt, *, world: World) -> int | None:
    """Return the step of the last checkpoint of a training, or the cells that an evaluation has finished."""
    if entry.step is Step.EVAL:
        return len(world.store.glob(RunLayout(entry.run_id).eval_folder, "*/DONE"))
    own = entry.own
    return own.saved if own is not None and own.job_id == last.job_id else None


def _own_usage(entry: StepStatus, last: Attempt) -> JobUsage | None:
    own = entry.own
    if own is None or own.job_id != last.job_id:
        return None
    return JobUsage(cpu_seconds=own.cpu_seconds, max_memory_bytes=own.max_memory_bytes)


def _sign(entry: StepStatus) -> datetime:
    """Return when anything was last heard of a step's job."""
    last, own = entry.attempts[-1], entry.own
    moments = [last.intent.recorded, last.submitted, own.updated if own is not None else None]
    return max(moment for moment in moments if moment is not None)


def _end_state(entry: StepStatus) -> JobState:
    if entry.phase is Phase.CANCELLED:
        return JobState.CANCELLED
    state = entry.report.state if entry.report is not None else JobState.FAILED
    return JobState.FAILED if state in (JobState.SUCCEEDED, JobState.UNKNOWN) else state


def _verdict_event(entry: StepStatus, world: World) -> AuditEvent:
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
