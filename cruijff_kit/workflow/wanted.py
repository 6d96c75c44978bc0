"""Wanted runs: what was asked to be submitted, kept so that a watch can hand over what did not fit in."""

import hashlib
from collections.abc import Collection
from datetime import timedelta

from cruijff_kit.errors import PlanError, SchedulerError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.policy import Queue, Wanted

__all__ = ["accepted", "no_longer_wanted", "read_wanted", "refused", "want", "wanted_runs"]


def read_wanted(world: World) -> Wanted | None:
    """Return what was asked to be submitted; None where nothing was.

    Raises:
        PlanError: the record is damaged.
    """
    text = world.store.read_text(ExperimentLayout.wanted)
    try:
        return None if text is None else Wanted.model_validate_json(text)
    except ValueError as err:
        fact = f"`{ExperimentLayout.wanted}` cannot be read: {err}"
        raise PlanError(fact, hint="move it away and `ck submit` again: no job is queued twice") from err


def wanted_runs(world: World) -> frozenset[str]:
    """Return the ids of the runs that were asked to be submitted."""
    wanted = read_wanted(world)
    return frozenset(wanted.runs if wanted is not None else ())


def want(runs: Collection[str], *, lock: DesignLock, reason: str, world: World) -> Wanted:
    """Record, with the lock `submit` held, that runs of the sealed plan are to be handed over."""
    before = wanted_runs(world) | set(runs)
    chosen = tuple(run_id for run_id in lock.runs if run_id in before)
    return _write(Wanted(plan_id=lock.plan_id, runs=chosen, reason=reason), world)


def no_longer_wanted(runs: Collection[str], *, world: World) -> None:
    """Record, with the lock `submit` held, that nothing more of these runs is handed over."""
    before = read_wanted(world)
    if before is not None and set(runs) & set(before.runs):
        kept = tuple(run_id for run_id in before.runs if run_id not in runs)
        _write(before.model_copy(update={"runs": kept}), world)


def refused(error: SchedulerError, wanted: Wanted, *, queue: Queue, world: World) -> Wanted:
    """Record a refusal that may pass and when to try again; the audit log tells the first of a row only."""
    number, backoff = wanted.refusals + 1, queue.backoff
    seconds = min(backoff.longest, backoff.first * 2 ** min(number - 1, 30)) * _spread(world, number)
    if number == 1:
        event = AuditEvent(
            actor=world.actor,
            verb="submit",
            action=Action.APPLY_POLICY,
            subject=world.store.root.name,
            inputs={"rule": "refused", "scheduler": world.scheduler.name},
            outputs={"reaction": "retry", "seconds": f"{seconds:.3g}"},
            result=Outcome.WARNING,
            error=str(error),
        )
        world.audit.append(event)
    try_at = world.clock.now() + timedelta(seconds=seconds)
    told = {"refusals": number, "refusal": str(error).partition("\n")[0], "try_at": try_at}
    return _write(wanted.model_copy(update=told), world)


def accepted(wanted: Wanted, *, world: World) -> Wanted:
    """Forget refusals, once the scheduler has taken a job again."""
    if not wanted.refusals:
        return wanted
    return _write(wanted.model_copy(update={"refusals": 0, "refusal": "", "try_at": None}), world)


def _spread(world: World, number: int) -> float:
    """Return a factor from a half to one, another for each experiment and try, so that they do not ask in step."""
    digest = hashlib.sha256(f"{world.store.root} {number}".encode()).digest()
    return 0.5 + int.from_bytes(digest[:4], "big") / 2**33


def _write(wanted: Wanted, world: World) -> Wanted:
    world.store.write(ExperimentLayout.wanted, wanted.model_dump_json(indent=1) + "\n")
    return wanted
