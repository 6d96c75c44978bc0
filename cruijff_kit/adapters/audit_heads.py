"""Heads of audit logs, kept in the user's state directory, away from the logs."""

import hashlib
import os
import re
from pathlib import Path

from cruijff_kit.adapters.audit_lines import canonical, hash_of
from cruijff_kit.adapters.safe_paths import flush_content
from cruijff_kit.schema.audit import Anchor
from cruijff_kit.schema.noun import Noun

__all__ = ["LOG_ID", "AuditHeads", "Head"]

LOG_ID = re.compile(r"[0-9a-f]{32}")
"""Form of the random id that a log carries in its first record."""

_SLOT = 2048
"""Bytes of one state; a head file holds two, written in turn, so that a torn one costs nothing."""
_MOST_KEPT = 8


class Head(Noun):
    """What is known of a log apart from the log itself."""

    name: str
    """Name of the head file."""
    serial: int = 0
    """How often it was written."""
    confirmed: Anchor | None = None
    """The last line known to be on disk."""
    pending: Anchor | None = None
    """The last line of an append that was begun and not seen to end."""
    kept: tuple[Anchor, ...] = ()
    """Earlier heads from which the log once departed; it must hold them still."""

    def is_of(self, log_id: str) -> bool:
        """Return whether this head was kept for the log with this id."""
        return self.name.startswith(log_id)

    def departed(self, earlier: "Head") -> "Head":
        """Return a head that also remembers where another one stood."""
        known = (*self.kept, *earlier.kept, earlier.confirmed)
        # The oldest departures say most; newer ones give way once the slot is full.
        return self.model_copy(update={"kept": tuple(anchor for anchor in known if anchor)[:_MOST_KEPT]})

    def begun(self, end: Anchor, last: Anchor | None) -> "Head":
        """Return the head before lines are written: the log is at `last` and about to reach `end`."""
        kept = self.kept if self.allows(last) else self.departed(Head(name=self.name, confirmed=self.confirmed)).kept
        return Head(name=self.name, serial=self.serial + 1, confirmed=last, pending=end, kept=kept)

    def ended(self) -> "Head":
        """Return the head once the lines that were begun are on disk."""
        return Head(name=self.name, serial=self.serial + 1, confirmed=self.pending, kept=self.kept)

    def allows(self, last: Anchor | None) -> bool:
        """Return whether a log that this head's writer left, killed or not, may end so."""
        if last == self.confirmed:
            return True
        if last is None or self.pending is None:
            return False
        begun = -1 if self.confirmed is None else self.confirmed.seq
        return last == self.pending or begun < last.seq < self.pending.seq


class AuditHeads:
    """Head files in a folder, found by a log's path, or by its id after a move."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; it may not exist yet."""
        self._folder = folder

    def find(self, log: Path, log_id: str | None) -> Head | None:
        """Return the head that binds the log at this path, or None where there is none.

        A log that was moved brings its head along; a copy, whose original is still in
        its place, does not.
        """
        here = self._name_at(log)
        if here is not None and (log_id is None or here.startswith(log_id)):
            return self._read(here)
        if log_id is not None and (moved := self._read(log_id)) and not self._has_original(log_id):
            return moved
        return self._read(here) if here is not None else None

    def opened(self, log: Path, log_id: str) -> Head:
        """Return a new head for a log that has none yet, with a name of its own."""
        taken = (self._folder / f"{log_id}.head").exists()
        return Head(name=f"{log_id}-{_key(log)[:8]}" if taken else log_id)

    def write(self, log: Path, head: Head, *, flush: bool) -> None:
        """Write a head into the slot whose turn it is; without `flush`, the next one makes it durable."""
        path = self._folder / f"{head.name}.head"
        # A log that came back to an earlier place is known there, and its head still says that it lies elsewhere.
        if self._name_at(log) != head.name or _text_of(self._folder / f"{head.name}.path") != str(log):
            self._register(log, head.name)
        body = canonical(head.model_dump())
        line = b"%s %s" % (hash_of(body).encode(), body)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not os.fstat(descriptor).st_size:
                # At its full size from the start, only its content has ever to be flushed.
                os.pwrite(descriptor, b" " * 2 * _SLOT, 0)
            os.pwrite(descriptor, line.ljust(_SLOT - 1) + b"\n", head.serial % 2 * _SLOT)
            if flush:
                flush_content(descriptor)
        finally:
            os.close(descriptor)

    def _register(self, log: Path, name: str) -> None:
        """Note which head binds the log at this path, and where the log lies."""
        places = self._folder / "places"
        places.mkdir(parents=True, exist_ok=True)
        for path, text in ((places / _key(log), name), (self._folder / f"{name}.path", str(log))):
            aside = path.with_name(f".{path.name}-{os.getpid()}")
            with aside.open("w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)

    def _name_at(self, log: Path) -> str | None:
        text = _text_of(self._folder / "places" / _key(log))
        return text if text and LOG_ID.match(text) and "/" not in text else None

    def _has_original(self, log_id: str) -> bool:
        """Whether the log that this id was registered for still lies where it was."""
        path = _text_of(self._folder / f"{log_id}.path")
        if path is None or self._name_at(Path(path)) != log_id:
            return False
        return Path(path).exists()

    def _read(self, name: str) -> Head | None:
        try:
            content = (self._folder / f"{name}.head").read_bytes()
        except FileNotFoundError:
            return None
        slots = [_parsed(content[at : at + _SLOT]) for at in (0, _SLOT)]
        return max((slot for slot in slots if slot), key=lambda head: head.serial, default=None)


def _key(log: Path) -> str:
    return hashlib.sha256(os.fsencode(log)).hexdigest()[:32]


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def _parsed(slot: bytes) -> Head | None:
    check, _, body = slot.rstrip().partition(b" ")
    return Head.model_validate_json(body) if body and hash_of(body).encode() == check else None
