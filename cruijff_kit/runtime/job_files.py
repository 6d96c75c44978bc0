"""What a job writes of itself: metrics, status, provenance and the last marker."""

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Literal, Self, TypeVar

from cruijff_kit.errors import CruijffError, ResultError
from cruijff_kit.runtime.files import FencedError, file_sha256, write_aside
from cruijff_kit.runtime.requeue import own_job_id
from cruijff_kit.schema.noun import OTHER_VERSION
from cruijff_kit.schema.run import Done, JobStatus, Manifest, MetricPoint

__all__ = [
    "MetricsFile",
    "StatusFile",
    "Stopped",
    "artefact_hashes",
    "exit_code_of",
    "finished",
    "job_ids",
    "left_in",
    "now",
    "raise_if_stopped",
    "stop_on_signals",
]

_Left = TypeVar("_Left", Done, Manifest)


def now() -> datetime:
    """Return the current moment in UTC."""
    return datetime.now(UTC)


def job_ids() -> tuple[str, ...]:
    """Return the scheduler's id of this job; empty outside a scheduler."""
    job_id = own_job_id()
    return (job_id,) if job_id else ()


class MetricsFile:
    """`metrics.jsonl`: one point a line, readable by others as soon as it is written.

    As a context manager it is flushed to disk at the end. Of several processes one writes
    it; the others have no path.
    """

    def __init__(self, path: Path | None, *, after: int = 0) -> None:
        """Open the file, keeping the points up to a step that a training resumes after."""
        self._file: IO[str] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, _points_until(path, after))
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def write(self, point: MetricPoint) -> None:
        """Append one point as one line."""
        if self._file is not None:
            self._file.write(point.model_dump_json(exclude_defaults=True) + "\n")

    def sync(self) -> None:
        """Flush to disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush to disk and close."""
        self.sync()
        if self._file is not None:
            self._file.close()


def _points_until(path: Path, step: int) -> bytes:
    """Return the whole lines of a metrics file whose step was done before a checkpoint."""
    if not step or not path.is_file():
        return b""
    lines = path.read_bytes().split(b"\n")[:-1]
    return b"".join(line + b"\n" for line in lines if _step_of(line) <= step)


def _step_of(line: bytes) -> float:
    """Return the step of a line; what a power cut left of one comes after every step."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")


class StatusFile:
    """`status.json`: what the job is doing, and why it failed where it did.

    As a context manager it records the exception that ends the job, and lets it pass.
    What changes is told on stderr too, so that a job's log can be read by itself. Of
    several processes one writes and tells; the others have no path.
    """

    def __init__(self, path: Path | None, *, token: int = 0, every: float = 1.0) -> None:
        self._path = path
        self._every = every
        self._written = -every
        started, self._before = now(), _turn_before(path)
        self.status = JobStatus(
            state="starting",
            job_id="".join(job_ids()),
            host=socket.gethostname(),
            pid=os.getpid(),
            token=token,
            started=started,
            updated=started,
            **_carried(self._before),
        )
        self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, FencedError):
            # The file speaks for the process that holds the run now.
            return
        if isinstance(error, Stopped) and error.again:
            self.enter("noticed", f"checkpoint made at step {self.status.step}; asks to be queued again")
        elif isinstance(error, Stopped):
            # Not a failure of its own: whoever stopped it may have queued it again.
            self.enter("stopped", str(error))
        elif error is not None:
            self.enter("failed", str(error).partition("\n\nhint: ")[0] or type(error).__name__)

    def enter(
        self, state: Literal["starting", "running", "done", "failed", "stopped", "noticed"], message: str = ""
    ) -> None:
        """Write a new state at once."""
        self.status = self.status.model_copy(update={"state": state, "message": message})
        self._write()
        self._tell(f"{state}: {message}" if message else state)

    def advance(self, step: int, total: int, *, epoch: int | None = None) -> None:
        """Note progress; written at most once a second, and at the end."""
        tenth, before = 10 * step // max(total, 1), 10 * self.status.step // max(total, 1)
        self.status = self.status.model_copy(update={"step": step, "total": total, "epoch": epoch})
        if tenth > before:
            self._tell(f"{step}/{total}" if epoch is None else f"step {step}/{total}, epoch {epoch}")
        if step == total or time.monotonic() - self._written >= self._every:
            self._write()

    def begin(self, step: int) -> None:
        """Note that everything is loaded and steps are taken from here on; those up to the given one were done."""
        known = {"saved": step, "step": step, "first": step, "first_at": now()}
        self.status = self.status.model_copy(update=known)
        self.enter("running", f"training from step {step}" if step else "training")

    def keep(self, step: int) -> None:
        """Note that a checkpoint of this step can be resumed from; written at once."""
        self.status = self.status.model_copy(update={"saved": step})
        self._write()

    def _tell(self, text: str) -> None:
        if self._path is not None:
            sys.stderr.write(f"[{now():%Y-%m-%d %H:%M:%S}] {text}\n")

    def _write(self) -> None:
        if self._path is None:
            return
        self.status = self.status.model_copy(update={"updated": now(), **_taken(self._before)})
        write_aside(self._path, self.status.model_dump_json(indent=2) + "\n")
        self._written = time.monotonic()


def _turn_before(path: Path | None) -> JobStatus | None:
    """Return what the turn before this one left; None where this is the job's first."""
    try:
        before = JobStatus.found_in(path.read_bytes()) if path is not None else None
    except OSError:
        return None
    return before if before is not None and before.job_id and (before.job_id,) == job_ids() else None


def _carried(before: JobStatus | None) -> dict[str, Any]:
    """Return which turn follows, and how long those before it ran."""
    if before is None:
        return {}
    ran = max(0.0, (before.updated - before.started).total_seconds())
    return {"turn": before.turn + 1, "earlier_seconds": round(before.earlier_seconds + ran, 3)}


def _taken(before: JobStatus | None) -> dict[str, float | int]:
    """Return the CPU time and the most memory of this process, those it has ended, and the turns before."""
    cpu, memory = (before.cpu_seconds or 0.0, before.max_memory_bytes or 0) if before is not None else (0.0, 0)
    found = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_seconds": round(cpu + sum(each.ru_utime + each.ru_stime for each in found), 2),
        "max_memory_bytes": max(memory, *(each.ru_maxrss * unit for each in found)),
    }


class Stopped(BaseException):
    """A signal asked this job to end; no code may take it for a failure of its own."""

    def __init__(self, number: int, *, again: bool = False) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number
        self.again = again


def exit_code_of(work: Callable[[], object]) -> int:
    """Do a job's work and return its exit code; what went wrong is told on stderr."""
    try:
        work()
    except CruijffError as err:
        sys.stderr.write(f"{err}\n")
        return err.exit_code
    except Stopped as stop:
        sys.stderr.write(f"{stop}\n")
        return stop.exit_code
    return 0


def stop_on_signals() -> None:
    """Turn SIGTERM and SIGINT into `Stopped`, so that files are closed on the way out."""

    def stop(number: int, frame: FrameType | None) -> None:
        # A second signal must not break off the first one's last words.
        signal.signal(number, signal.SIG_IGN)
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def raise_if_stopped() -> None:
    """Raise the `Stopped` that a library caught on its way, after `stop_on_signals`.

    Raises:
        Stopped: a signal came, whatever became of the exception it raised.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the handler above, once it has been called, ignores these.
        if signal.getsignal(number) is signal.SIG_IGN:
            raise Stopped(number)


def artefact_hashes(paths: Iterable[Path], *, experiment: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path relative to the experiment where inside."""
    return {
        path.relative_to(experiment).as_posix() if path.is_relative_to(experiment) else str(path): file_sha256(path)
        for path in paths
    }


def left_in(path: Path, kind: type[_Left]) -> _Left | None:
    """Return what an earlier job left; None where there is nothing, or it is torn, which is told.

    Raises:
        ResultError: another version wrote it, whose work must not be undone; or it cannot be opened.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        hint = "mend its permissions or the disk, then try again"
        raise ResultError(f"`{path}` cannot be opened: {err.strerror}", hint=hint) from err
    found = kind.found_in(content)
    if found is None:
        why = kind.unread(content)
        if why == OTHER_VERSION:
            hint = "use the version that ran the job; to do its work again, move that file away"
            raise ResultError(f"`{path}` cannot be read: {why}", hint=hint)
        sys.stderr.write(f"`{path}` cannot be read: {why}; it counts for nothing\n")
    return found


def finished(marker: Path, *, experiment: Path) -> Done | None:
    """Return a `DONE` that says success and whose every artefact still has its hash; None for any other.

    Raises:
        ResultError: another version wrote it, or it cannot be opened.
    """
    done = left_in(marker, Done)
    whole = done is not None and done.exit_code == 0 and not any(done.strays(lambda name: _digest(experiment / name)))
    return done if whole else None


def _digest(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None
