"""Due: which jobs are to be handed over by now, what they wait for, and how many there is room for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from cruijff_kit.schema.job import Attempt, Intent, JobReport, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.policy import Queue, Reaction
from cruijff_kit.schema.run import ExperimentStatus
from cruijff_kit.workflow.attempts import AttemptKey, steps_of

__all__ = [
    "Book",
    "Due",
    "book_of",
    "due_jobs",
    "edge_of",
    "ids_of",
    "known_edges",
    "left_open",
    "reports_of",
    "room_in",
    "tags_of",
]

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

    @property
    def script(self) -> str:
        """Return the job's script, as it was sealed."""
        layout = RunLayout(self.run.id)
        return layout.train_script if self.step is Step.TRAIN else layout.eval_script

    @property
    def files(self) -> tuple[str, ...]:
        """Return the script and the configurations that the job reads."""
        layout = RunLayout(self.run.id)
        if self.step is Step.TRAIN:
            return self.script, layout.config
        return self.script, *(layout.cell_config(cell.name) for cell in self.run.cells)


def book_of(status: ExperimentStatus) -> Book:
    """Return the submissions that a status tells of."""
    return {(entry.run_id, entry.step): entry.attempts for entry in status.steps if entry.attempts}


def reports_of(status: ExperimentStatus) -> dict[str, JobReport]:
    """Return what the scheduler said by then, by job id."""
    return {entry.report.job_id: entry.report for entry in status.steps if entry.report is not None}


def due_jobs(runs: Sequence[PlannedRun], book: Book, *, now: datetime) -> list[Due]:
    """Return the jobs never handed over, those an interruption left open, and those to be tried again by now."""
    jobs = (Due(run, step) for run in runs for step in steps_of(run))
    return [job for job in jobs if job.key not in book or _open(book[job.key][-1], now)]


def known_edges(due: Sequence[Due], book: Book, *, reports: Mapping[str, JobReport]) -> list[Due]:
    """Return those jobs without evaluations of a training that ended badly, or that the scheduler may have lost.

    It refuses a whole array for one such edge; what becomes of that training the next look tells.
    """
    bad = {job_id for job_id, report in reports.items() if _in_vain(report.state)}
    again = {job.run.id for job in due if job.step is Step.TRAIN}
    return [job for job in due if job.run.id in again or bad.isdisjoint(ids_of(edge_of(job, book) or ()))]


def room_in(book: Book, reports: Mapping[str, JobReport], *, queue: Queue) -> int:
    """Return how many jobs of this experiment the scheduler may still be given; one it says nothing of counts."""
    open_ones = (each[-1].job_id for each in book.values() if each[-1].verdict is None)
    alive = [job_id for job_id in open_ones if job_id and not (job_id in reports and reports[job_id].state.ended)]
    return queue.max_queued - len(alive)


def edge_of(job: Due, book: Book) -> tuple[Attempt, ...] | None:
    """Return the training job that an evaluation must wait for; None where it cannot be handed over yet."""
    if job.step is Step.TRAIN or Step.TRAIN not in steps_of(job.run):
        return ()
    training = book.get((job.run.id, Step.TRAIN), ())
    if not training or training[-1].job_id is None:
        return None
    if training[-1].verdict is None:
        return (training[-1],)
    return () if training[-1].verdict is JobState.SUCCEEDED else None


def ids_of(edge: tuple[Attempt, ...]) -> tuple[str, ...]:
    """Return the job ids of an edge."""
    return tuple(each.job_id for each in edge if each.job_id is not None)


def left_open(job: Due, book: Book) -> Intent | None:
    """Return the intent that an interrupted submission left."""
    earlier = book.get(job.key, ())
    return earlier[-1].intent if earlier and earlier[-1].job_id is None else None


def tags_of(edge: tuple[Attempt, ...]) -> tuple[str, ...]:
    """Return the tags of an edge, in the order of `ids_of`."""
    return tuple(each.intent.tag for each in edge if each.job_id is not None)


def _in_vain(state: JobState) -> bool:
    """Return whether nothing should be made to wait for a job in this state."""
    return state is JobState.UNKNOWN or (state.ended and state is not JobState.SUCCEEDED)


def _open(last: Attempt, now: datetime) -> bool:
    if last.job_id is None:
        return True
    decision = last.decision
    if decision is None or decision.reaction is not Reaction.RETRY:
        return False
    return decision.not_before is None or decision.not_before <= now
