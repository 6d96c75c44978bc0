"""One job on this machine: its folder, its processes, and what they left behind.

A lock file tells whether any of it lives: the runner takes the lock, the job's
processes inherit it, and the system drops it with the last of them. So a number of
a process that was reused, or a reboot, is never taken for a job.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

from cruijff_kit.adapters.local_queue import Job
from cruijff_kit.adapters.sbatch_lines import file_name
from cruijff_kit.runtime.requeue import REQUEUE_FILE

__all__ = ["APPLE", "JobFolder"]

APPLE = "apple"
"""The GPU of Apple silicon among those that the queue gives out: one job has it at a time."""

# The claim is made with O_EXCL before the script runs, so no second start can run it again. Traps that do nothing keep
# the shell alive to write the exit code, and leave the script its default signals. The bell is opened for both ends: to
# ring then never waits for a runner. What the script left in its process group goes last, and this shell with it.
_WRAPPER = """
trap : TERM HUP INT QUIT USR1 USR2
set -C
{ echo $$ > "$1/claim"; } 2>/dev/null || exit 0
"$1/script"
code=$?
echo $code > "$1/exit.new" && { command -p sync "$1/exit.new"; command -p mv "$1/exit.new" "$1/exit"; }
[ -p "$2" ] && echo 1<> "$2"
kill -KILL 0
"""


class JobFolder:
    """The folder of one job that runs; made at its start, cleared after its end."""

    def __init__(self, jobs: Path, job: Job) -> None:
        """Name the folder of a job among those of all jobs."""
        self.job = job
        self.path = jobs / str(job.id)
        self._bell = jobs.parent / "bell"
        self._again = self.path / "again"

    def start(self, script: bytes, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """Start the job in a session of its own; None where it lives already or has run.

        Raises:
            OSError: its directory or its output file cannot be used.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock() as lock:
            if lock is None or self.leader() is not None:
                return None
            self._copy(script)
            return self._spawn(lock, {**environment, **self._told()})

    def command(self) -> list[str]:
        """Return the shell that claims the job, runs its script and keeps the exit code."""
        return ["/bin/sh", "-c", _WRAPPER, "sh", str(self.path), str(self._bell)]

    def lives(self) -> bool:
        """Return whether any process of the job holds its lock."""
        with self._lock() as lock:
            return lock is None

    def leader(self) -> int | None:
        """Return the number of the job's session; None where its script never began.

        The claim is there before its content: then 0.
        """
        text = _read(self.path / "claim")
        return None if text is None else int(text or 0)

    def exit_code(self) -> tuple[int, float] | None:
        """Return the exit code as a shell tells it, and when; None where there is none."""
        text = _read(self.path / "exit")
        return (int(text), (self.path / "exit").stat().st_mtime) if text else None

    def wants_another_turn(self) -> bool:
        """Return whether the job asked to be queued again."""
        return self._again.exists()

    def remark(self, text: str) -> None:
        """Append a line of the scheduler's own to the job's output, where it can."""
        with contextlib.suppress(OSError), self._output(append=True) as output:
            output.write(f"\ncruijff-kit: job {self.job.id} {text}\n".encode())

    def clear(self) -> None:
        """Remove the folder, once the ending is on record."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[int | None]:
        """Hold the job's lock while in here; None where its processes hold it."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            yield -1
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            yield None
            return
        try:
            yield lock
        finally:
            os.close(lock)

    def _copy(self, script: bytes) -> None:
        copy = self.path / "script"
        copy.unlink(missing_ok=True)
        copy.write_bytes(script)
        copy.chmod(0o700)

    def _spawn(self, lock: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._output(append=self.job.directives.append) as output, self._errors(output) as errors:
            return subprocess.Popen(
                self.command(),
                cwd=self.job.chdir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _told(self) -> dict[str, str]:
        job = self.job
        cpus = {} if job.directives.cpus is None else {"SLURM_CPUS_PER_TASK": str(job.directives.cpus)}
        turns = {"SLURM_RESTART_COUNT": str(job.restarts)} if job.restarts else {}
        return {
            **cpus,
            **turns,
            REQUEUE_FILE: str(self._again),
            "CUDA_VISIBLE_DEVICES": ",".join(gpu for gpu in job.gpus if gpu != APPLE),
            "SLURM_JOB_ID": str(job.id),
            "SLURM_JOB_NAME": job.name,
            "SLURM_SUBMIT_DIR": job.chdir,
        }

    def _output(self, *, append: bool) -> FileIO:
        return self._opened(self.job.directives.output, append=append)

    @contextlib.contextmanager
    def _errors(self, output: FileIO) -> Iterator[FileIO]:
        if self.job.directives.error is None:
            yield output
            return
        with self._opened(self.job.directives.error, append=self.job.directives.append) as errors:
            yield errors

    def _opened(self, pattern: str, *, append: bool) -> FileIO:
        path = Path(self.job.chdir) / file_name(pattern, job_id=self.job.id, name=self.job.name)
        if path.parent != Path(self.job.chdir):
            path.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(path, "ab", opener=_continue if append else _begin)


def _begin(path: str, flags: int) -> int:
    return _continue(path, flags | os.O_TRUNC)


def _continue(path: str, flags: int) -> int:
    """Open without waiting, should it be a pipe that nobody reads."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
