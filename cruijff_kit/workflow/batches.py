"""Batches: which due jobs one request hands over together, and which each by itself."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.ports import World
from cruijff_kit.rendering.array_script import MOST_ROWS, asked_of
from cruijff_kit.schema.job import Step, array_of
from cruijff_kit.schema.policy import Queue
from cruijff_kit.workflow.attempts import AttemptKey
from cruijff_kit.workflow.due import Book, Due, edge_of

__all__ = ["Batch", "batches_of", "mark_of"]

_Place = tuple[str, int]
"""Tag of an array, and an index in it."""


class Batch(NamedTuple):
    """Jobs that one request hands over."""

    jobs: tuple[Due, ...]
    """The jobs, by rising index."""
    array: str = ""
    """Tag of the array they are; empty for one job by itself."""
    indices: tuple[int, ...] = ()
    """Their places in the array."""


class _Sizes(NamedTuple):
    """How large arrays are."""

    least: int
    """Like jobs from which on there is one."""
    most: int
    """Elements of one; 0 where there are none."""
    refusals: int
    """Refusals in a row: an array that was refused for its size is cut in two, and again."""

    def cut(self, group: list[tuple[int, Due]]) -> Iterator[list[tuple[int, Due]]]:
        """Yield a group in pieces that an array may have."""
        size = max(1, min(self.most, len(group) >> min(self.refusals, 30)))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def batches_of(due: Sequence[Due], book: Book, *, queue: Queue, refusals: int, room: int, world: World) -> list[Batch]:
    """Return the jobs that there is room for, as many as can be in arrays, trainings before what waits for them.

    An array is of jobs that ask for the same and were never tried; an evaluation has the index of its training,
    so that the scheduler can pair the two. What an interruption left open keeps its array and index. Anything
    else goes by itself.

    Raises:
        SchedulerError: the scheduler could not be asked how large an array may be.
    """
    chosen = _with_room(due, book, room=room)
    left = [job for job in chosen if _left_open(job, book)]
    if not left and (not queue.arrays or len(chosen) < queue.arrays):
        return [Batch((job,)) for job in chosen]
    sizes = _Sizes(max(2, queue.arrays), min(world.scheduler.most_elements(), MOST_ROWS), refusals)
    fresh = [job for job in chosen if job.key not in book] if queue.arrays and sizes.most else []
    made = [*_left(left, book, sizes=sizes)]
    places: dict[AttemptKey, _Place] = {job.key: (batch.array, index) for batch in made for index, job in _pairs(batch)}
    free = [job for job in fresh if not _follows(job, book)]
    for batch in _new(free, sizes=sizes, world=world):
        made.append(batch)
        places |= {job.key: (batch.array, index) for index, job in _pairs(batch)}
    made += _following([job for job in fresh if _follows(job, book)], book, places=places, sizes=sizes, world=world)
    together = {job.key for batch in made for job in batch.jobs}
    made += [Batch((job,)) for job in chosen if job.key not in together]
    rank = {job.key: position for position, job in enumerate(chosen)}
    return sorted(made, key=lambda batch: min(rank[job.key] for job in batch.jobs))


def mark_of(comment: str, *, world: World) -> str:
    """Return what the tags of one moment have in common: a folder made again is not taken for the one before it."""
    now = world.clock.now().isoformat()
    return hashlib.sha256(f"{world.store.root} {now} {comment}".encode()).hexdigest()[:8]


def _with_room(due: Sequence[Due], book: Book, *, room: int) -> list[Due]:
    """Return the first jobs that can be handed over: an evaluation with or after its training."""
    chosen: list[Due] = []
    keys: set[AttemptKey] = set()
    for job in due:
        if len(chosen) >= room:
            break
        if edge_of(job, book) is not None or (job.run.id, Step.TRAIN) in keys:
            chosen.append(job)
            keys.add(job.key)
    return chosen


def _left_open(job: Due, book: Book) -> _Place | None:
    """Return the place that an interrupted submission gave a job."""
    last = book[job.key][-1] if job.key in book else None
    return array_of(last.intent.tag) if last is not None and last.job_id is None else None


def _left(jobs: Sequence[Due], book: Book, *, sizes: _Sizes) -> Iterator[Batch]:
    """Yield arrays of what was left open, each job in its place."""
    groups: dict[str, list[tuple[int, Due]]] = {}
    for job in jobs:
        array, index = _left_open(job, book) or ("", 0)
        groups.setdefault(array, []).append((index, job))
    for array, group in groups.items():
        for piece in sizes.cut(sorted(group, key=lambda pair: pair[0])):
            yield _batch(array, piece)


def _new(jobs: Sequence[Due], *, sizes: _Sizes, world: World) -> Iterator[Batch]:
    """Yield arrays of jobs that wait for nothing."""
    groups: dict[tuple[Step, str], list[tuple[int, Due]]] = {}
    for job in jobs:
        groups.setdefault((job.step, _asked(job, world)), []).append((0, job))
    for group in groups.values():
        for piece in sizes.cut(group):
            if len(piece) >= sizes.least:
                yield _batch(_tag(piece, world), [(index, job) for index, (_, job) in enumerate(piece)])


def _following(
    jobs: Sequence[Due], book: Book, *, places: dict[AttemptKey, _Place], sizes: _Sizes, world: World
) -> Iterator[Batch]:
    """Yield arrays of evaluations, each in the place that its training has in another array."""
    groups: dict[tuple[str, str], list[tuple[int, Due]]] = {}
    for job in jobs:
        training = (job.run.id, Step.TRAIN)
        place = places.get(training) or (array_of(book[training][-1].intent.tag) if training in book else None)
        if place is not None:
            groups.setdefault((place[0], _asked(job, world)), []).append((place[1], job))
    for group in groups.values():
        for piece in sizes.cut(sorted(group, key=lambda pair: pair[0])):
            if len(piece) >= sizes.least:
                yield _batch(_tag(piece, world), piece)


def _follows(job: Due, book: Book) -> bool:
    """Return whether a job waits for a training that has not succeeded yet."""
    return edge_of(job, book) != ()


def _batch(array: str, piece: Sequence[tuple[int, Due]]) -> Batch:
    return Batch(tuple(job for _, job in piece), array, tuple(index for index, _ in piece))


def _pairs(batch: Batch) -> Iterator[tuple[int, Due]]:
    return zip(batch.indices, batch.jobs, strict=True)


def _asked(job: Due, world: World) -> str:
    return asked_of(world.store.read_text(job.script) or "")


def _tag(piece: Sequence[tuple[int, Due]], world: World) -> str:
    names = " ".join(job.run.id for _, job in piece)
    digest = hashlib.sha256(names.encode()).hexdigest()[:8]
    return f"ck-{mark_of(names, world=world)}-{digest}-{piece[0][1].step.value}"
