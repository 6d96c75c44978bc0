"""Failures: verdicts put on record, and what the failure policy makes of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cruijff_kit.errors import SchedulerError
from cruijff_kit.planning.design_policy import policy_of
from cruijff_kit.planning.job_share import gpus_of, limit_of
from cruijff_kit.planning.policy import Case, decide, ending_of
from cruijff_kit.planning.verdicts import out_of_memory, spent_memory
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.job import Attempt, JobState, JobUsage, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.policy import Decision, Ending, Reaction
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import find_run, write_attempts
from cruijff_kit.workflow.logs import printed
from cruijff_kit.workflow.spending import Spending
from cruijff_kit.workflow.wanted import wanted_runs
from cruijff_kit.workflow.withheld import files_tier, step_for_files

__all__ = ["apply_policy", "cancel_leftovers", "cancel_orphans", "is_news", "record_verdicts", "settle_forgotten"]

_OUTCOMES = {Phase.COMPLETED: Outcome.SUCCESS, Phase.FAILED: Outcome.FAILURE}
_LINES = 20
_ENDED = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


def is_news(entry: StepStatus) -> bool:
    """Return whether the last attempt has ended and its verdict is not on record; what was never queued has none."""
    last = entry.attempts[-1] if entry.attempts else None
    return entry.phase in _ENDED and last is not None and last.job_id is not None and last.verdict is None


def record_verdicts(news: list[StepStatus], plan: Plan, *, world: World) -> None:
    """Append one event per verdict, then keep it with its attempt, with what schedulers forget."""
    if not news:
        return
    logs = [() if entry.phase is Phase.COMPLETED else _printed(entry, world) for entry in news]
    explained = [(_explained(entry, log), log) for entry, log in zip(news, logs, strict=True)]
    tier = files_tier(world)
    world.audit.append(*(_verdict_event(entry, tier=tier, world=world) for entry, _ in explained))
    kept: list[Attempt] = []
    for entry, log in explained:
        completed, report, last = entry.phase is Phase.COMPLETED, entry.report, entry.attempts[-1]
        changes = {
            "verdict": JobState.SUCCEEDED if completed else _end_state(entry, log),
            "reason": "" if completed else entry.reason,
            "log": () if plan.tier == "red" else log,
            "started": report.started if report is not None else None,
            "ended": report.ended if report is not None else None,
            "reached": _reached(entry, world=world),
            **_own_account(entry),
        }
        kept.append(last.model_copy(update=changes))
    write_attempts(world.store, *kept)


def _explained(entry: StepStatus, log: tuple[str, ...]) -> StepStatus:
    """Return an entry whose reason tells of too little memory, where the job's last lines do and it did not yet."""
    words, _ = spent_memory(log)
    if entry.phase is not Phase.FAILED or not words or out_of_memory(entry) is not None:
        return entry
    return entry.model_copy(update={"reason": f"{entry.reason}; it printed `{words}`"})


def settle_forgotten(status: ExperimentStatus, site: Site, *, world: World) -> bool:
    """Record as lost the jobs whose tag the scheduler no longer holds, with no sign of them for long; tell if any.

    One that said itself that it failed has failed; one whose training ended badly is cancelled. Who
    stopped one that a signal ended nobody can tell any more: it is lost, for what a person no longer
    wants `ck cancel` takes off the list. An unknown state alone never is a failure; and should such a
    job still run, the run lock keeps it from being trained twice.
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
    gone = [entry for entry in silent if not _is_held(entry, held)]
    if not gone:
        return False
    tier = files_tier(world)
    trainings = {entry.run_id: entry.attempts for entry in status.steps if entry.step is Step.TRAIN}
    for entry in gone:
        last, own = entry.attempts[-1], entry.account
        reason = f"the scheduler no longer knows it, and there was no sign of it for {limit:g} s"
        verdict, phase, facts = JobState.LOST, Phase.FAILED, _own_account(entry)
        if own is not None:
            facts |= {"started": own.started, "ended": own.updated, "reached": _reached(entry, world=world)}
        # One that waited for such a training never began, of which accounting may keep nothing.
        if _waited_in_vain(last, trainings.get(entry.run_id, ())):
            verdict, phase = JobState.CANCELLED, Phase.CANCELLED
        if own is not None and own.state in ("failed", "stopped"):
            reason = f"{own.state}: {own.message}; {reason}"
            verdict = JobState.FAILED if own.state == "failed" else verdict
        lost = entry.model_copy(update={"phase": phase, "reason": reason})
        world.audit.append(_verdict_event(lost, tier=tier, world=world))
        write_attempts(world.store, last.model_copy(update={"verdict": verdict, "reason": reason, **facts}))
    return True


def _is_held(entry: StepStatus, held: Mapping[str, str]) -> bool:
    """Return whether the scheduler still holds a job; one that accounting alone calls running ran away from it."""
    last, report = entry.attempts[-1], entry.report
    ran_away = report is not None and report.absent and held.get(last.intent.tag) == last.job_id
    return last.intent.tag in held and not ran_away


def cancel_orphans(status: ExperimentStatus, *, world: World) -> None:
    """Cancel the jobs that wait for a training that ended badly: such an edge can never be met."""
    trainings = {entry.run_id: entry.attempts for entry in status.steps if entry.step is Step.TRAIN}
    waiting = (Phase.PENDING, Phase.UNKNOWN)
    orphans = {
        entry.attempts[-1].job_id or "": entry.attempts[-1].intent.tag
        for entry in status.steps
        if entry.phase in waiting and _waited_in_vain(entry.attempts[-1], trainings.get(entry.run_id, ()))
    }
    if orphans:
        world.scheduler.cancel(sorted(orphans), tags=orphans)


def cancel_leftovers(status: ExperimentStatus, *, world: World) -> None:
    """Cancel what is left of a finished experiment: a controller that came back puts ended jobs into its queue again.

    Some wait for parents that nobody runs, some it believes to run; one that really runs finds its work done.
    """
    tags = [each.intent.tag for entry in status.steps for each in entry.attempts if each.job_id is not None]
    try:
        held = {job_id: tag for tag, job_id in world.scheduler.find(tags).items()}
        reports = world.scheduler.reports(sorted(held), tags=held)
        left = sorted(job_id for job_id, report in reports.items() if not report.state.ended)
        if left:
            world.scheduler.cancel(left, tags=held)
    except SchedulerError as err:
        if not err.transient:
            raise


def apply_policy(status: ExperimentStatus, plan: Plan, *, site: Site, spending: Spending, world: World) -> bool:
    """Decide on every attempt of a wanted run that ended badly and was not decided on; return whether any was.

    Each decision is in the audit log, with the rule that fired, before it is kept with its attempt.
    """
    wanted, found = wanted_runs(world), False
    trainings: dict[str, StepStatus] = {}
    for entry in status.steps:
        if entry.run_id not in wanted:
            continue
        decision = _decision(entry, plan, site=site, spending=spending, world=world)
        if entry.step is Step.EVAL and entry.run_id in trainings:
            decision = _following(entry, trainings[entry.run_id], world=world) or decision
        found = found or decision is not None
        settled = entry if decision is None else _keep(entry, decision, quoted=plan.tier == "green", world=world)
        if entry.step is Step.TRAIN:
            trainings[entry.run_id] = settled
    return found


def _decision(entry: StepStatus, plan: Plan, *, site: Site, spending: Spending, world: World) -> Decision | None:
    last = entry.attempts[-1] if entry.attempts else None
    if entry.phase is not Phase.FAILED or last is None or last.verdict is None or last.decision is not None:
        return None
    # What was kept with the verdict is what the decision rests on; of red data nothing is.
    log = last.log or _printed(entry, world)
    ending = ending_of(entry, log)
    if ending is None:
        return None
    run, gpus = find_run(plan.runs, entry.run_id), gpus_of(plan.resources, entry.step)
    limit = limit_of(plan.resources, entry.step)
    case = Case(entry, run, log, spending.spent, gpus=gpus, limit=limit, allowed=spending.allowed)
    return decide(case, policy_of(plan.policy, site), ending=ending, now=world.clock.now())


def _following(entry: StepStatus, training: StepStatus, *, world: World) -> Decision | None:
    """Return what follows for an evaluation that was cancelled, or failed, for want of its training."""
    last = entry.attempts[-1] if entry.attempts else None
    if (
        last is None
        or not training.attempts
        or not (_cancelled_in_vain(last, training) or _came_too_early(entry, training))
    ):
        return None
    newest = training.attempts[-1]
    again = newest.verdict in (None, JobState.SUCCEEDED) or _tried_again(newest)
    reaction = Reaction.RETRY if again else Reaction.STOP
    if last.decision is not None and (last.decision.reaction is Reaction.RETRY or not again):
        return None
    if not again and newest.decision is None:
        return None
    told = step_for_files(training, tier=files_tier(world)).reason
    why = "its training is tried again" if again else f"its training ended badly: {told}"
    return Decision(rule=Ending.ORPHANED, reaction=reaction, reason=why, decided=world.clock.now())


def _cancelled_in_vain(attempt: Attempt, training: StepStatus) -> bool:
    return attempt.verdict is JobState.CANCELLED and _waited_in_vain(attempt, training.attempts)


def _came_too_early(entry: StepStatus, training: StepStatus) -> bool:
    """Return whether an evaluation failed before its training was done: a scheduler that lost the edge started it."""
    last, own, trained = entry.attempts[-1], entry.account, training.own
    if last.verdict is not JobState.FAILED or last.decision is not None:
        return False
    if training.phase not in _ENDED:
        return True
    if training.phase is not Phase.COMPLETED:
        return training.attempts[-1].verdict is not JobState.SUCCEEDED
    if own is None or trained is None:
        return False
    return trained.updated > own.started


def _waited_in_vain(attempt: Attempt, trainings: Sequence[Attempt]) -> bool:
    """Return whether a job waited for one that ended badly: known by its tag, for a later one may have its id."""
    dead = [each for each in trainings if each.verdict not in (None, JobState.SUCCEEDED)]
    if attempt.after_tags:
        return any(each.intent.tag in attempt.after_tags for each in dead)
    return any(each.job_id in attempt.after_ok for each in dead)


def _tried_again(attempt: Attempt) -> bool:
    return attempt.decision is not None and attempt.decision.reaction is Reaction.RETRY


def _keep(entry: StepStatus, decision: Decision, *, quoted: bool, world: World) -> StepStatus:
    """Record a decision, with the job's last lines where its data may be read freely, and return the entry with it."""
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
            **({"log": "\n".join(last.log[-5:])} if last.log and quoted else {}),
        },
        outputs={
            "reaction": decision.reaction.value,
            **({"time": decision.time} if decision.time else {}),
            **{name: str(value) for name, value in decision.proposal.items()},
        },
        result=Outcome.SUCCESS if decision.reaction is Reaction.RETRY else Outcome.WARNING,
    )
    world.audit.append(event)
    kept = last.model_copy(update={"decision": decision})
    write_attempts(world.store, kept)
    return entry.model_copy(update={"attempts": (*entry.attempts[:-1], kept)})


def _printed(entry: StepStatus, world: World) -> tuple[str, ...]:
    return tuple(printed(entry.attempts[-1], _LINES, world=world))


def _reached(entry: StepStatus, *, world: World) -> int | None:
    """Return the step of the last checkpoint of a training, or the cells that an evaluation has finished."""
    if entry.step is Step.EVAL:
        return len(world.store.glob(RunLayout(entry.run_id).eval_folder, "*/DONE"))
    return entry.account.saved if entry.account is not None else None


def _own_account(entry: StepStatus) -> dict[str, object]:
    """Return what a job says of itself that its attempt keeps."""
    own = entry.account
    if own is None:
        return {}
    usage = JobUsage(cpu_seconds=own.cpu_seconds, max_memory_bytes=own.max_memory_bytes)
    return {"usage": usage, "turns": own.turn, "earlier_seconds": own.earlier_seconds}


def _sign(entry: StepStatus) -> datetime:
    """Return when anything was last heard of a step's job."""
    last, own = entry.attempts[-1], entry.own
    moments = [last.intent.recorded, last.submitted, own.updated if own is not None else None]
    return max(moment for moment in moments if moment is not None)


def _end_state(entry: StepStatus, log: tuple[str, ...]) -> JobState:
    if entry.phase is Phase.CANCELLED:
        return JobState.CANCELLED
    state = entry.report.state if entry.report is not None else JobState.FAILED
    if state is JobState.FAILED and spent_memory(log)[1]:
        return JobState.OUT_OF_MEMORY
    return JobState.FAILED if state in (JobState.SUCCEEDED, JobState.UNKNOWN) else state


def _verdict_event(entry: StepStatus, *, tier: Tier, world: World) -> AuditEvent:
    last = entry.attempts[-1]
    # Nothing rewrites a line of the record, whatever its data is marked later.
    entry = step_for_files(entry, tier=tier)
    return AuditEvent(
        actor=world.actor,
        verb="watch",
        action=Action.STATE_CHANGE,
        subject=f"{entry.run_id}/{entry.step.value}",
        inputs={"job_id": last.job_id or "", "attempt": str(last.intent.number)},
        outputs={"phase": entry.phase.value, **_turns(entry)},
        result=_OUTCOMES.get(entry.phase, Outcome.WARNING),
        error=entry.reason or None,
    )


def _turns(entry: StepStatus) -> dict[str, str]:
    """Return how often a job was started, where it was queued again."""
    own = entry.account
    return {"turns": str(own.turn)} if own is not None and own.turn > 1 else {}
