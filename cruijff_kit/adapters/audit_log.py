"""The record of one experiment: `logs/audit.jsonl`, append-only and hash-chained."""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from io import BufferedReader, BytesIO
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.adapters.archive_place import refuse_change
from cruijff_kit.adapters.audit_end import LogEnd, end_of
from cruijff_kit.adapters.audit_heads import AuditHeads, Head
from cruijff_kit.adapters.audit_lines import GENESIS, canonical, hash_of, read_blocks, scan
from cruijff_kit.adapters.audit_verdict import judged, positions
from cruijff_kit.adapters.safe_paths import flush_content, open_file, opened_folder
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.ports import Clock
from cruijff_kit.rendering.redaction import redact_event, sensitive_values
from cruijff_kit.schema.audit import Action, Actor, Anchor, AuditEvent, AuditRecord, AuditVerdict, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import first_fault

__all__ = ["DiskAuditLog"]

_ITSELF = Actor(kind="tool", name="audit log")
_OF_ARCHIVES = frozenset({"archive", "unarchive"})
"""Verbs that alone go on with the record of an archived experiment."""
_QUOTED = 500
"""Bytes of a torn line that its repair record quotes."""


class _Snapshot(NamedTuple):
    """A log at one moment; what is appended later is not looked at."""

    stream: BufferedReader | BytesIO
    """The file, at its start."""
    size: int
    """Its bytes."""
    end: LogEnd
    """How it begins and ends."""
    head: Head | None
    """The head kept for it or for its place."""


class DiskAuditLog:
    """The `AuditLog` of an experiment directory; the file is made by the first append."""

    def __init__(self, experiment: Path, *, clock: Clock, known_secrets: Sequence[str] | None = None) -> None:
        """Keep the place.

        Args:
            experiment: The experiment directory.
            clock: Tells when a line was written.
            known_secrets: Values never to be written; by default those of this
                process's environment variables that are named like secrets.
        """
        self._experiment = experiment.resolve()
        self._path = self._experiment / ExperimentLayout.audit
        self._clock = clock
        self._secrets = sensitive_values(os.environ) if known_secrets is None else tuple(known_secrets)
        self._heads = AuditHeads(state_dir() / "audit-heads")

    def append(self, *events: AuditEvent) -> Anchor:
        """Append events as whole lines, durably, and return the new head.

        The head kept apart is told what will be written before it is, and that it was
        after; so a line cut off later is told apart from one that a crash prevented.
        What a crash or another writer left at the end is recorded first, as a warning.

        Raises:
            ResultError: the last line is not a record, so nothing can follow it.
            SiteError: the log or the state directory cannot be written, or the experiment is archived.
        """
        if not events:
            raise ValueError("an append takes at least one event")
        if any(event.verb not in _OF_ARCHIVES for event in events):
            refuse_change(self._experiment)
        with self._locked() as log:
            end = end_of(log, os.fstat(log).st_size)
            log_id = end.log_id or secrets.token_hex(16)
            found = self._heads.find(self._path, end.log_id)
            head = self._head_for(log_id, found, end=end)
            noticed = [*_torn(end), *_departed(head, found, end=end)]
            content, last = self._content([*noticed, *events], end.last, log_id=log_id)
            begun = head.begun(last, end.last)
            self._heads.write(self._path, begun, flush=True)
            _put(log, end.offset, content=content)
            self._heads.write(self._path, begun.ended(), flush=False)
        return last

    def records(self, *, after: int = -1) -> Iterator[AuditRecord]:
        """Yield the records with `seq` greater than `after`, in order.

        Raises:
            ResultError: a line is not a record.
        """
        yield from (_record(line, at) for at, line in enumerate(self.raw_lines()) if at > after)

    def raw_lines(self) -> Iterator[bytes]:
        """Yield the whole lines as they lie there, without their newlines."""
        with self._snapshot() as log:
            blocks = read_blocks(log.stream, log.size)
            yield from chain.from_iterable(block.split(b"\n")[:-1] for block, _ in blocks)

    def head(self) -> Anchor | None:
        """Return the last line's position and hash; None for an empty log."""
        with self._snapshot() as log:
            return log.end.last

    def verify(self, anchors: Iterable[Anchor] = ()) -> AuditVerdict:
        """Check the chain, the head kept apart, and any further anchors. Never writes."""
        elsewhere = tuple(anchors)
        with self._snapshot() as log:
            head = log.head
            confirmed = head.confirmed.sha256 if head and head.confirmed else None
            found = scan(log.stream, log.size, wanted=positions(head, elsewhere), head=confirmed)
            own = log.size > 0 and head is not None and (log.end.log_id is None or head.is_of(log.end.log_id))
            return judged(found, head=head, own=own, anchors=elsewhere)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the log for writing, alone; the lock dies with its holder."""
        folder, name = self._path.parent.name, self._path.name
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with _translated(), opened_folder(self._experiment, (folder,), create=True) as logs:
            log = os.open(name, flags, 0o666, dir_fd=logs)
            try:
                fcntl.flock(log, fcntl.LOCK_EX)
                if not os.fstat(log).st_size:
                    os.fsync(logs)
                yield log
            finally:
                os.close(log)

    @contextmanager
    def _snapshot(self) -> Iterator[_Snapshot]:
        try:
            with opened_folder(self._experiment, (self._path.parent.name,)) as logs:
                log = open_file(logs, self._path.name)
        except FileNotFoundError:
            yield _Snapshot(BytesIO(), 0, LogEnd(), self._heads.find(self._path, None))
            return
        with _translated(), os.fdopen(log, "rb") as stream:
            fcntl.flock(log, fcntl.LOCK_SH)
            size = os.fstat(log).st_size
            end = end_of(log, size)
            head = self._heads.find(self._path, end.log_id)
            fcntl.flock(log, fcntl.LOCK_UN)
            yield _Snapshot(stream, size, end, head)

    def _head_for(self, log_id: str, found: Head | None, *, end: LogEnd) -> Head:
        """Return the head to go on with: the one found, if it is this log's, else a new one."""
        if found is not None and (found.is_of(log_id) or (end.line is not None and end.log_id is None)):
            return found
        head = self._heads.opened(self._path, log_id)
        # A directory that was removed and begun again owes nothing; one that still holds runs does.
        return head.departed(found) if found is not None and self._in_use() else head

    def _in_use(self) -> bool:
        return any((self._experiment / name).exists() for name in (ExperimentLayout.lock, ExperimentLayout.runs))

    def _content(self, events: Iterable[AuditEvent], last: Anchor | None, *, log_id: str) -> tuple[bytes, Anchor]:
        """Return the lines of events that follow `last`, and where the log will stand."""
        moment = self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        seq, prev = (-1, GENESIS) if last is None else (last.seq, last.sha256)
        lines: list[bytes] = []
        for event in events:
            seq, fields = seq + 1, redact_event(event, self._secrets).model_dump(exclude_none=True)
            if seq == 0:
                fields["outputs"]["log_id"] = log_id
            lines.append(canonical({**fields, "seq": seq, "prev": prev, "ts": moment}))
            prev = hash_of(lines[-1])
        return b"\n".join([*lines, b""]), Anchor(seq=seq, sha256=prev)


def _put(log: int, offset: int, *, content: bytes) -> None:
    """Write whole lines at the end, over whatever a crash left there, and flush them."""
    left, at = memoryview(content), offset
    while left:
        written = os.pwrite(log, left, at)
        left, at = left[written:], at + written
    if os.fstat(log).st_size > at:
        os.ftruncate(log, at)
    flush_content(log)


def _record(line: bytes, position: int) -> AuditRecord:
    try:
        return AuditRecord.model_validate_json(line)
    except ValidationError as err:
        raise ResultError(
            f"line {position + 1} of the audit log is not a record: {first_fault(err)}",
            hint="`ck audit verify` names what was changed; restore the log from a copy",
        ) from err


def _torn(end: LogEnd) -> Iterator[AuditEvent]:
    if end.torn:
        yield _warning(
            "the last line was torn by a crash; what was left of it was cut off and is told here",
            torn_bytes=str(len(end.torn)),
            torn_sha256=hash_of(end.torn),
            torn_text=end.torn[:_QUOTED].decode("utf-8", "replace"),
        )


def _departed(head: Head, found: Head | None, *, end: LogEnd) -> Iterator[AuditEvent]:
    """Say where the log is not as the head kept apart tells."""
    if found is None or found.confirmed is None:
        return
    known = f"line {found.confirmed.seq + 1}, {found.confirmed.sha256}"
    last = end.last
    here = f"line {last.seq + 1}, {last.sha256}" if last else "nothing"
    if head.name != found.name:
        yield _warning("another log was kept here before, and it is gone", head=known, log=here)
    elif not found.allows(last):
        yield _warning("the log does not end where its head was left", head=known, log=here)
    elif found.pending is not None and last != found.pending and not end.torn:
        begun = f"line {found.pending.seq + 1}, {found.pending.sha256}"
        yield _warning("the append before this one was interrupted before it was written", begun=begun, log=here)


def _warning(message: str, **told: str) -> AuditEvent:
    return AuditEvent(
        actor=_ITSELF,
        verb="audit",
        action=Action.WARNING,
        subject=ExperimentLayout.audit,
        inputs=told,
        result=Outcome.WARNING,
        error=message,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise SiteError(
            f"the audit log cannot be used: {err.strerror}" + (f": `{err.filename}`" if err.filename else ""),
            hint="see that the experiment and the state directory are yours to write and that the disk is not full",
        ) from err
