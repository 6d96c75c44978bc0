"""Watch: see where every job stands, record verdicts as they fall, and hand over what waits."""

from collections.abc import Generator
from contextlib import ExitStack

from cruijff_kit.errors import PlanError, SchedulerError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.job import JobReport, JobState
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.submission import Submission
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.compute import read_compute, write_compute
from cruijff_kit.workflow.due import book_of, due_jobs, known_edges, reports_of, room_in
from cruijff_kit.workflow.failures import (
    apply_policy,
    cancel_leftovers,
    cancel_orphans,
    is_news,
    record_verdicts,
    settle_forgotten,
)
from cruijff_kit.workflow.handover import errand_of, hand_over
from cruijff_kit.workflow.reconcile import adopt_submitted
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from cruijff_kit.workflow.spending import Spending, end_overspent
from cruijff_kit.workflow.standing import live_site, stand
from cruijff_kit.workflow.wanted import read_wanted

__all__ = ["watch_jobs"]


def watch_jobs(
    *, poll: float = 1.0, timeout: float | None = None, reason: str | None = None, world: World
) -> Generator[ExperimentStatus, None, None]:
    """Yield the status until nothing moves any more, recording each verdict once.

    Of several watches of one experiment the first acts: it records verdicts, lets the failure
    policy decide, and hands over what waits. The others show, and one of them goes on when
    that one ends, however it ends. Leaving the iterator disturbs no job; another watch picks
    up where it was left. The site's settings are read again at every look.

    Args:
        poll: seconds between two looks.
        timeout: seconds after which to stop looking, or None to look on.
        reason: why it is watched, in the words of whoever decided; told where the record says that all have ended.
        world: the experiment and its surroundings.
    """
    plan, _ = recorded_plan(world=world)
    started, recorded = world.clock.monotonic(), False
    with ExitStack() as stack:
        elected = False
        while True:
            other = "" if elected else _elect(stack, world)
            elected = not other
            status, news = (stand(plan, world=world), False) if other else _look(plan, world)
            recorded = recorded or news
            yield status.model_copy(update={"watcher": other}) if other else status
            late = timeout is not None and world.clock.monotonic() - started >= timeout
            if not status.moving or late:
                break
            world.clock.sleep(poll)
            plan, _ = recorded_plan(world=world)
        if elected and status.finished:
            # Also where the watch that saw the last verdict fall was killed before it could.
            cancel_leftovers(status, world=world)
            write_compute(world=world)
        if recorded:
            _close(status, reason, world=world)


def _elect(stack: ExitStack, world: World) -> str:
    """Become the one watch that acts; return who is it otherwise."""
    try:
        stack.enter_context(world.store.lock("watch", wait=0.0))
    except SiteError as err:
        return str(err).partition("\n")[0].partition(" is held by ")[2].partition(" for more than ")[0] or "another"
    return ""


def _look(plan: Plan, world: World) -> tuple[ExperimentStatus, bool]:
    """Revive the queue and act on what is seen, unless a submission is under way."""
    with ExitStack() as stack:
        try:
            stack.enter_context(world.store.lock("submit", wait=0.0))
        except SiteError:
            return stand(plan, world=world), False
        try:
            world.scheduler.revive()
            return _act(plan, world)
        except SchedulerError as err:
            if not err.transient:
                raise
    # What could not be done at the moment is done at a later look: all that was, is on disk.
    return stand(plan, world=world), False


def _act(plan: Plan, world: World) -> tuple[ExperimentStatus, bool]:
    """Settle, record, decide and hand over, each kept on disk before the next follows from it.

    The scheduler is asked once how its jobs are, whatever their number.
    """
    site = live_site(world)
    status = stand(plan, site=site, world=world)
    if any(entry.attempts and entry.attempts[-1].job_id is None for entry in status.steps) and adopt_submitted(
        plan, world=world
    ):
        status = stand(plan, site=site, world=world)
    reports = reports_of(status)
    news = [entry for entry in status.steps if is_news(entry)]
    record_verdicts(news, plan, world=world)
    forgotten = settle_forgotten(status, site, world=world)
    if news or forgotten:
        status = stand(plan, reports=reports, site=site, world=world)
    spending = Spending.of(status, plan, site=site)
    decided = apply_policy(status, plan, site=site, spending=spending, world=world)
    cancel_orphans(status, world=world)
    if end_overspent(status, spending, world=world) or decided:
        status = stand(plan, reports=reports, site=site, world=world)
    fed = _feed(plan, status, site=site, world=world)
    if fed:
        queued = {job.job_id: JobReport(job_id=job.job_id, state=JobState.PENDING) for job in fed}
        status = stand(plan, reports=reports | queued, site=site, world=world)
    return status, bool(news or forgotten)


def _feed(plan: Plan, status: ExperimentStatus, *, site: Site, world: World) -> list[Submission]:
    """Hand over what waits, as the queue has room."""
    wanted, now = read_wanted(world), world.clock.now()
    if wanted is None or (wanted.try_at is not None and wanted.try_at > now):
        return []
    book, reports = book_of(status), reports_of(status)
    runs = [run for run in plan.runs if run.id in wanted.runs]
    due = known_edges(due_jobs(runs, book, now=now), book, reports=reports)
    room = room_in(book, reports, queue=site.queue)
    if not due or room <= 0:
        return []
    try:
        _, lock = sealed_plan(world=world)
    except PlanError:
        # Files were edited: nothing of them is run before somebody adopts or undoes it, and submits again.
        return []
    if lock.plan_id != wanted.plan_id:
        return []
    errand = errand_of(plan, lock, wanted=wanted, why=wanted.reason, site=site, world=world)
    return hand_over(due, book, errand=errand, room=room, world=world)


def _close(status: ExperimentStatus, reason: str | None, *, world: World) -> None:
    """Record that everything has ended and what it took, where this look saw the last verdict fall."""
    if status.finished:
        used = read_compute(world=world)
        completed = sum(entry.phase is Phase.COMPLETED for entry in status.steps)
        outcome = Outcome.SUCCESS if completed == len(status.steps) else Outcome.WARNING
        event = AuditEvent(
            actor=world.actor,
            verb="watch",
            action=Action.ALL_COMPLETE,
            subject=status.experiment,
            reason=reason,
            outputs={
                "completed": str(completed),
                "jobs": str(len(status.steps)),
                "gpu_hours": f"{used.gpu_hours:.3g}",
            },
            result=outcome,
        )
        world.audit.append(event)
    render_views(world=world)
