"""Submit: hand the jobs of a sealed plan to the scheduler, each exactly once."""

from collections.abc import Sequence

from cruijff_kit.errors import PlanError, RunError
from cruijff_kit.planning.design_policy import policy_problems
from cruijff_kit.planning.estimates import price_of
from cruijff_kit.planning.job_share import gpu_seconds
from cruijff_kit.planning.site_checks import site_problems
from cruijff_kit.planning.verdicts import retryable
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.policy import Decision
from cruijff_kit.schema.run import ExperimentStatus
from cruijff_kit.schema.spec import Resources
from cruijff_kit.schema.submission import RetryPreview, Submission, SubmitPreview, SubmitReceipt
from cruijff_kit.workflow.attempts import find_run, last_reports, read_attempts, steps_of
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.design_consent import refuse_sending
from cruijff_kit.workflow.disk import disk_shortage
from cruijff_kit.workflow.due import Book, Due, book_of, due_jobs, known_edges, reports_of, room_in
from cruijff_kit.workflow.estimate import apply_remedy
from cruijff_kit.workflow.handover import Errand, errand_of, hand_over
from cruijff_kit.workflow.mask_gate import GateFindings, pass_gate, proof_events
from cruijff_kit.workflow.preflight import input_problems
from cruijff_kit.workflow.reconcile import adopt_submitted
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from cruijff_kit.workflow.site_env import environment_warnings
from cruijff_kit.workflow.standing import live_site, read_status
from cruijff_kit.workflow.wanted import read_wanted, want

__all__ = ["preview_retry", "preview_submission", "proposed_change", "retry_run", "submit_jobs"]


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
    due = due_jobs(_chosen(plan, runs), read_attempts(world.store), now=world.clock.now())
    preview = _preview(plan, lock, due=due, world=world)
    _gate(due, plan, world=world)
    return preview


def submit_jobs(
    plan_id: str, *, runs: tuple[str, ...] = (), reason: str = "", progress: Progress | None = None, world: World
) -> SubmitReceipt:
    """Queue the jobs of the plan that were not queued before, and return all of them.

    As many as `queue.max_queued` of the site allows; the others wait for `ck watch`. Safe to
    repeat and to kill at any point: what is wanted and an intent are on disk before the
    scheduler is asked, and the scheduler never queues a tag twice.

    Raises:
        PlanError: the plan is another one, files changed, a cap is exceeded, or a mask is wrong.
        SchedulerError: the scheduler refused a job for good; those queued before it stay.
    """
    with world.store.lock("submit"):
        plan, lock = sealed_plan(world=world)
        _check_plan(plan_id, lock)
        chosen = _chosen(plan, runs)
        adopted = adopt_submitted(plan, world=world)
        book = read_attempts(world.store)
        due = due_jobs(chosen, book, now=world.clock.now())
        _preview(plan, lock, due=due, world=world)
        _record_gate(_gate(due, plan, world=world), verb="submit", world=world)
        why = reason or "first attempt"
        wanted = want([run.id for run in chosen], lock=lock, reason=why, world=world)
        errand = errand_of(plan, lock, wanted=wanted, why=why, site=live_site(world), world=world)
        reports = last_reports(world.scheduler, book)
        room = room_in(book, reports, queue=errand.queue)
        due = known_edges(due, book, reports=reports)
        fresh = _patiently(due, book, errand=errand, room=room, progress=progress, world=world)
        if fresh or adopted:
            render_views(world=world)
        jobs = _receipt(chosen, (*adopted, *fresh), book=book)
        return SubmitReceipt(plan_id=lock.plan_id, jobs=jobs, refusal=_refusal(world))


def retry_run(run: str, *, apply_proposal: bool = False, reason: str, world: World) -> SubmitReceipt:
    """Open a further attempt for the jobs of a run that ended badly.

    Args:
        run: run id, or an unambiguous start of it.
        apply_proposal: approve the change that the failure policy proposed, and make it first.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        RunError: nothing of the run failed or was cancelled, or it may still run; or nothing is proposed.
    """
    if apply_proposal:
        _apply_proposal(run, reason=reason, world=world)
    with world.store.lock("submit"):
        plan, lock = sealed_plan(world=world)
        adopt_submitted(plan, world=world)
        chosen = find_run(plan.runs, run)
        due = _failed(chosen, read_status(world=world))
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
        wanted = want([chosen.id], lock=lock, reason=reason, world=world)
        errand = errand_of(plan, lock, wanted=wanted, why=reason, site=live_site(world), world=world)
        errand = errand._replace(by_hand=True)
        jobs = _patiently(due, book, errand=errand, room=len(due), world=world)
        render_views(world=world)
        return SubmitReceipt(plan_id=lock.plan_id, jobs=(*jobs, *_left(due, jobs)), refusal=_refusal(world))


def preview_retry(plan_id: str, *, runs: tuple[str, ...], apply_proposal: bool = False, world: World) -> RetryPreview:
    """Return what trying the failed jobs of runs again would ask of the scheduler; never writes.

    Raises:
        PlanError: the plan is another one, or a cap is exceeded.
        RunError: nothing of a run failed or was cancelled, or nothing is proposed for it.
    """
    plan, lock = sealed_plan(world=world)
    _check_plan(plan_id, lock)
    chosen = _chosen(plan, runs)
    status = read_status(world=world)
    due = [job for run in chosen for job in _failed(run, status)]
    changes = [proposed_change(run.id, world=world).words for run in chosen] if apply_proposal else []
    asked = _preview(plan, lock, due=due, world=world)
    return RetryPreview(asked=asked, runs=tuple(run.id for run in chosen), changes=tuple(changes))


def proposed_change(run: str, *, world: World) -> Decision:
    """Return the change that the failure policy proposes for a run, to be shown before it is approved; never writes.

    Raises:
        RunError: nothing is proposed that could be applied.
    """
    chosen = find_run(recorded_plan(world=world)[0].runs, run)
    attempts = read_attempts(world.store).get((chosen.id, Step.TRAIN), ())
    decision = attempts[-1].decision if attempts else None
    if decision is None or not decision.proposal:
        fact = f"nothing is proposed for run `{chosen.id}` that could be applied"
        raise RunError(fact, run_id=chosen.id, hint=f"`ck estimate {chosen.id}` tells what would fit")
    return decision


def _apply_proposal(run: str, *, reason: str, world: World) -> None:
    """Make the change that was proposed for a run, its id and effective batch kept."""
    settings = {"batch_size": proposed_change(run, world=world).proposal["batch_size"]}
    apply_remedy(run, settings=settings, reason=f"proposal of the failure policy approved: {reason}", world=world)


def _patiently(
    due: Sequence[Due], book: Book, *, errand: Errand, room: int, progress: Progress | None = None, world: World
) -> list[Submission]:
    """Hand jobs over, asking again a few times after refusals that may pass; the rest waits for a watch."""
    made = list[Submission]()
    for tries in range(errand.queue.backoff.tries):
        left = [job for job in due if job.key not in {(each.run_id, each.step) for each in made}]
        made += hand_over(left, book, errand=errand, room=room - len(made), progress=progress, world=world)
        wanted = read_wanted(world) or errand.wanted
        errand = errand._replace(wanted=wanted)
        if wanted.try_at is None or tries + 1 == errand.queue.backoff.tries:
            break
        world.clock.sleep((wanted.try_at - world.clock.now()).total_seconds())
    return made


def _refusal(world: World) -> str:
    """Return what the scheduler said, where it takes no more jobs for the moment."""
    wanted = read_wanted(world)
    return wanted.refusal if wanted is not None else ""


def _check_plan(plan_id: str, lock: DesignLock) -> None:
    if len(plan_id) < 8 or not lock.plan_id.startswith(plan_id):
        raise PlanError(
            f"plan `{plan_id}` is not the sealed one, `{lock.plan_id[:12]}`",
            hint="look at the plan again with `ck scaffold --dry-run`, then submit its id",
        )


def _chosen(plan: Plan, runs: Sequence[str]) -> tuple[PlannedRun, ...]:
    return tuple(find_run(plan.runs, name) for name in runs) if runs else plan.runs


def _failed(run: PlannedRun, status: ExperimentStatus) -> list[Due]:
    steps = [entry for entry in status.steps if entry.run_id == run.id]
    failed = [Due(run, entry.step) for entry in steps if retryable(entry)]
    ready = known_edges(failed, book_of(status), reports=reports_of(status))
    if ready:
        return ready
    if failed:
        training = next(entry for entry in steps if entry.step is Step.TRAIN)
        told = f": {training.reason}" if training.reason else ""
        raise RunError(
            f"the evaluation of `{run.id}` cannot be tried again yet: its training is {training.phase.value}{told}",
            run_id=run.id,
            hint="`ck watch` finds out what became of the training; retry then",
        )
    stand = ", ".join(f"{entry.step.value} {entry.phase.value}" for entry in steps)
    raise RunError(
        f"run `{run.id}` has nothing to retry: {stand}",
        run_id=run.id,
        hint="only failed or cancelled jobs are retried; `ck submit` queues what was never submitted",
    )


def _preview(plan: Plan, lock: DesignLock, *, due: Sequence[Due], world: World) -> SubmitPreview:
    caps, resources = world.site.caps, plan.resources
    gpu_hours = sum(gpu_seconds(resources, job.step) for job in due) / 3600
    preview = SubmitPreview(
        plan_id=lock.plan_id,
        experiment=plan.experiment,
        scheduler=world.scheduler.name + (f" on {world.site.login_host}" if world.site.login_host else ""),
        partition=resources.partition or world.site.partition,
        train_jobs=sum(job.step is Step.TRAIN for job in due),
        eval_jobs=sum(job.step is Step.EVAL for job in due),
        gpu_hours=gpu_hours,
        max_jobs=caps.max_jobs,
        max_gpu_hours=caps.max_gpu_hours,
        cost=price_of(gpu_hours, world.site.gpu_hour_price),
        warnings=environment_warnings(world=world) if due else (),
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
    runs = list({job.run.id: job.run for job in due}.values())
    refuse_sending(runs, plan, world=world)
    problems = [
        *site_problems(_said(resources), world.site),
        *policy_problems(plan.policy, world.site),
        *disk_shortage(_trained(due), world=world),
        *input_problems(runs, plan, world=world),
    ]
    if problems:
        raise PlanError("this machine does not have what the jobs ask for", problems=problems)
    return preview


def _said(resources: Resources) -> Resources:
    """Return what the design said of resources: a plan read back holds its defaults too, and the site's come before."""
    return Resources.model_validate(resources.model_dump(exclude_defaults=True))


def _trained(due: Sequence[Due]) -> list[PlannedRun]:
    return [job.run for job in due if job.step is Step.TRAIN]


def _gate(due: Sequence[Due], plan: Plan, *, world: World) -> GateFindings:
    """Prove what the due training jobs will learn, or refuse them all."""
    return pass_gate(_trained(due), plan, world=world)


def _record_gate(found: GateFindings, *, verb: str, world: World) -> None:
    events = proof_events(found, verb=verb, world=world)
    if events:
        world.audit.append(*events)


def _left(due: Sequence[Due], made: Sequence[Submission]) -> list[Submission]:
    """Return the jobs that could not be handed over now."""
    taken = {(each.run_id, each.step) for each in made}
    left = (job for job in due if job.key not in taken)
    return [Submission(run_id=job.run.id, step=job.step, job_id="", state="waiting") for job in left]


def _receipt(runs: Sequence[PlannedRun], news: Sequence[Submission], *, book: Book) -> tuple[Submission, ...]:
    known = {(each.run_id, each.step): each for each in news}
    keys = [(run.id, step) for run in runs for step in steps_of(run)]
    for run_id, step in keys:
        job_id = book[run_id, step][-1].job_id if (run_id, step) in book else None
        state = "waiting" if job_id is None else "already submitted"
        known.setdefault((run_id, step), Submission(run_id=run_id, step=step, job_id=job_id or "", state=state))
    return tuple(known[key] for key in keys)
