"""Hand over: give due jobs to the scheduler, as many as may be there, each exactly once."""

from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.array_script import ArrayRow, ArrayScript, job_of, parse_array, render_array
from cruijff_kit.schema.job import ArrayElement, ArrayRequest, Attempt, Intent, JobRequest, Step, element_tag
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.noun import Sha256
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.policy import Decision, Queue, Reaction, Wanted
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.submission import Submission
from cruijff_kit.workflow.attempts import steps_of, write_intents
from cruijff_kit.workflow.batches import Batch, batches_of, mark_of
from cruijff_kit.workflow.due import Book, Due, edge_of, ids_of, left_open, tags_of
from cruijff_kit.workflow.reconcile import record_submissions
from cruijff_kit.workflow.wanted import accepted, refused

__all__ = ["Errand", "errand_of", "hand_over"]


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
    sealed: Mapping[str, Sha256]
    """Every sealed file and its hash: what was approved."""
    experiment: str
    """Name of the experiment."""
    mail: str | None = None
    """Where the scheduler tells of the last of them."""
    by_hand: bool = False
    """Whether a person wants these jobs tried again: what the failure policy decided before counts no more."""


def errand_of(plan: Plan, lock: DesignLock, *, wanted: Wanted, why: str, site: Site, world: World) -> Errand:
    """Return the errand of one submission, the audit log's head in its comment."""
    head = world.audit.head()
    anchor = f"audit {head.seq} {head.sha256}" if head is not None else "audit empty"
    mail = site.mail if plan.resources.notify else None
    comment = f"plan {lock.plan_id} {anchor}"
    return Errand(why, comment, wanted, site.queue, lock.files, plan.experiment, mail)


def hand_over(
    due: Sequence[Due], book: Book, *, errand: Errand, room: int, progress: Progress | None = None, world: World
) -> list[Submission]:
    """Submit jobs in order while there is room, training before the evaluation that waits for it.

    Many that ask for the same are one array. A refusal that may pass ends the round: the
    record says when to try again. An evaluation whose training was lost or ended badly
    meanwhile stays open, and holds nobody up.

    Raises:
        SchedulerError: the scheduler refused a job for good; those before it stay.
    """
    if due:
        world.scheduler.revive()
    submissions: list[Submission] = []
    try:
        for planned in _batches(due, book, errand=errand, room=room, world=world):
            batch = _ready(planned, book)
            if not batch.jobs:
                continue
            if submissions and errand.queue.stagger:
                world.clock.sleep(errand.queue.stagger)
            attempts = _opened(batch, book, errand=errand, world=world)
            # Whoever asks again after an error must ask under the same tags.
            _enter(attempts, book)
            taken = _submit(batch, attempts, book=book, errand=errand, world=world)
            errand = errand._replace(wanted=accepted(errand.wanted, world=world)) if taken else errand
            submissions += record_submissions(taken, adopted=False, world=world) if taken else []
            _enter([attempt.model_copy(update={"job_id": job_id}) for attempt, job_id in taken], book)
            if progress is not None:
                progress(len(submissions), len(due), batch.jobs[-1].run.id)
    except SchedulerError as err:
        if not err.transient:
            raise
        refused(err, errand.wanted, queue=errand.queue, world=world)
    return submissions


def _batches(due: Sequence[Due], book: Book, *, errand: Errand, room: int, world: World) -> list[Batch]:
    return batches_of(due, book, queue=errand.queue, refusals=errand.wanted.refusals, room=room, world=world)


def _enter(attempts: Sequence[Attempt], book: Book) -> None:
    """Put submissions into the book, each in the place of the intent that was there."""
    for attempt in attempts:
        key = attempt.intent.run_id, attempt.intent.step
        earlier = [each for each in book.get(key, ()) if each.intent.number < attempt.intent.number]
        book[key] = (*earlier, attempt)


def _ready(batch: Batch, book: Book) -> Batch:
    """Return a batch without jobs that wait for one nobody has handed over."""
    known = [edge_of(job, book) is not None for job in batch.jobs]
    if all(known):
        return batch
    jobs, indices = (tuple(compress(each, known)) for each in (batch.jobs, batch.indices))
    return batch._replace(jobs=jobs, indices=indices)


def _opened(batch: Batch, book: Book, *, errand: Errand, world: World) -> list[Attempt]:
    """Return the attempts to submit, with what each waits for: those left open, and new ones, now on disk."""
    mark = mark_of(errand.comment, world=world)
    open_ones = [left_open(job, book) for job in batch.jobs]
    tags = [element_tag(batch.array, index) for index in batch.indices] or [_tag(batch.jobs[0], book, mark=mark)]
    intents = [
        left or _intent(job, book, tag=tag, errand=errand, world=world)
        for job, tag, left in zip(batch.jobs, tags, open_ones, strict=True)
    ]
    files = {intent: job.files for intent, job in zip(intents, batch.jobs, strict=True)}
    if batch.array:
        script = ExperimentLayout.array_script(batch.array)
        write_intents(world.store, files, last={script: _array_script(batch, intents, errand=errand, world=world)})
    elif not open_ones[0]:
        write_intents(world.store, files)
    edges = [edge_of(job, book) or () for job in batch.jobs]
    return [
        Attempt(intent=intent, after_ok=ids_of(edge), after_tags=tags_of(edge))
        for intent, edge in zip(intents, edges, strict=True)
    ]


def _tag(job: Due, book: Book, *, mark: str) -> str:
    return f"ck-{mark}-{job.run.id[-8:]}-{job.step.value}-{len(book.get(job.key, ())) + 1}"


def _intent(job: Due, book: Book, *, tag: str, errand: Errand, world: World) -> Intent:
    earlier = book.get(job.key, ())
    again = None if errand.by_hand else _again(earlier)
    return Intent(
        run_id=job.run.id,
        step=job.step,
        number=len(earlier) + 1,
        tag=tag,
        why=f"{again.rule.value}: {again.reason}" if again else errand.why,
        time=again.time if again else None,
        recorded=world.clock.now(),
    )


def _again(earlier: tuple[Attempt, ...]) -> Decision | None:
    """Return by which decision of the failure policy a job is tried again; None where by none."""
    decision = earlier[-1].decision if earlier else None
    return decision if decision is not None and decision.reaction is Reaction.RETRY else None


def _array_script(batch: Batch, intents: Sequence[Intent], *, errand: Errand, world: World) -> str:
    """Return the script of an array: which of its jobs runs what, and the hash that was approved."""
    before = world.store.read_text(ExperimentLayout.array_script(batch.array))
    # One that is submitted in pieces tells of all of them in the end.
    rows = {row.place: row for row in parse_array(before).rows} if before else {}
    for job, index, intent in zip(batch.jobs, batch.indices, intents, strict=True):
        layout = RunLayout(intent.run_id)
        copy = layout.submitted_script(intent.step, intent.number).removeprefix(f"{layout.folder}/")
        rows[index] = ArrayRow(index, layout.folder, copy, errand.sealed[job.script])
    text = world.store.read_text(batch.jobs[0].script) or ""
    folder = str(world.store.root / ExperimentLayout.array(batch.array))
    job = job_of(text, name=_array_name(batch, errand), folder=folder)
    return render_array(ArrayScript(job, str(world.store.root), tuple(rows[index] for index in sorted(rows))))


def _array_name(batch: Batch, errand: Errand) -> str:
    return f"{errand.experiment[:58]}-{batch.jobs[0].step.value}"


def _submit(
    batch: Batch, attempts: Sequence[Attempt], *, book: Book, errand: Errand, world: World
) -> list[tuple[Attempt, str]]:
    """Queue a batch and return each attempt with its job id; none where a training that is waited for was lost."""
    try:
        return _queue(batch, attempts, book=book, errand=errand, world=world)
    except DependencyError:
        # What became of the training a later look tells; then the evaluation goes on, or follows it.
        return []


def _queue(
    batch: Batch, attempts: Sequence[Attempt], *, book: Book, errand: Errand, world: World
) -> list[tuple[Attempt, str]]:
    waits = [{"after_ok": each.after_ok, "after_tags": each.after_tags} for each in attempts]
    mail = errand.mail if _has_last(batch, attempts, wanted=errand.wanted) else None
    shared = {"comment": errand.comment, "mail": mail}
    if not batch.array:
        request = _job(batch.jobs[0], root=world.store.root) | waits[0] | shared
        request |= {"tag": attempts[0].intent.tag, "time": attempts[0].intent.time}
        return [(attempts[0], world.scheduler.submit(JobRequest.model_validate(request)))]
    elements = [
        ArrayElement.model_validate({"index": index, **edge}) for index, edge in zip(batch.indices, waits, strict=True)
    ]
    request = {
        "script": str(world.store.root / ExperimentLayout.array_script(batch.array)),
        "tag": batch.array,
        "name": _array_name(batch, errand),
        "chdir": str(world.store.root / ExperimentLayout.array(batch.array)),
        "elements": elements,
    }
    ids = world.scheduler.submit_array(ArrayRequest.model_validate(request | shared))
    return [(attempt, ids[attempt.intent.tag]) for attempt in attempts]


def _job(job: Due, *, root: Path) -> dict[str, Any]:
    """Return what a request of one job says of its run."""
    return {
        "script": str(root / job.script),
        "name": job.run.id[:55] + ("-eval" if job.step is Step.EVAL else ""),
        "chdir": str(root / RunLayout(job.run.id).folder),
    }


def _has_last(batch: Batch, attempts: Sequence[Attempt], *, wanted: Wanted) -> bool:
    """Return whether the last job of all that is wanted is here, for the first time: one mail is enough."""
    return any(
        job.run.id == wanted.runs[-1] and job.step is steps_of(job.run)[-1] and attempt.intent.number == 1
        for job, attempt in zip(batch.jobs, attempts, strict=True)
    )
