"""Marks by which a process is known again from another one, on this machine or not."""

import functools
import os
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = ["ProcessMark", "boot_id", "gone", "own_mark"]

_PROC = Path("/proc")


class ProcessMark(NamedTuple):
    """One process of one start of one machine; numbers alone are reused."""

    host: str
    """Name of the machine."""
    machine: str
    """What else names it, for host names are not always their own; empty where nothing does."""
    boot: str
    """This start of the machine."""
    space: str
    """Where its number counts: containers number theirs apart."""
    pid: int
    """Its number."""
    started: str
    """When it started, in the system's own words."""


def own_mark() -> ProcessMark:
    """Return the mark of this process."""
    pid = os.getpid()
    return ProcessMark(socket.gethostname(), _machine(), boot_id(), _space(), pid, _started(pid) or "")


def gone(mark: ProcessMark) -> bool:
    """Return whether a process is proven to have ended; False where this machine cannot tell."""
    mine = own_mark()
    if mark.host != mine.host or mark.machine != mine.machine:
        return False
    if mark.boot != mine.boot:
        # Without a mark of its own, another machine may bear the same name.
        return bool(mark.machine)
    return mark.space == mine.space and _started(mark.pid) != mark.started


@functools.cache
def boot_id() -> str:
    """Return what names this start of the machine; another after each reboot."""
    path = _PROC / "sys/kernel/random/boot_id"
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    return _said("sysctl", "-n", "kern.bootsessionuuid") or _said("sysctl", "-n", "kern.boottime")


@functools.cache
def _machine() -> str:
    path = Path("/etc/machine-id")
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    return "" if _PROC.exists() else _said("sysctl", "-n", "kern.uuid")


def _space() -> str:
    path = _PROC / "self/ns/pid"
    return str(path.readlink()) if path.is_symlink() else ""


def _started(pid: int) -> str | None:
    """Return when a process started; None where it has ended, though nobody may have waited for it."""
    if not _PROC.exists():
        return _said("ps", "-p", str(pid), "-o", "lstart=") or None
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def _said(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return answer.stdout.strip()
