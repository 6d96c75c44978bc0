"""Cancel: stop jobs of this experiment, and only of this one."""

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.submission import CancelPreview, CancelReceipt
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.reconcile import adopt_submitted
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.wanted import no_longer_wanted

__all__ = ["cancel_runs", "preview_cancel"]


def preview_cancel(*, runs: tuple[str, ...] = (), world: World) -> CancelPreview:
    """Return what is to be asked before these runs, or all, are cancelled; never writes.

    Raises:
        RunError: a run is not known or its name is ambiguous.
    """
    plan, _ = recorded_plan(world=world)
    named = tuple(dict.fromkeys(find_run(plan.runs, name).id for name in runs))
    return CancelPreview(experiment=plan.experiment, runs=named, planned=len(plan.runs))


def cancel_runs(*, runs: tuple[str, ...] = (), reason: str, world: World) -> CancelReceipt:
    """Ask the queued and running jobs of these runs to stop; all runs where empty.

    What waits to be handed over, or tried again, no longer does. Jobs that ended are left
    alone; so is every job that this experiment did not submit.

    Raises:
        RunError: a run is not known or its name is ambiguous.
    """
    with world.store.lock("submit"):
        plan, _ = recorded_plan(world=world)
        chosen = [find_run(plan.runs, name).id for name in runs] if runs else [run.id for run in plan.runs]
        no_longer_wanted(chosen, world=world)
        adopt_submitted(plan, world=world)
        living = [
            entry
            for entry in read_status(world=world).steps
            if entry.run_id in chosen and entry.phase in (Phase.PENDING, Phase.RUNNING, Phase.UNKNOWN)
        ]
        alive = {entry.attempts[-1].job_id or "": entry.run_id for entry in living}
        tags = {entry.attempts[-1].job_id or "": entry.attempts[-1].intent.tag for entry in living}
        left_alone = tuple(run_id for run_id in chosen if run_id not in alive.values())
        if alive:
            world.scheduler.cancel(sorted(alive), tags=tags)
            world.scheduler.revive()
            world.audit.append(
                *(_event(job_id, run_id, reason=reason, world=world) for job_id, run_id in alive.items())
            )
            render_views(world=world)
        return CancelReceipt(job_ids=tuple(sorted(alive)), left_alone=left_alone)


def _event(job_id: str, run_id: str, *, reason: str, world: World) -> AuditEvent:
    return AuditEvent(
        actor=world.actor, verb="cancel", action=Action.CANCEL, subject=run_id, reason=reason, inputs={"job_id": job_id}
    )
