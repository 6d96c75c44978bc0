"""Spending: the GPU-hours of an experiment, and the end of jobs that would exceed them by queueing themselves again."""

from typing import NamedTuple

from cruijff_kit.planning.design_policy import allowed_gpu_hours
from cruijff_kit.planning.job_share import gpu_seconds, gpus_of
from cruijff_kit.planning.policy import gpu_hours
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.job import JobState, Step
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.spec import Resources
from cruijff_kit.workflow.attempts import write_attempts
from cruijff_kit.workflow.wanted import wanted_runs

__all__ = ["Spending", "end_overspent"]


class Spending(NamedTuple):
    """What an experiment has taken, what a further job of it holds, and what it may take."""

    spent: float
    """GPU-hours that attempts with a verdict have taken, and earlier turns of jobs that live."""
    resources: Resources
    """What the plan asks for a job."""
    allowed: float
    """GPU-hours that the experiment may take."""

    @classmethod
    def of(cls, status: ExperimentStatus, plan: Plan, *, site: Site) -> "Spending":
        """Return where an experiment stands."""
        held = [(entry, gpus_of(plan.resources, entry.step)) for entry in status.steps]
        spent = sum(gpu_hours(entry.attempts, gpus=gpus) for entry, gpus in held)
        spent += sum(_turns_before(entry) * gpus for entry, gpus in held) / 3600
        return cls(spent, plan.resources, allowed_gpu_hours(plan.policy, site))


def end_overspent(status: ExperimentStatus, spending: Spending, *, world: World) -> bool:
    """Cancel jobs that wait for another turn which the budget does not hold; return whether there was any.

    A job that queues itself again asks nobody, so this is where it is held to what the
    experiment may take. Its checkpoint stays, for whoever raises the budget and tries again.
    """
    wanted = wanted_runs(world)
    over = [
        entry
        for entry in status.steps
        if entry.run_id in wanted
        and entry.phase is Phase.PENDING
        and _turns_before(entry)
        and spending.spent + _asks(entry, spending) > spending.allowed
    ]
    for entry in over:
        last, job_id = entry.attempts[-1], entry.attempts[-1].job_id or ""
        reason = (
            f"another turn may take {_asks(entry, spending):.3g} GPU-hours on top of {spending.spent:.3g} taken; "
            f"the experiment may take {spending.allowed:g}"
        )
        world.audit.append(_event(entry, reason, world=world))
        world.scheduler.cancel([job_id], tags={job_id: last.intent.tag})
        own, ran = entry.account, _turns_before(entry)
        told = {"turns": own.turn if own is not None else 1, "earlier_seconds": ran}
        reached = {"reached": own.saved if own is not None and entry.step is Step.TRAIN else None}
        ended = {"verdict": JobState.CANCELLED, "reason": reason, **told, **reached}
        write_attempts(world.store, last.model_copy(update=ended))
    return bool(over)


def _asks(entry: StepStatus, spending: Spending) -> float:
    return gpu_seconds(spending.resources, entry.step, limit=entry.attempts[-1].intent.time) / 3600


def _turns_before(entry: StepStatus) -> float:
    """Return the seconds that a job has run which lives, up to its last start; all where it waits for another."""
    own = entry.account
    if own is None or entry.attempts[-1].verdict is not None:
        return 0.0
    ran = (own.updated - own.started).total_seconds() if entry.phase is Phase.PENDING else 0.0
    return own.earlier_seconds + max(0.0, ran)


def _event(entry: StepStatus, reason: str, *, world: World) -> AuditEvent:
    last = entry.attempts[-1]
    return AuditEvent(
        actor=world.actor,
        verb="watch",
        action=Action.APPLY_POLICY,
        subject=f"{entry.run_id}/{entry.step.value}",
        reason=reason,
        inputs={"rule": "max_gpu_hours", "job_id": last.job_id or "", "attempt": str(last.intent.number)},
        outputs={"reaction": "cancel"},
        result=Outcome.WARNING,
    )
