"""Sweep: run a search round by round; the design and `search.json` are its whole memory."""

from collections.abc import Callable, Generator
from statistics import stdev

from cruijff_kit.analysis.wins import judge_win
from cruijff_kit.errors import PlanError
from cruijff_kit.planning.estimates import price_of
from cruijff_kit.planning.job_share import gpu_seconds
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.planning.search_space import DEFAULT, fresh_name, most_trainings
from cruijff_kit.ports import World
from cruijff_kit.rendering.sweep_text import curve_lines, sweep_words
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.run import ExperimentStatus
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.schema.sweep import Approval, SweepPreview, SweepRecord, SweepRow, SweepView, Win
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.design import append_runs
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import read_lock, recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.sweep_record import (
    ended_runs,
    names_of,
    read_record,
    record_told,
    runs_named,
    search_of,
    tell,
    trials_of,
    write_record,
)
from cruijff_kit.workflow.sweep_round import best_trial, minimises, next_runs, record_round
from cruijff_kit.workflow.watch import watch_jobs

__all__ = ["approve_sweep", "next_round", "preview_sweep", "read_sweep", "view_of", "watch_sweep"]

_LOCK = "sweep"


def preview_sweep(*, world: World) -> SweepPreview:
    """Return what a search would ask of the scheduler in all, from its first round to its last; never writes.

    Raises:
        PlanError: there is no design, it is no search, or it asks for more than the site's cap.
    """
    spec = read_design(world)
    search, caps, resources = search_of(spec), world.site.caps, spec.resources
    trainings = most_trainings(search, len(spec.controls.seeds))
    steps = (Step.TRAIN, Step.EVAL) if spec.tools.evaluation != "none" else (Step.TRAIN,)
    hours = trainings * sum(gpu_seconds(resources, step) for step in steps) / 3600
    if hours > caps.max_gpu_hours:
        fact = f"the search asks for up to {hours:g} GPU-hours; the site's cap is {caps.max_gpu_hours:g}"
        hint = "take fewer trials, shorten `resources.time`, or raise `caps.max_gpu_hours` in site.yaml"
        raise PlanError(fact, hint=hint)
    scope = _scope(spec)
    approval = read_record(world).approval
    return SweepPreview(
        experiment=spec.name,
        scheduler=world.scheduler.name + (f" on {world.site.login_host}" if world.site.login_host else ""),
        partition=resources.partition or world.site.partition,
        trials=search.trials,
        trainings=trainings,
        gpu_hours=hours,
        max_gpu_hours=caps.max_gpu_hours,
        cost=price_of(hours, world.site.gpu_hour_price),
        scope=scope,
        approved=approval is not None and approval.scope == scope,
    )


def approve_sweep(scope: str, *, reason: str, world: World) -> Approval:
    """Record that a search may run to its end: every round of it is then submitted unasked.

    Args:
        scope: what was asked about, as the preview names it.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the design was changed since it was asked about.
    """
    with world.store.lock(_LOCK):
        preview = preview_sweep(world=world)
        if preview.scope != scope:
            raise PlanError("the search is another one than was asked about", hint="look at it again, then agree")
        approval = Approval(scope=scope, trainings=preview.trainings, gpu_hours=preview.gpu_hours, who=world.actor.name)
        record = read_record(world)
        if record.approval == approval:
            return approval
        event = AuditEvent(
            actor=world.actor,
            verb="sweep",
            action=Action.DECIDE_CONFIG,
            subject=preview.experiment,
            reason=reason,
            inputs={"search": scope},
            outputs={"trainings": str(preview.trainings), "gpu_hours": f"{preview.gpu_hours:g}"},
        )
        world.audit.append(event)
        write_record(record.model_copy(update={"approval": approval}), world)
        return approval


def next_round(*, reason: str = "", world: World) -> SweepView:
    """Tell what has ended, decide what follows, write it down and submit it; safe to repeat and to kill.

    A trial stands in the audit log and in the design before any of its runs is submitted,
    and follows from the record alone: who was killed decides the same again. While runs
    of the last round go on, nothing is decided.

    Args:
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the design is no search, nobody agreed to it as it is, or a cap is exceeded.
        SchedulerError: the scheduler refused a job for good.
        SiteError: the extra that samples is not installed.
        SpecError: the design has problems, or its body was edited.
    """
    with world.store.lock(_LOCK):
        spec = read_design(world)
        approval = _approved(spec, world)
        plan, lock = _sealed(spec, reason=reason, world=world)
        record = _told(spec, plan=plan, world=world)
        if not _waiting(spec, record) or not trials_of(spec):
            spec, record = _decided(spec, record, plan=plan, reason=reason, world=world)
            plan, lock = _sealed(spec, reason=reason, world=world)
        due = tuple(run.id for name in _waiting(spec, record) for run in runs_named(plan, name))
        if due:
            _within(approval, plan, spec=spec)
            submit_jobs(lock.plan_id, runs=due, reason=reason or "a round of the search", world=world)
        render_views(world=world)
        return view_of(spec, record, plan=plan)


def watch_sweep(
    *,
    poll: float = 1.0,
    timeout: float | None = None,
    reason: str = "",
    progress: Callable[[ExperimentStatus], None] | None = None,
    world: World,
) -> Generator[SweepView, None, None]:
    """Yield the search after each step of it until it has ended: submit a round, watch it, decide the next.

    Leaving the iterator disturbs no job; another watch goes on where it was left.

    Args:
        poll: seconds between two looks at the jobs.
        timeout: seconds after which to stop looking, or None to look on.
        reason: why, in the words of whoever decided.
        progress: told of every look at the jobs.
        world: the experiment and its surroundings.
    """
    started = world.clock.monotonic()
    while True:
        view = next_round(reason=reason, world=world)
        yield view
        if view.finished:
            return
        left = None if timeout is None else max(0.0, timeout - (world.clock.monotonic() - started))
        moving = True
        for status in watch_jobs(poll=poll, timeout=left, reason=reason or None, world=world):
            moving = status.moving
            if progress is not None:
                progress(status)
        if moving or not _all_ended(view, world):
            # Time is up, or something waits for a person: a look at the status tells what.
            return


def read_sweep(*, world: World) -> SweepView:
    """Return a search as it stands; never writes.

    Raises:
        PlanError: there is no design, or it is no search.
    """
    spec = read_design(world)
    search_of(spec)
    plan = None if read_lock(world) is None else recorded_plan(world=world)[0]
    return view_of(spec, read_record(world), plan=plan)


def view_of(spec: ExperimentSpec, record: SweepRecord, *, plan: Plan | None) -> SweepView:
    """Return what a design and a record say of a search."""
    search, trials = search_of(spec), trials_of(spec)
    minimise, best = minimises(search), best_trial(spec, record)
    win = _win(spec, record, best=best)
    waiting = _waiting(spec, record)
    done = len(trials) >= search.trials or record.exhausted
    view = SweepView(
        experiment=spec.name,
        metric=search.metric,
        minimise=minimise,
        trials=search.trials,
        rows=tuple(_row(name, spec, record=record, plan=plan, best=best) for name in names_of(spec)),
        incumbents=_incumbents(trials, record, minimise=minimise),
        spread=_spread(record),
        win=win,
        finished=done and not waiting and (best is None or record.told_of(fresh_name(best)) is not None),
        waiting=waiting,
    )
    return view.model_copy(update={"words": sweep_words(view), "curve": curve_lines(view)})


def _scope(spec: ExperimentSpec) -> str:
    """Return the hash of all that was agreed to; runs are what the search itself adds."""
    return content_hash(spec.model_dump(mode="json", exclude={"runs"}))


def _approved(spec: ExperimentSpec, world: World) -> Approval:
    """Return what was agreed to, where it is this search."""
    approval = read_record(world).approval
    if approval is None or approval.scope != _scope(spec):
        fact = "nobody agreed to this search" if approval is None else "the search was changed since it was agreed to"
        raise PlanError(fact, hint="`ck sweep watch` asks, once for all of its rounds")
    return approval


def _within(approval: Approval, plan: Plan, *, spec: ExperimentSpec) -> None:
    """Refuse more trainings than were agreed to: runs may have been written into the design by hand."""
    searched = sum(len(runs_named(plan, name)) for name in names_of(spec))
    if searched > approval.trainings:
        fact = f"the search has {searched} trainings, and {approval.trainings} were agreed to"
        raise PlanError(fact, hint="take out of `runs` what the search did not propose")


def _sealed(spec: ExperimentSpec, *, reason: str, world: World) -> tuple[Plan, DesignLock]:
    """Return the plan of the design as it is now, scaffolded first where it is not."""
    lock = read_lock(world)
    if lock is None or lock.spec_sha256 != design_hash(spec):
        scaffold_runs(reason=reason or None, world=world)
    return recorded_plan(world=world)


def _waiting(spec: ExperimentSpec, record: SweepRecord) -> tuple[str, ...]:
    return tuple(name for name in names_of(spec) if record.told_of(name) is None)


def _told(spec: ExperimentSpec, *, plan: Plan, world: World) -> SweepRecord:
    """Return the record with the round that has ended in it, all of it or nothing."""
    record = read_record(world)
    waiting = _waiting(spec, record)
    if not waiting or not trials_of(spec):
        return record
    ended = ended_runs(read_status(world=world))
    if any(run.id not in ended for name in waiting for run in runs_named(plan, name)):
        return record
    news = [tell(name, spec, plan=plan, world=world) for name in waiting]
    if all(each.mean is None for each in news):
        fact = f"no run of the last round has a `{search_of(spec).metric}`: {news[-1].reason}"
        hint = "mend the cause and `ck retry` the runs that failed; nothing was recorded, the search goes on from there"
        raise PlanError(fact, hint=hint)
    record_told(news, spec, world=world)
    record = record.model_copy(update={"told": (*record.told, *news)})
    write_record(record, world)
    return record


def _decided(
    spec: ExperimentSpec, record: SweepRecord, *, plan: Plan, reason: str, world: World
) -> tuple[ExperimentSpec, SweepRecord]:
    """Return design and record with what follows, each on disk."""
    runs, exhausted = next_runs(spec, record, plan=plan, world=world)
    if exhausted and not record.exhausted:
        record = record.model_copy(update={"exhausted": True})
    if runs:
        record_round(runs, spec, reason=reason, world=world)
        append_runs(runs, reason=reason or "the next round of the search", world=world)
    # After the design: a round that was cut short by a kill is decided again, and then found exhausted again.
    write_record(record, world)
    return read_design(world), record


def _all_ended(view: SweepView, world: World) -> bool:
    plan, ended = recorded_plan(world=world)[0], ended_runs(read_status(world=world))
    return all(run.id in ended for name in view.waiting for run in runs_named(plan, name))


def _row(name: str, spec: ExperimentSpec, *, record: SweepRecord, plan: Plan | None, best: str | None) -> SweepRow:
    run = next((each for each in spec.runs if each.name == name), None)
    told = record.told_of(name)
    own = run.seeds if run is not None and run.seeds else spec.controls.seeds
    model = {} if run is None or run.model is None else {"model": run.model}
    if told is not None:
        note = "best so far" if name == best else told.reason
    else:
        waits = plan is not None and bool(runs_named(plan, name))
        note = "its runs have not all ended" if waits else "not submitted"
    return SweepRow(
        name=name,
        parameters={**model, **(run.parameters if run is not None else {})},
        seeds=len(own),
        value=None if told is None else told.mean,
        note=note,
    )


def _incumbents(trials: tuple[str, ...], record: SweepRecord, *, minimise: bool) -> tuple[float | None, ...]:
    best, found = None, list[float | None]()
    for name in (DEFAULT, *trials):
        told = record.told_of(name)
        if told is None:
            break
        if told.mean is not None and (best is None or (told.mean < best) is minimise):
            best = told.mean
        found.append(best)
    return tuple(found)


def _spread(record: SweepRecord) -> float | None:
    told = record.told_of(DEFAULT)
    known = [each.value for each in told.values if each.value is not None] if told is not None else []
    return stdev(known) if len(known) > 1 else None


def _win(spec: ExperimentSpec, record: SweepRecord, *, best: str | None) -> Win | None:
    """Return what the fresh seeds say; only seeds on which both have a value count."""
    default = record.told_of(fresh_name(DEFAULT))
    trial = None if best is None else record.told_of(fresh_name(best))
    if default is None or trial is None or best is None:
        return None
    pairs = [
        (own.value, other.value)
        for own, other in zip(default.values, trial.values, strict=True)
        if own.value is not None and other.value is not None
    ]
    if len(pairs) < 2:
        return None
    minimise = minimises(search_of(spec))
    own, others = zip(*pairs, strict=True)
    return judge_win(best, own, values=others, minimise=minimise, alpha=spec.analysis.alpha)
