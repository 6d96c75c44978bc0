"""Hand over: give due jobs to the scheduler, as many as may be there, each exactly once."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.job import Attempt, Intent, JobReport, JobRequest, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.policy import Queue, Reaction, Wanted
from cruijff_kit.schema.receipt import Submission
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import AttemptKey, steps_of, write_intent
from cruijff_kit.workflow.reconcile import record_submission
from cruijff_kit.workflow.wanted import accepted, refused

__all__ = ["Book", "Due", "Errand", "due_jobs", "errand_of", "hand_over", "known_edges", "room_in"]

Book = dict[AttemptKey, tuple[Attempt, ...]]
"""Submissions on disk, oldest first, by run and step."""


class Due(NamedTuple):
    """One job to hand over."""

    run: PlannedRun
    """Its run."""
    step: Step
    """Which of the run's jobs."""

    @property
    def key(self) -> AttemptKey:
        """Return run id and step."""
        return self.run.id, self.step


class Errand(NamedTuple):
    """What all jobs of one submission share."""

    why: str
    """Why attempts are opened."""
    comment: str
    """Anchor of plan and audit log, shown by the scheduler."""
    wanted: Wanted
    """What was asked to be submitted."""
    queue: Queue
    """How fast, and how many."""
    mail: str | None = None
    """Where the scheduler tells of the last of them."""


def errand_of(plan: Plan, lock: DesignLock, *, wanted: Wanted, why: str, site: Site, world: World) -> Errand:
    """Return the errand of one submission, the audit log's head in its comment."""
    head = world.audit.head()
    anchor = f"audit {head.seq} {head.sha256}" if head is not None else "audit empty"
    mail = site.mail if plan.resources.notify else None
    return Errand(why, f"plan {lock.plan_id} {anchor}", wanted, site.queue, mail)


def due_jobs(runs: Sequence[PlannedRun], book: Book, *, now: datetime) -> list[Due]:
    """Return the jobs never handed over, those an interruption left open, and those to be tried again by now."""
    jobs = (Due(run, step) for run in runs for step in steps_of(run))
    return [job for job in jobs if job.key not in book or _open(book[job.key][-1], now)]


def known_edges(due: Sequence[Due], book: Book, *, reports: Mapping[str, JobReport]) -> list[Due]:
    """Return those jobs without evaluations of a training that the scheduler says nothing of: it may have lost it."""
    unknown = {job_id for job_id, report in reports.items() if report.state is JobState.UNKNOWN}
    return [job for job in due if unknown.isdisjoint(_ids(_edge(job, book) or ()))]


def room_in(book: Book, reports: Mapping[str, JobReport], *, queue: Queue) -> int:
    """Return how many jobs of this experiment the scheduler may still be given; one it says nothing of counts."""
    open_ones = (each[-1].job_id for each in book.values() if each[-1].verdict is None)
    alive = [job_id for job_id in open_ones if job_id and not (job_id in reports and reports[job_id].state.ended)]
    return queue.max_queued - len(alive)


def hand_over(
    due: Sequence[Due], book: Book, *, errand: Errand, room: int, progress: Progress | None = None, world: World
) -> list[Submission]:
    """Submit jobs in order while there is room, training before the evaluation that waits for it.

    A refusal that may pass ends the round: the record says when to try again. An evaluation
    whose training was lost or ended badly meanwhile stays open, and holds nobody up.

    Raises:
        SchedulerError: the scheduler refused a job for good; those before it stay.
    """
    if due:
        world.scheduler.revive()
    submissions: list[Submission] = []
    for count, job in enumerate(due, start=1):
        if len(submissions) >= room:
            break
        edge = _edge(job, book)
        if edge is None:
            continue
        if submissions and errand.queue.stagger:
            world.clock.sleep(errand.queue.stagger)
        earlier = book.get(job.key, ())
        attempt = _opened(job, earlier, errand=errand, world=world)
        earlier = tuple(each for each in earlier if each.intent.number < attempt.intent.number)
        # Whoever asks again, after a refusal that was none perhaps, asks under the same tag.
        book[job.key] = (*earlier, attempt)
        try:
            job_id = world.scheduler.submit(_request(job, attempt, edge=edge, errand=errand, world=world))
        except DependencyError:
            # What became of its training a later look tells; then it goes on, or follows it.
            continue
        except SchedulerError as err:
            if not err.transient:
                raise
            refused(err, errand.wanted, queue=errand.queue, world=world)
            break
        errand = errand._replace(wanted=accepted(errand.wanted, world=world))
        submitted = attempt.model_copy(update={"after_ok": _ids(edge), "after_tags": _tags(edge)})
        submissions.append(record_submission(submitted, job_id, adopted=False, world=world))
        book[job.key] = (*earlier, submitted.model_copy(update={"job_id": job_id}))
        if progress is not None:
            progress(count, len(due), job.run.id)
    return submissions


def _open(last: Attempt, now: datetime) -> bool:
    if last.job_id is None:
        return True
    decision = last.decision
    if decision is None or decision.reaction is not Reaction.RETRY:
        return False
    return decision.not_before is None or decision.not_before <= now


def _opened(job: Due, earlier: tuple[Attempt, ...], *, errand: Errand, world: World) -> Attempt:
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
        why=_why(earlier) or errand.why,
        recorded=now,
    )
    return write_intent(world.store, intent, files=_files(job))


def _why(earlier: tuple[Attempt, ...]) -> str:
    """Return why the failure policy tries a job again; empty where it does not."""
    decision = earlier[-1].decision if earlier else None
    if decision is None or decision.reaction is not Reaction.RETRY:
        return ""
    return f"{decision.rule.value}: {decision.reason}"


def _files(job: Due) -> tuple[str, ...]:
    layout = RunLayout(job.run.id)
    if job.step is Step.TRAIN:
        return layout.train_script, layout.config
    return layout.eval_script, *(layout.cell_config(cell.name) for cell in job.run.cells)


def _request(job: Due, attempt: Attempt, *, edge: tuple[Attempt, ...], errand: Errand, world: World) -> JobRequest:
    layout = RunLayout(job.run.id)
    script = layout.train_script if job.step is Step.TRAIN else layout.eval_script
    return JobRequest(
        script=str(world.store.root / script),
        tag=attempt.intent.tag,
        name=job.run.id[:55] + ("-eval" if job.step is Step.EVAL else ""),
        chdir=str(world.store.root / layout.folder),
        after_ok=_ids(edge),
        after_tags=_tags(edge),
        comment=errand.comment,
        mail=errand.mail if _is_last(job, attempt, wanted=errand.wanted) else None,
    )


def _is_last(job: Due, attempt: Attempt, *, wanted: Wanted) -> bool:
    """Return whether a job is the last of all that is wanted, handed over for the first time: one mail is enough."""
    last_run = job.run.id == wanted.runs[-1] and job.step is steps_of(job.run)[-1]
    return last_run and attempt.intent.number == 1


def _ids(edge: tuple[Attempt, ...]) -> tuple[str, ...]:
    return tuple(each.job_id for each in edge if each.job_id is not None)


def _tags(edge: tuple[Attempt, ...]) -> tuple[str, ...]:
    return tuple(each.intent.tag for each in edge if each.job_id is not None)


def _edge(job: Due, book: Book) -> tuple[Attempt, ...] | None:
    """Return the training job that an evaluation must wait for; None where it cannot be handed over yet."""
    if job.step is Step.TRAIN or Step.TRAIN not in steps_of(job.run):
        return ()
    training = book.get((job.run.id, Step.TRAIN), ())
    if not training or training[-1].job_id is None:
        return None
    if training[-1].verdict is None:
        return (training[-1],)
    return () if training[-1].verdict is JobState.SUCCEEDED else None
