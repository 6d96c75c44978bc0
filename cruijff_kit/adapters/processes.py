"""Processes of this machine: who belongs to a job, and which start of the machine this is."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.runtime.process_mark import boot_id

__all__ = ["Process", "boot_id", "children", "family", "send_signal"]

_PROC = Path("/proc")


class Process(NamedTuple):
    """One process, known again by its start: numbers are reused."""

    pid: int
    """Process number."""
    parent: int
    """Number of its parent."""
    started: str
    """When it started, in the system's own words."""


def family(leader: int) -> dict[int, Process]:
    """Return the processes of a session and all that descend from them.

    A job's session is named by its first process; children that made groups or
    sessions of their own are found through their parents.
    """
    table = _table()
    found = {pid: process for pid, process in table.items() if leader in (pid, _session(pid))}
    size = -1
    while len(found) > size:
        size = len(found)
        found |= {pid: process for pid, process in table.items() if process.parent in found}
    return found


def children(pid: int) -> list[int]:
    """Return the numbers of a process's own children."""
    return [process.pid for process in _table().values() if process.parent == pid]


def send_signal(number: int, *, to: Mapping[int, Process] | Iterable[int]) -> None:
    """Send a signal to processes; those gone, or started anew since, are left alone."""
    if isinstance(to, Mapping):
        now = _table()
        to = [pid for pid, process in to.items() if pid in now and now[pid].started == process.started]
    for pid in to:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _table() -> dict[int, Process]:
    if (_PROC / "self/stat").exists():
        listed = (_from_proc(int(name.name)) for name in _PROC.iterdir() if name.name.isdigit())
    else:
        listed = (_from_ps(line) for line in _said("ps", "-A", "-o", "pid=,ppid=,lstart=").splitlines())
    return {process.pid: process for process in listed if process is not None}


def _from_proc(pid: int) -> Process | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = stat.rpartition(b")")[2].split()
    return Process(pid, int(fields[1]), fields[19].decode("ascii"))


def _from_ps(line: str) -> Process:
    pid, parent, started = line.split(maxsplit=2)
    return Process(int(pid), int(parent), started)


def _said(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    return answer.stdout.strip()
