"""The queue of the embedded scheduler: jobs in order, each change one transaction."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.adapters.queue_file import QueueFile
from cruijff_kit.adapters.sbatch_lines import Directives, Notice
from cruijff_kit.errors import DependencyError

__all__ = ["Ending", "Facts", "Job", "Limits", "LocalQueue", "NewJob", "Standing"]

_PARENT = "SELECT 1 FROM edge JOIN job AS parent ON parent.id = edge.needs WHERE edge.job = job.id AND parent.state"
_WAITS = f"EXISTS ({_PARENT} IN ('pending', 'running'))"
_DOOMED = f"EXISTS ({_PARENT} NOT IN ('pending', 'running', 'succeeded'))"
_READY = f"NOT EXISTS ({_PARENT} <> 'succeeded')"
_PENDING = "pending"
_DOOM = (
    "UPDATE job SET state = 'cancelled', reason = 'DependencyNeverSatisfied', ended = ?,"  # noqa: S608 only constants are put together
    f" script = NULL, environment = NULL WHERE state = 'pending' AND {_DOOMED}"
)
# A job that asked for another turn waits as it did at first, unless somebody cancelled it meanwhile.
_AGAIN = (
    "UPDATE job SET state = 'pending', reason = '', started = NULL, gpus = '[]', boot = NULL, stop = NULL,"
    " stopping = NULL, noticed = NULL, restarts = restarts + 1"
    " WHERE id = ? AND state = 'running' AND stop IS NOT 'cancel'"
)
_JOB = "id, name, chdir, directives, started, gpus, boot, stop, stopping, noticed, restarts"


class Limits(NamedTuple):
    """What may run at once, and how patient the runner is."""

    slots: int = 2
    """Jobs that run at once."""
    gpus: tuple[str, ...] = ()
    """Identifiers of the GPUs that jobs are given."""
    grace: float = 10.0
    """Seconds between asking a job to stop and killing it."""
    linger: float = 3.0
    """Seconds that an idle runner stays."""


class NewJob(NamedTuple):
    """Everything that is queued with a job, in one transaction."""

    tag: str
    """Idempotency key."""
    name: str
    """Job name."""
    comment: str
    """Shown with the job."""
    chdir: str
    """Directory it starts in."""
    directives: Directives
    """What its script asks for."""
    script: bytes
    """Copy of the script."""
    environment: dict[str, str]
    """Its environment."""
    after_ok: tuple[int, ...]
    """Jobs that must succeed first."""


class Job(NamedTuple):
    """A running job, as far as the runner needs it."""

    id: int
    """Its number."""
    name: str
    """Its name."""
    chdir: str
    """Directory it starts in."""
    directives: Directives
    """What its script asks for."""
    started: float
    """When the start was recorded, before anything was started."""
    gpus: tuple[str, ...]
    """GPUs it holds."""
    boot: str
    """The start of the machine in which it runs."""
    stop: str | None
    """Why it shall end: `cancel` or `time`."""
    stopping: float | None
    """When it was asked to end."""
    noticed: float | None
    """When it was sent the signal before its time limit."""
    restarts: int
    """How often it was queued again."""


class Ending(NamedTuple):
    """How a job ended, as its report will tell it ever after; `pending` where it is queued again."""

    id: int
    """Its number."""
    state: str
    """End state, a value of `JobState`."""
    ended: float
    """When."""
    reason: str = ""
    """Why, in words."""
    code: int | None = None
    """Exit code where it ended by itself."""
    signal: int | None = None
    """Signal where it was killed."""


class Facts(NamedTuple):
    """What is told about a job to whoever asks for a report."""

    id: int
    """Its number."""
    state: str
    """A value of `JobState`."""
    reason: str
    """Why it waits or ended."""
    code: int | None
    """Exit code."""
    signal: int | None
    """Signal number."""
    submitted: float
    """When it was queued."""
    started: float | None
    """When it started."""
    ended: float | None
    """When it ended."""


class Standing(NamedTuple):
    """What the runner sees at one look, in one transaction."""

    running: tuple[Job, ...]
    """Jobs whose start is recorded."""
    pending: bool
    """Whether any job waits."""
    ready: bool
    """Whether one that waits may start."""
    limits: Limits
    """What may run at once."""


class LocalQueue:
    """Jobs in order of submission; safe between processes, opened anew for each call."""

    def __init__(self, root: Path) -> None:
        """Name the queue's directory; nothing is made before the first job."""
        self._file = QueueFile(root / "queue.db")

    def add(self, new: NewJob) -> int:
        """Queue a job and return its number; a tag already queued returns its own.

        Raises:
            DependencyError: it waits for a job that this queue does not know.
        """
        return self.add_all((new,))[0]

    def add_all(self, jobs: Sequence[NewJob]) -> list[int]:
        """Queue several jobs, or none of them, and return their numbers.

        Raises:
            SchedulerError: one of them waits for a job that this queue does not know.
        """
        self._file.create()
        with self._file.writing() as db:
            return [_added(db, new) for new in jobs]

    def find(self, tags: Sequence[str]) -> dict[str, int]:
        """Return the numbers of the tags that are queued or were."""
        wanted = (json.dumps(list(tags)),)
        with self._file.reading() as db:
            return dict(db.execute("SELECT tag, id FROM job WHERE tag IN (SELECT value FROM json_each(?))", wanted))

    def facts(self, job_ids: Sequence[int]) -> list[Facts]:
        """Return what is known of the jobs that exist, one query."""
        query = (
            "SELECT id, state, CASE state WHEN 'pending' THEN"  # noqa: S608 only constants are put together
            f" iif({_WAITS}, 'Dependency', 'Resources') ELSE reason END,"
            " code, signal, submitted, started, ended FROM job WHERE id IN (SELECT value FROM json_each(?))"
        )
        with self._file.reading() as db:
            return [Facts(*row) for row in db.execute(query, (json.dumps(list(job_ids)),))]

    def set_limits(self, limits: Limits) -> None:
        """Keep what may run at once, where it differs from what is kept."""
        self._file.create()
        with self._file.reading() as db:
            if _limits(db) == limits:
                return
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO setting VALUES ('limits', ?)", (json.dumps(limits),))

    def cancel(self, job_ids: Sequence[int]) -> None:
        """End jobs that wait, and mark running ones for the runner to stop."""
        if not self._file.path.exists():
            return
        chosen = json.dumps(list(job_ids))
        with self._file.writing() as db:
            db.execute(
                "UPDATE job SET state = 'cancelled', reason = 'cancelled before it started', ended = ?,"
                " script = NULL, environment = NULL"
                " WHERE state = 'pending' AND id IN (SELECT value FROM json_each(?))",
                (time.time(), chosen),
            )
            db.execute(
                "UPDATE job SET stop = 'cancel' WHERE state = 'running' AND stop IS NULL"
                " AND id IN (SELECT value FROM json_each(?))",
                (chosen,),
            )
            _cancel_doomed(db)

    def unfinished(self) -> bool:
        """Return whether any job waits or runs, as far as is recorded."""
        with self._file.reading() as db:
            return db.execute("SELECT 1 FROM job WHERE state IN ('pending', 'running') LIMIT 1").fetchone() is not None

    # --- for the runner alone ---

    def upgrade(self) -> None:
        """Bring the file of an earlier program to this one's form."""
        with self._file.writing():
            pass

    def standing(self) -> Standing:
        """Return what runs, whether jobs wait, and the limits."""
        with self._file.reading() as db:
            rows = db.execute(f"SELECT {_JOB} FROM job WHERE state = 'running' ORDER BY id").fetchall()  # noqa: S608 only constants are put together
            pending = db.execute("SELECT 1 FROM job WHERE state = 'pending' LIMIT 1").fetchone() is not None
            return Standing(tuple(map(_job, rows)), pending, bool(_next_ready(db)), _limits(db))

    def advance(self, endings: Sequence[Ending], *, boot: str) -> list[Job]:
        """Record endings and return the jobs that may start, their start recorded.

        First come, first served among those whose dependencies have succeeded;
        one that waits for GPUs holds back those behind it, so none starves.
        """
        with self._file.writing() as db:
            db.executemany(_AGAIN, [(ending.id,) for ending in endings if ending.state == _PENDING])
            # Whoever asked for another turn and runs still was cancelled before.
            endings = [_cancelled(ending) if ending.state == _PENDING else ending for ending in endings]
            db.executemany(
                "UPDATE job SET state = :state, reason = :reason, code = :code, signal = :signal, ended = :ended,"
                " script = NULL, environment = NULL WHERE id = :id AND state = 'running'",
                [ending._asdict() for ending in endings],
            )
            if any(ending.state != "succeeded" for ending in endings):
                _cancel_doomed(db)
            started = [job._replace(started=time.time(), boot=boot) for job in _next_ready(db)]
            change = "UPDATE job SET state = 'running', started = ?, gpus = ?, boot = ? WHERE id = ?"
            db.executemany(change, [(job.started, json.dumps(job.gpus), boot, job.id) for job in started])
            return started

    def started_with(self, job_id: int) -> tuple[bytes, dict[str, str]]:
        """Return the script and the environment of a job."""
        with self._file.reading() as db:
            script, environment = db.execute("SELECT script, environment FROM job WHERE id = ?", (job_id,)).fetchone()
        return script, json.loads(environment)

    def note_stop(self, job_id: int, why: str) -> None:
        """Record, before it is asked, that a job is asked to end."""
        with self._file.writing() as db:
            change = "UPDATE job SET stop = coalesce(stop, ?), stopping = ? WHERE id = ?"
            db.execute(change, (why, time.time(), job_id))

    def note_notice(self, job_id: int) -> None:
        """Record that a job is sent the signal before its time limit."""
        with self._file.writing() as db:
            db.execute("UPDATE job SET noticed = ? WHERE id = ?", (time.time(), job_id))


def _cancelled(ending: Ending) -> Ending:
    """Return the ending of a job that asked for another turn and may have none."""
    return ending._replace(state="cancelled", reason="cancelled")


def _added(db: sqlite3.Connection, new: NewJob) -> int:
    held = db.execute("SELECT id FROM job WHERE tag = ?", (new.tag,)).fetchone()
    if held:
        return held[0]
    _require_known(db, new)
    row = {**new._asdict(), "directives": json.dumps(new.directives), "submitted": time.time()}
    row["environment"] = json.dumps(new.environment)
    job_id = db.execute(
        "INSERT INTO job (tag, name, comment, chdir, directives, script, environment, submitted)"
        " VALUES (:tag, :name, :comment, :chdir, :directives, :script, :environment, :submitted)",
        row,
    ).lastrowid
    assert job_id is not None  # noqa: S101 SQLite numbers every row it inserts
    db.executemany("INSERT INTO edge VALUES (?, ?)", [(job_id, parent) for parent in set(new.after_ok)])
    db.execute(f"{_DOOM} AND id = ?", (time.time(), job_id))
    return job_id


def _require_known(db: sqlite3.Connection, new: NewJob) -> None:
    known = db.execute("SELECT id FROM job WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(new.after_ok),))
    unknown = sorted(set(new.after_ok) - {row[0] for row in known})
    if unknown:
        fact = f"job `{new.name}` waits for job `{unknown[0]}`, which this queue does not know"
        raise DependencyError(fact, hint="submit the job it waits for first")


def _cancel_doomed(db: sqlite3.Connection) -> None:
    """Cancel whatever waits for a job that did not succeed, and what waits for that."""
    while db.execute(_DOOM, (time.time(),)).rowcount:
        continue


def _next_ready(db: sqlite3.Connection) -> list[Job]:
    """Return the jobs that may start now, with the GPUs each would hold."""
    limits = _limits(db)
    held = [json.loads(row[0]) for row in db.execute("SELECT gpus FROM job WHERE state = 'running'")]
    free = [gpu for gpu in limits.gpus if all(gpu not in gpus for gpus in held)]
    slots = limits.slots - len(held)
    ready: list[Job] = []
    query = f"SELECT {_JOB} FROM job WHERE state = 'pending' AND {_READY} ORDER BY id"  # noqa: S608 only constants are put together
    for job in map(_job, db.execute(query)) if slots > 0 else ():
        wanted = job.directives.gpus
        if wanted > len(limits.gpus):
            continue
        if len(ready) == slots or wanted > len(free):
            break
        ready.append(job._replace(gpus=tuple(free[:wanted])))
        free = free[wanted:]
    return ready


def _limits(db: sqlite3.Connection) -> Limits:
    row = db.execute("SELECT value FROM setting WHERE name = 'limits'").fetchone()
    if row is None:
        return Limits()
    slots, gpus, grace, linger = json.loads(row[0])
    return Limits(slots, tuple(gpus), grace, linger)


def _job(row: Iterable[Any]) -> Job:
    job = Job(*row)
    wishes = Directives(*json.loads(str(job.directives)))
    notice = Notice(*wishes.notice) if wishes.notice else None
    return job._replace(directives=wishes._replace(notice=notice), gpus=tuple(json.loads(str(job.gpus))))
