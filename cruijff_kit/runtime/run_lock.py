"""The run lock: of all processes that were ever started for a step of a run, one may publish.

Locks of the system do not hold between the nodes of every cluster, so this one is made of
what every shared file system keeps: a hard link takes a name once. A lease is a file
`<token>.json` in the run's lock folder, and the highest token holds. Its holder lets a
counter beat; who finds a lease waits until it was given back, its process is proven dead, or
no beat was seen for a while by the waiting process's own clock, as clocks of nodes differ. Then it
takes the next token and removes the staging folders of the one before, which fences that
one off (`runtime.files`), be it slow, stopped or cut off rather than dead.
"""

import contextlib
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.errors import RunError
from cruijff_kit.runtime.files import Fence, fenced, put_back
from cruijff_kit.runtime.process_mark import ProcessMark, gone, own_mark
from cruijff_kit.schema.run import Lease

__all__ = ["EXPIRY", "HeldError", "Patience", "hold_run"]

EXPIRY = "CRUIJFF_LEASE_SECONDS"
"""Variable that sets the seconds without a beat until a lease has expired, for slow file systems."""

_TRIES = 200
_BEATS = 12
"""Beats that a holder makes while a lease expires."""


class HeldError(RunError):
    """Another process that lives holds the run; `exit_code` is the system's word for `try again later`."""

    exit_code = 75


class Patience(NamedTuple):
    """How a lease is kept and when it counts as given up, in seconds."""

    beat: float = 10.0
    """Between two beats of a holder."""
    expiry: float = 120.0
    """Without a beat until a lease has expired; a file system may show a beat a minute late."""
    look: float = 1.0
    """Between two looks of who waits."""

    @classmethod
    def of_environment(cls) -> "Patience":
        """Return what the environment asks for, or the defaults."""
        expiry = float(os.environ.get(EXPIRY) or cls().expiry)
        return cls(beat=expiry / _BEATS, expiry=expiry, look=min(1.0, expiry / _BEATS))


@contextlib.contextmanager
def hold_run(
    folder: Path, *, run_id: str, job_id: str = "", trees: Sequence[Path], patience: Patience | None = None
) -> Iterator[int]:
    """Hold a step of a run while in here, and yield the fencing token: higher than any before.

    Args:
        folder: the step's lock folder.
        run_id: the run.
        job_id: the scheduler's id of this job.
        trees: folders whose files this job publishes; inside, they change through the fence alone.
        patience: how long to wait for others.

    Raises:
        HeldError: a process that lives holds it.
        FencedError: out of whatever publishes, once another process has taken the run over.
    """
    pace = patience or Patience.of_environment()
    folder.mkdir(parents=True, exist_ok=True)
    lease = _draft(folder, run_id=run_id, job_id=job_id, trees=trees)
    try:
        lease = _take(folder, lease, patience=pace)
        with _beating(folder, lease.token, every=pace.beat), fenced(_fence(lease)):
            yield lease.token
    finally:
        _give_back(folder, lease)


def _draft(folder: Path, *, run_id: str, job_id: str, trees: Sequence[Path]) -> Lease:
    """Return a lease without a token, its staging folders made: nobody makes them ever again."""
    nonce, mark = secrets.token_hex(8), own_mark()
    places = {}
    for tree in trees:
        inside = folder if folder.is_relative_to(tree) else tree
        staging = inside / f".held-{nonce}"
        staging.mkdir(parents=True)
        places[str(tree)] = str(staging)
    return Lease(token=0, run_id=run_id, job_id=job_id, places=places, **mark._asdict())


def _fence(lease: Lease) -> Fence:
    return Fence(lease.run_id, {Path(tree): Path(staging) for tree, staging in lease.places.items()})


def _take(folder: Path, draft: Lease, *, patience: Patience) -> Lease:
    """Take the next token, once nobody who may live holds the newest."""
    while True:
        newest, former = _newest(folder)
        _wait(folder, newest, lease=former, patience=patience)
        lease = draft.model_copy(update={"token": newest + 1})
        if not _linked(folder, lease):
            continue
        if _newest(folder)[0] > lease.token:
            # A slow taker linked a number whose file had been tidied away.
            (folder / f"{lease.token}.json").unlink(missing_ok=True)
            continue
        _fence_off(folder, lease.token)
        return lease


def _newest(folder: Path) -> tuple[int, Lease | None]:
    """Return the highest token ever taken, and its lease; 0 where there is none, None where it cannot be read."""
    tokens = _tokens(folder)
    if not tokens:
        return 0, None
    return max(tokens), _read(folder, max(tokens))


def _tokens(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit()]


def _read(folder: Path, token: int) -> Lease | None:
    try:
        return Lease.model_validate_json((folder / f"{token}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _wait(folder: Path, token: int, *, lease: Lease | None, patience: Patience) -> None:
    """Return once the holder of a token gave it back, is dead, or has let it expire.

    Raises:
        HeldError: its heart beats.
    """
    started, first = time.monotonic(), _beat(folder, token)
    while token and not (folder / f"{token}.free").exists():
        if lease is not None and gone(_mark(lease)):
            return
        if _beat(folder, token) != first:
            raise _held(lease)
        if time.monotonic() - started >= patience.expiry:
            return
        if time.monotonic() - started < patience.look:
            sys.stderr.write(f"{_told(lease)}; waiting up to {patience.expiry:g} s for a sign of life\n")
        time.sleep(patience.look)


def _mark(lease: Lease) -> ProcessMark:
    return ProcessMark(**{name: getattr(lease, name) for name in ProcessMark._fields})


def _told(lease: Lease | None) -> str:
    if lease is None:
        return "another process holds this run"
    job = f"job {lease.job_id}, " if lease.job_id else ""
    return f"run `{lease.run_id}` is held by {job}process {lease.pid} on `{lease.host}`"


def _held(lease: Lease | None) -> HeldError:
    return HeldError(
        f"{_told(lease)}, which works on it; this job does nothing",
        run_id=lease.run_id if lease is not None else "",
        hint="wait for that job, or cancel it first; the lock goes with its process",
    )


def _linked(folder: Path, lease: Lease) -> bool:
    """Give a lease its name, which works once for each name; return whether it was ours."""
    aside = folder / f".{secrets.token_hex(8)}.part"
    aside.write_text(lease.model_dump_json(indent=1) + "\n", encoding="utf-8")
    try:
        os.link(aside, folder / f"{lease.token}.json")
    except FileExistsError:
        # An answer lost on the way makes a file system say so of our own link.
        return aside.stat().st_nlink == 2
    except OSError:
        return _created(folder / f"{lease.token}.json", aside.read_bytes())
    finally:
        aside.unlink()
    return True


def _created(path: Path, content: bytes) -> bool:
    """Take a name where the file system knows no hard links."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _fence_off(folder: Path, token: int) -> None:
    """Remove the staging folders of every lease before a token, then what is left of those leases."""
    for older in sorted(each for each in _tokens(folder) if each < token):
        lease = _read(folder, older)
        for tree, staging in lease.places.items() if lease is not None else ():
            _remove(Path(staging), tree=Path(tree))
        for name in (f"{older}.beat", f"{older}.free", f"{older}.json"):
            (folder / name).unlink(missing_ok=True)


def _remove(staging: Path, *, tree: Path) -> None:
    """Remove a staging folder for good, what was being replaced put back.

    The new name stops whoever goes by names, the removal also a node that kept the folder open.
    """
    old = staging.with_name(f"{staging.name}.gone")
    with contextlib.suppress(FileNotFoundError):
        staging.rename(old)
    if old.exists():
        put_back(old, tree)
    for _ in range(_TRIES):
        if not old.exists():
            return
        shutil.rmtree(old, ignore_errors=True)
    raise RunError(f"`{old}` cannot be removed", run_id="", hint="see whose it is, remove it, and start again")


def _give_back(folder: Path, lease: Lease) -> None:
    """Remove our staging folders; say that the lease is free, where it is still ours."""
    for staging in lease.places.values():
        shutil.rmtree(staging, ignore_errors=True)
    if lease.token and (folder / f"{lease.token}.json").exists():
        (folder / f"{lease.token}.free").touch()


@contextlib.contextmanager
def _beating(folder: Path, token: int, *, every: float) -> Iterator[None]:
    """Let a lease's counter go up while in here."""
    ended, path = threading.Event(), folder / f"{token}.beat"
    path.write_bytes(_count(0))

    def beat() -> None:
        count = 0
        while not ended.wait(every):
            count += 1
            with contextlib.suppress(OSError):
                _write_in_place(path, _count(count))

    heart = threading.Thread(target=beat, name="run-lock", daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()


def _count(number: int) -> bytes:
    return f"{number:012}".encode()


def _write_in_place(path: Path, content: bytes) -> None:
    """Write over a file that is there: who opens it sees that, where a rename might be shown late.

    It is never made anew: whoever took the run over has removed it.
    """
    handle = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(handle, content, 0)
    finally:
        os.close(handle)


def _beat(folder: Path, token: int) -> bytes:
    try:
        return (folder / f"{token}.beat").read_bytes()
    except FileNotFoundError:
        return b""
