"""What is left of a cluster: ended with all its jobs, by whoever started it or, once that one is dead, by the next."""

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cruijff_kit.adapters.processes import Process, family, send_signal
from cruijff_kit.runtime.process_mark import ProcessMark, gone, own_mark
from tests.gated_bench import until

__all__ = ["claim", "is_root", "make_root", "note", "stop", "sweep"]

_PIDS = "pids.json"
_OWNER = "owner.json"
_PREFIX = "ck-slurm-"


def make_root() -> Path:
    """Return a new folder for a cluster, on a disk in memory where there is one."""
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_quick_disk()))


def is_root(path: Path) -> bool:
    """Return whether a folder is a cluster's, and this user's: nothing else may be removed."""
    with contextlib.suppress(FileNotFoundError):
        named = path.name.startswith(_PREFIX) and path.is_dir() and not path.is_symlink()
        return named and path.stat().st_uid == os.geteuid()
    return False


def claim(root: Path) -> None:
    """Say that this cluster is this process's own, and is to end with it; one that nobody claims lives on."""
    (root / _OWNER).write_text(json.dumps(own_mark()), encoding="utf-8")


def note(root: Path, pids: Iterable[int]) -> None:
    """Keep which processes are the daemons, each with its start: whoever stops a cluster may not have started it."""
    known = [family(pid).get(pid) for pid in pids]
    _replace(root / _PIDS, json.dumps([each for each in known if each is not None]))


def sweep() -> list[Path]:
    """Stop the clusters whose owner is proven dead, and return their folders; all others are left alone."""
    mine = [root for root in _quick_disk().glob(f"{_PREFIX}*") if is_root(root)]
    dead = [root for root in mine if (owner := _owner(root)) is not None and gone(owner)]
    for root in dead:
        stop(root)
    return dead


def stop(root: Path) -> None:
    """Kill a cluster's daemons and every process of every job, and remove its folder."""
    daemons = _daemons(root)
    until(lambda: _killed(root, daemons), f"the end of {root}")
    shutil.rmtree(root, ignore_errors=True)


def _quick_disk() -> Path:
    """Return the disk in memory where there is one: databases flush at every step."""
    return Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())


def _daemons(root: Path) -> list[Process]:
    try:
        return [Process(*each) for each in json.loads((root / _PIDS).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _killed(root: Path, daemons: Iterable[Process]) -> bool:
    """Kill what is there and return whether nothing was."""
    found = _strays(root)
    for process in daemons:
        lives = family(process.pid)
        found |= lives if process.pid in lives and lives[process.pid].started == process.started else {}
    left = {pid: process for pid, process in found.items() if not _zombie(pid)}
    send_signal(signal.SIGKILL, to=left)
    return not left


def _strays(root: Path) -> dict[int, Process]:
    """Return the processes of jobs, and of those that watch over them, that no daemon is the parent of any more."""
    conf = f"SLURM_CONF={root}/etc/slurm.conf".encode()
    found: dict[int, Process] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "environ").read_bytes().split(b"\0")
            name = (folder / "comm").read_bytes().strip()
            job = any(word.startswith(b"SLURM_JOB_ID=") for word in words)
            if conf in words and (job or name == b"slurmstepd"):
                found |= family(int(folder.name))
    return found


def _owner(root: Path) -> ProcessMark | None:
    """Return whose cluster it is; None where nobody said so, as for one that is being made or was started by hand."""
    try:
        return ProcessMark(*json.loads((root / _OWNER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def _replace(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
