"""Submit: hand the jobs of a sealed plan to the scheduler, each exactly once."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cruijff_kit.errors import PlanError, RunError
from cruijff_kit.planning.site_checks import site_problems
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.planning.verdicts import retryable
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.job import Attempt, Intent, JobRequest, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.receipt import Submission, SubmitPreview, SubmitReceipt
from cruijff_kit.schema.spec import Resources
from cruijff_kit.workflow.attempts import AttemptKey, find_run, read_attempts, steps_of, write_intent
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.disk import disk_shortage
from cruijff_kit.workflow.mask_gate import GateFindings, pass_gate, proof_events
from cruijff_kit.workflow.reconcile import adopt_submitted, record_submission
from cruijff_kit.workflow.seal import sealed_plan
from cruijff_kit.workflow.watch import read_status

__all__ = ["preview_submission", "retry_run", "submit_jobs"]

_Book = dict[AttemptKey, tuple[Attempt, ...]]


class _Due(NamedTuple):
    """One job to hand over."""

    run: PlannedRun
    step: Step

    @property
    def key(self) -> AttemptKey:
        return self.run.id, self.step


class _Errand(NamedTuple):
    """What all jobs of one submission share."""

    lock: DesignLock
    why: str
    comment: str
    mail: str | None
    """Where the scheduler tells of the last of them."""


def preview_submission(plan_id: str, *, runs: tuple[str, ...] = (), world: World) -> SubmitPreview:
    """Return what submitting would ask of the scheduler; never writes.

    Args:
        plan_id: the sealed plan's id, or at least eight leading digits of it.
        runs: run ids to submit; all where empty.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the plan is another one, files changed, a cap is exceeded, or a mask is wrong.
    """
    plan, lock = sealed_plan(world=world)
    _check_plan(plan_id, lock)
    due = _due(_chosen(plan, runs), read_attempts(world.store))
    preview = _preview(plan, lock, due=due, world=world)
    _gate(due, plan, world=world)
    return preview


def submit_jobs(
    plan_id: str, *, runs: tuple[str, ...] = (), reason: str = "", progress: Progress | None = None, world: World
) -> SubmitReceipt:
    """Queue every job of the plan that was not queued before, and return all of them.

    Safe to repeat and to kill at any point: an intent is on disk before the
    scheduler is asked, and the scheduler never queues a tag twice.

    Raises:
        PlanError: the plan is another one, files changed, a cap is exceeded, or a mask is wrong.
        SchedulerError: the scheduler refused a job; those queued before it stay.
    """
    with world.store.lock("submit"):
        plan, lock = sealed_plan(world=world)
        _check_plan(plan_id, lock)
        chosen = _chosen(plan, runs)
        adopted = adopt_submitted(plan, world=world)
        book = read_attempts(world.store)
        due = _due(chosen, book)
        _preview(plan, lock, due=due, world=world)
        _record_gate(_gate(due, plan, world=world), verb="submit", world=world)
        errand = _errand(plan, lock, why=reason or "first attempt", world=world)
        fresh = _hand_over(due, book, errand=errand, progress=progress, world=world)
        if fresh or adopted:
            render_views(world=world)
        return SubmitReceipt(plan_id=lock.plan_id, jobs=_receipt(chosen, (*adopted, *fresh), book=book))


def retry_run(run: str, *, reason: str, world: World) -> SubmitReceipt:
    """Open a further attempt for the jobs of a run that ended badly.

    Raises:
        RunError: nothing of the run failed or was cancelled, or it may still run.
    """
    with world.store.lock("submit"):
        plan, lock = sealed_plan(world=world)
        adopt_submitted(plan, world=world)
        chosen = find_run(plan.runs, run)
        due = _failed(chosen, world)
        _preview(plan, lock, due=due, world=world)
        _record_gate(_gate(due, plan, world=world), verb="retry", world=world)
        event = AuditEvent(
            actor=world.actor,
            verb="retry",
            action=Action.RETRY,
            subject=chosen.id,
            reason=reason,
            inputs={"plan_id": lock.plan_id},
            outputs={"jobs": ", ".join(job.step.value for job in due)},
        )
        world.audit.append(event)
        book = read_attempts(world.store)
        errand = _errand(plan, lock, why=reason, world=world)
        jobs = _hand_over(due, book, errand=errand, progress=None, world=world)
        render_views(world=world)
        return SubmitReceipt(plan_id=lock.plan_id, jobs=tuple(jobs))


def _check_plan(plan_id: str, lock: DesignLock) -> None:
    if len(plan_id) < 8 or not lock.plan_id.startswith(plan_id):
        raise PlanError(
            f"plan `{plan_id}` is not the sealed one, `{lock.plan_id[:12]}`",
            hint="look at the plan again with `ck scaffold --dry-run`, then submit its id",
        )


def _chosen(plan: Plan, runs: Sequence[str]) -> tuple[PlannedRun, ...]:
    return tuple(find_run(plan.runs, name) for name in runs) if runs else plan.runs


def _due(runs: Sequence[PlannedRun], book: _Book) -> list[_Due]:
    """Return the jobs never handed over, and those an interrupted submission left open."""
    jobs = (_Due(run, step) for run in runs for step in steps_of(run))
    return [job for job in jobs if job.key not in book or book[job.key][-1].job_id is None]


def _failed(run: PlannedRun, world: World) -> list[_Due]:
    steps = [entry for entry in read_status(world=world).steps if entry.run_id == run.id]
    failed = [_Due(run, entry.step) for entry in steps if retryable(entry)]
    if failed:
        return failed
    stand = ", ".join(f"{entry.step.value} {entry.phase.value}" for entry in steps)
    raise RunError(
        f"run `{run.id}` has nothing to retry: {stand}",
        run_id=run.id,
        hint="only failed or cancelled jobs are retried; `ck submit` queues what was never submitted",
    )


def _preview(plan: Plan, lock: DesignLock, *, due: Sequence[_Due], world: World) -> SubmitPreview:
    caps, resources = world.site.caps, plan.resources
    limits = {Step.TRAIN: seconds_of(resources.time), Step.EVAL: seconds_of(resources.eval_time)}
    gpus = {Step.TRAIN: resources.all_gpus, Step.EVAL: min(1, resources.gpus)}
    gpu_hours = sum(limits[job.step] * gpus[job.step] for job in due) / 3600
    preview = SubmitPreview(
        plan_id=lock.plan_id,
        experiment=plan.experiment,
        scheduler=world.scheduler.name,
        partition=resources.partition or world.site.partition,
        train_jobs=sum(job.step is Step.TRAIN for job in due),
        eval_jobs=sum(job.step is Step.EVAL for job in due),
        gpu_hours=gpu_hours,
        max_jobs=caps.max_jobs,
        max_gpu_hours=caps.max_gpu_hours,
    )
    if len(due) > caps.max_jobs:
        raise PlanError(
            f"the submission asks for {len(due)} jobs; the site's cap is {caps.max_jobs}",
            hint="submit fewer runs at a time, or raise `caps.max_jobs` in site.yaml",
        )
    if gpu_hours > caps.max_gpu_hours:
        raise PlanError(
            f"the submission asks for up to {gpu_hours:g} GPU-hours; the site's cap is {caps.max_gpu_hours:g}",
            hint="shorten `resources.time`, submit fewer runs, or raise `caps.max_gpu_hours` in site.yaml",
        )
    problems = [*site_problems(_said(resources), world.site), *disk_shortage(_trained(due), world=world)]
    if problems:
        raise PlanError("this machine does not have what the jobs ask for", problems=problems)
    return preview


def _said(resources: Resources) -> Resources:
    """Return what the design said of resources: a plan read back holds its defaults too, and the site's come before."""
    return Resources.model_validate(resources.model_dump(exclude_defaults=True))


def _trained(due: Sequence[_Due]) -> list[PlannedRun]:
    return [job.run for job in due if job.step is Step.TRAIN]


def _gate(due: Sequence[_Due], plan: Plan, *, world: World) -> GateFindings:
    """Prove what the due training jobs will learn, or refuse them all."""
    return pass_gate(_trained(due), plan, world=world)


def _record_gate(found: GateFindings, *, verb: str, world: World) -> None:
    events = proof_events(found, verb=verb, world=world)
    if events:
        world.audit.append(*events)


def _errand(plan: Plan, lock: DesignLock, *, why: str, world: World) -> _Errand:
    head = world.audit.head()
    anchor = f"audit {head.seq} {head.sha256}" if head is not None else "audit empty"
    mail = world.site.mail if plan.resources.notify else None
    return _Errand(lock, why, f"plan {lock.plan_id} {anchor}", mail)


def _hand_over(
    due: Sequence[_Due], book: _Book, *, errand: _Errand, progress: Progress | None, world: World
) -> list[Submission]:
    """Submit jobs in order, training before the evaluation that waits for it."""
    if due:
        world.scheduler.revive()
    submissions = []
    for count, job in enumerate(due, start=1):
        attempt = _opened(job, book.get(job.key, ()), errand=errand, world=world)
        request = _request(job, attempt, book=book, errand=errand, world=world)
        last = errand.mail if count == len(due) else None
        job_id = world.scheduler.submit(request.model_copy(update={"mail": last}))
        submissions.append(record_submission(attempt, job_id, adopted=False, world=world))
        earlier = [each for each in book.get(job.key, ()) if each.intent.number < attempt.intent.number]
        book[job.key] = (*earlier, attempt.model_copy(update={"job_id": job_id}))
        if progress is not None:
            progress(count, len(due), job.run.id)
    return submissions


def _opened(job: _Due, earlier: tuple[Attempt, ...], *, errand: _Errand, world: World) -> Attempt:
    """Return the attempt to submit: the one left open, or a new one now on disk."""
    if earlier and earlier[-1].job_id is None:
        return earlier[-1]
    number, now = len(earlier) + 1, world.clock.now()
    # A directory made again at the same place must not be taken for the one before it.
    where = hashlib.sha256(f"{world.store.root} {now.isoformat()} {errand.comment}".encode()).hexdigest()[:8]
    intent = Intent(
        run_id=job.run.id,
        step=job.step,
        number=number,
        tag=f"ck-{where}-{job.run.id[-8:]}-{job.step.value}-{number}",
        why=errand.why,
        recorded=now,
    )
    return write_intent(world.store, intent, files=_files(job))


def _files(job: _Due) -> tuple[str, ...]:
    layout = RunLayout(job.run.id)
    if job.step is Step.TRAIN:
        return layout.train_script, layout.config
    return layout.eval_script, *(layout.cell_config(cell.name) for cell in job.run.cells)


def _request(job: _Due, attempt: Attempt, *, book: _Book, errand: _Errand, world: World) -> JobRequest:
    layout = RunLayout(job.run.id)
    script = layout.train_script if job.step is Step.TRAIN else layout.eval_script
    edge = _edge(job, book)
    return JobRequest(
        script=str(world.store.root / script),
        tag=attempt.intent.tag,
        name=job.run.id[:55] + ("-eval" if job.step is Step.EVAL else ""),
        chdir=str(world.store.root / layout.folder),
        after_ok=tuple(each.job_id for each in edge if each.job_id is not None),
        after_tags=tuple(each.intent.tag for each in edge),
        comment=errand.comment,
    )


def _edge(job: _Due, book: _Book) -> tuple[Attempt, ...]:
    """Return the training job that an evaluation must wait for, if it has not succeeded already."""
    training = book.get((job.run.id, Step.TRAIN), ()) if job.step is Step.EVAL else ()
    if not training or training[-1].verdict is JobState.SUCCEEDED or training[-1].job_id is None:
        return ()
    return (training[-1],)


def _receipt(runs: Sequence[PlannedRun], news: Sequence[Submission], *, book: _Book) -> tuple[Submission, ...]:
    known = {(each.run_id, each.step): each for each in news}
    for run in runs:
        for step in steps_of(run):
            job_id = book[run.id, step][-1].job_id
            known.setdefault(
                (run.id, step), Submission(run_id=run.id, step=step, job_id=job_id or "", state="already submitted")
            )
    return tuple(known[run.id, step] for run in runs for step in steps_of(run))
