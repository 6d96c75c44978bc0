"""Locks between processes that die with whoever holds them."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["held", "hold_descriptor", "hold_lock"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25
_held: list[int] = []


def held() -> tuple[int, ...]:
    """Return the descriptors of the locks that this process holds.

    A child that inherits them keeps the locks until it has ended, though its parent was killed:
    a command that still waits for its scheduler is as much a submitter as whoever started it.
    """
    return tuple(_held)


@contextmanager
def hold_lock(path: Path, *, name: str, wait: float) -> Iterator[None]:
    """Hold the lock that a file stands for; the file stays, the lock goes with its holder.

    Raises:
        SiteError: another process held it for longer than `wait` seconds.
    """
    with hold_descriptor(path, name=name, wait=wait):
        yield


@contextmanager
def hold_descriptor(path: Path, *, name: str, wait: float) -> Iterator[int]:
    """Hold a lock and yield its descriptor: a child that inherits it holds the lock too, until it ends.

    Raises:
        SiteError: another process held it for longer than `wait` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, name=name, wait=wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        _held.append(descriptor)
        yield descriptor
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
        os.close(descriptor)


def _acquire(descriptor: int, *, name: str, wait: float) -> None:
    deadline, pause = time.monotonic() + wait, _FIRST_PAUSE
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"
            raise SiteError(
                f"the `{name}` lock of this experiment is held by {holder} for more than {wait:g} s",
                hint="wait until that command ends, or stop it; the lock goes with it",
            )
        time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
