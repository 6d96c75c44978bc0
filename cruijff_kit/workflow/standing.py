"""Standing: where every step of every run is, from its files, the scheduler, and what was decided."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.planning.verdicts import Evidence, judge
from cruijff_kit.ports import RunStore, World
from cruijff_kit.schema.job import Attempt, JobReport, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.policy import Reaction
from cruijff_kit.schema.run import Done, ExperimentStatus, JobStatus, MetricPoint, Phase, StepStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import AttemptKey, holders, last_reports, read_attempts, steps_of
from cruijff_kit.workflow.seal import read_lock, recorded_plan
from cruijff_kit.workflow.wanted import read_wanted

__all__ = ["glance_status", "live_site", "read_status", "stand"]

_STALE = "the plan was changed since it was submitted; `ck submit` goes on with the new one"


def read_status(*, world: World) -> ExperimentStatus:
    """Return where every step of every run stands; never writes.

    Raises:
        PlanError: the experiment is not scaffolded, or was changed since.
    """
    plan, _ = recorded_plan(world=world)
    return stand(plan, world=world)


def glance_status(*, ask: bool = False, world: World) -> ExperimentStatus:
    """Return where every step of every run seems to stand, at a glance: no artefact is hashed; never writes.

    A marker that a job left is taken at its word. A job that the scheduler was not
    asked about is running where it says so itself. `read_status` proves what this shows.

    Args:
        ask: whether the scheduler is asked too.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or was changed since.
    """
    plan, _ = recorded_plan(world=world)
    found = stand(plan, reports=None if ask else {}, proof=False, world=world)
    steps = (_by_own_word(entry, store=world.store) for entry in found.steps)
    return found.model_copy(update={"steps": tuple(steps)})


def _by_own_word(entry: StepStatus, *, store: RunStore) -> StepStatus:
    own = entry.account
    if entry.phase is not Phase.UNKNOWN or own is None or own.state not in ("starting", "running"):
        return entry
    running = _changed(entry, Phase.RUNNING, reason=f"as it said itself at {own.updated:%Y-%m-%d %H:%M:%S} UTC")
    if entry.step is not Step.TRAIN:
        return running
    return running.model_copy(update={"last": _last_point(store, RunLayout(entry.run_id))})


def live_site(world: World) -> Site:
    """Return the site's settings as they are now; those known where the file cannot be read at the moment."""
    try:
        return world.site if world.settings is None else world.settings()
    except (SpecError, SiteError):
        return world.site


def stand(
    plan: Plan,
    *,
    reports: Mapping[str, JobReport] | None = None,
    site: Site | None = None,
    proof: bool = True,
    world: World,
) -> ExperimentStatus:
    """Return where every step of a plan stands; never writes.

    Args:
        plan: the plan.
        reports: what the scheduler says by job id, where it was asked already.
        site: the site's settings as they are now, where they were read already.
        proof: whether what a job left is hashed before its marker counts.
        world: the experiment and its surroundings.
    """
    attempts, wanted, lock = read_attempts(world.store), read_wanted(world), read_lock(world)
    said = last_reports(world.scheduler, attempts) if reports is None else reports
    held, late = holders(attempts), _seen_since(world, site)
    current = wanted is not None and lock is not None and wanted.plan_id == lock.plan_id
    entries: list[StepStatus] = []
    for run in plan.runs:
        for step in steps_of(run):
            tried = attempts.get((run.id, step), ())
            # A number that the scheduler has given anew since tells nothing of the job that had it before.
            ours = tried and held.get(tried[-1].job_id or "") == tried[-1].intent.tag
            report = said.get(tried[-1].job_id or "") if ours else None
            entry = _step((run.id, step), _Told(tried, report, late, proof), store=world.store)
            before = entries[-1] if step is Step.EVAL and entries and entries[-1].run_id == run.id else None
            if wanted is not None and run.id in wanted.runs:
                entry = _told(entry, training=before, current=current)
            entries.append(entry)
    return ExperimentStatus(experiment=plan.experiment, steps=tuple(entries))


def _told(entry: StepStatus, *, training: StepStatus | None, current: bool) -> StepStatus:
    """Return how a step of a wanted run stands, once what was decided is considered.

    Args:
        entry: how it stands by itself.
        training: how the training of its run stands, for an evaluation.
        current: whether the sealed plan is the one that was submitted: nothing of another is handed over.
    """
    decision = entry.attempts[-1].decision if entry.attempts else None
    if entry.phase in (Phase.NOT_SUBMITTED, Phase.INTENDED):
        ended = training is not None and training.phase in (Phase.FAILED, Phase.CANCELLED)
        if ended and training is not None and training.attempts and training.attempts[-1].verdict is not None:
            return _changed(entry, Phase.CANCELLED, reason=f"its training ended badly: {training.reason}")
        if not current:
            return _changed(entry, entry.phase, reason=_STALE)
        return _changed(entry, Phase.WAITING, reason="to be handed over by `ck watch`, once the queue has room")
    if decision is None or entry.phase not in (Phase.FAILED, Phase.CANCELLED):
        return entry
    told = f"{entry.reason}; {decision.reason}" if entry.reason else decision.reason
    if decision.reaction is not Reaction.RETRY:
        return _changed(entry, entry.phase, reason=told)
    if not current:
        return _changed(entry, entry.phase, reason=f"{told}; {_STALE}")
    when = f", not before {decision.not_before:%H:%M:%S} UTC" if decision.not_before else ""
    return _changed(entry, Phase.WAITING, reason=f"{told}: tried again{when}")


def _changed(entry: StepStatus, phase: Phase, *, reason: str) -> StepStatus:
    return entry.model_copy(update={"phase": phase, "reason": reason})


class _Told(NamedTuple):
    """What is known of a step without its own files."""

    attempts: tuple[Attempt, ...]
    report: JobReport | None
    seen_since: datetime | None
    proof: bool


def _seen_since(world: World, site: Site | None) -> datetime | None:
    """Return the moment before which all that nodes wrote is seen here; None where everything is seen at once."""
    within = (site or live_site(world)).policy.seen_within if world.store.shared() else 0.0
    return world.clock.now() - timedelta(seconds=within) if within else None


def _step(key: AttemptKey, told: _Told, *, store: RunStore) -> StepStatus:
    run_id, step = key
    attempts, report, since, proof = told
    ended = (report.ended if report is not None else None) or (attempts[-1].ended if attempts else None)
    fresh = since is not None and ended is not None and ended > since
    layout = RunLayout(run_id)
    own, done = JobStatus.found_in(store.read(layout.status(step))), Done.found_in(store.read(layout.done(step)))
    if proof and done is not None and any(done.strays(store.digest)):
        done = None
    found = judge(run_id, step, evidence=Evidence(attempts, report, own, done, fresh))
    if found.phase is Phase.RUNNING and step is Step.TRAIN:
        return found.model_copy(update={"last": _last_point(store, layout)})
    return found


def _last_point(store: RunStore, layout: RunLayout) -> dict[str, Any]:
    """Return the last metrics line of a training; nothing where there is none, or it is being written."""
    line = next(iter(store.tail(layout.metrics, 1)), "")
    point = MetricPoint.found_in(line.encode())
    return point.model_dump(exclude_none=True, exclude_defaults=True) if point is not None else {}
