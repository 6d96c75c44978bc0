"""How the local queue's runner is called, and how it knows that it is the only one.

The runner's lock is taken by whoever starts it and inherited by it, so there is no
moment in which two could be started; a named pipe wakes it.
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cruijff_kit
from cruijff_kit.adapters.job_env import clean_environment

__all__ = ["Doorbell", "call_runner", "hold_lock", "ring"]

_MODULE = "cruijff_kit.adapters.local_runner"
_LOG_BYTES = 1_000_000


def call_runner(root: Path) -> None:
    """Wake the queue's runner, or start one where none lives.

    A runner that leaves gives up its lock before its last look at the queue, so
    what was queued before this call is seen either by it or by the new one.
    """
    if ring(root):
        return
    lock = hold_lock(root)
    if lock is None:
        return
    try:
        _start(root, lock)
    finally:
        os.close(lock)


def ring(root: Path) -> bool:
    """Wake the runner and return whether one listens."""
    try:
        bell = os.open(root / "bell", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(bell, b"\0")
    except BlockingIOError:
        pass  # A full pipe wakes as well.
    except BrokenPipeError:
        return False
    finally:
        os.close(bell)
    return True


def hold_lock(root: Path) -> int | None:
    """Take the runner's lock and return its descriptor; None where another holds it."""
    lock = os.open(root / "runner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    # Whose number stood there is gone.
    os.ftruncate(lock, 0)
    return lock


class Doorbell:
    """The runner's end: sleeps until it is rung, a child ends, or time passes."""

    def __init__(self, root: Path) -> None:
        """Name the pipe; `answering` opens it."""
        self._path = root / "bell"
        self._ends: list[int] = []

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Listen while in here; outside of it callers find nobody."""
        if not self._path.is_fifo():
            self._path.unlink(missing_ok=True)
            os.mkfifo(self._path, 0o600)
        # The second end is never written to: it keeps the pipe from telling its end when a caller leaves.
        bell = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        held = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        child, told = os.pipe()
        os.set_blocking(child, False)
        os.set_blocking(told, False)
        before = signal.signal(signal.SIGCHLD, _notice)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        self._ends = [bell, child]
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, before)
            for end in (bell, held, child, told):
                os.close(end)

    def wait(self, seconds: float) -> None:
        """Return when something may have changed, or after so many seconds."""
        ready, _, _ = select.select(self._ends, [], [], seconds)
        for end in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(end, 65536)


def _notice(number: int, frame: object) -> None:
    """Do nothing: the system writes to the wake-up pipe by itself."""


def _start(root: Path, lock: int) -> None:
    """Start a runner that owes nothing to this process: session, directory, descriptors, secrets."""
    package = str(Path(cruijff_kit.__file__).parents[1])
    environment = clean_environment(os.environ)
    paths = [package, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    log = root / "runner.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.unlink()
    # The shell in between leaves at once: the runner is nobody's child, and no zombie of ours when it leaves.
    command = ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-P", "-m", _MODULE, str(root), str(lock)]
    with log.open("ab") as output:
        subprocess.run(
            command,
            check=True,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,
        )
