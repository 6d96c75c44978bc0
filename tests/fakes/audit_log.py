"""The record of one experiment, in memory."""

from collections.abc import Iterable, Iterator
from io import BytesIO

from cruijff_kit.adapters.audit_heads import Head
from cruijff_kit.adapters.audit_lines import GENESIS, canonical, hash_of, scan
from cruijff_kit.adapters.audit_verdict import judged, positions
from cruijff_kit.ports import Clock
from cruijff_kit.rendering.redaction import redact_event
from cruijff_kit.schema.audit import Anchor, AuditEvent, AuditRecord, AuditVerdict
from tests.fakes.clock import FakeClock

__all__ = ["FakeAuditLog"]


class FakeAuditLog:
    """An `AuditLog` that keeps raw lines; a test may read and spoil `lines`."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin empty."""
        self.lines: list[bytes] = []
        self._clock = clock or FakeClock()
        self._head: Anchor | None = None

    @property
    def events(self) -> list[AuditRecord]:
        """Return every record so far, for a test to look at."""
        return list(self.records())

    def append(self, *events: AuditEvent) -> Anchor:
        """Append events and return the new head."""
        if not events:
            raise ValueError("an append takes at least one event")
        for event in events:
            fields = redact_event(event).model_dump(exclude_none=True)
            moment = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
            prev = hash_of(self.lines[-1]) if self.lines else GENESIS
            self.lines.append(canonical({**fields, "seq": len(self.lines), "prev": prev, "ts": moment}))
        self._head = Anchor(seq=len(self.lines) - 1, sha256=hash_of(self.lines[-1]))
        return self._head

    def records(self, *, after: int = -1) -> Iterator[AuditRecord]:
        """Yield the records with `seq` greater than `after`, in order."""
        for line in self.lines[after + 1 :]:
            yield AuditRecord.model_validate_json(line)

    def raw_lines(self) -> Iterator[bytes]:
        """Yield the whole lines as they lie there, without their newlines."""
        yield from tuple(self.lines)

    def head(self) -> Anchor | None:
        """Return the last line's position and hash; None for an empty log."""
        return self._head

    def verify(self, anchors: Iterable[Anchor] = ()) -> AuditVerdict:
        """Check the chain, the head kept apart, and any further anchors."""
        elsewhere = tuple(anchors)
        head = Head(name="fake", confirmed=self._head)
        content = b"".join(line + b"\n" for line in self.lines)
        last = self._head.sha256 if self._head else None
        found = scan(BytesIO(content), len(content), wanted=positions(head, elsewhere), head=last)
        return judged(found, head=head, own=True, anchors=elsewhere)
