"""The verdict on an audit log: its chain, its torn end, and the anchors kept elsewhere."""

from collections.abc import Iterable, Iterator

from cruijff_kit.adapters.audit_heads import Head
from cruijff_kit.adapters.audit_lines import Fault, Scan
from cruijff_kit.schema.audit import Anchor, AuditVerdict

__all__ = ["judged", "positions"]


def positions(head: Head | None, anchors: Iterable[Anchor]) -> set[int]:
    """Return the positions of the lines whose hashes a verdict compares."""
    own = (head.confirmed, head.pending, *head.kept) if head else ()
    return {anchor.seq for anchor in (*own, *anchors) if anchor}


def judged(found: Scan, *, head: Head | None, own: bool, anchors: Iterable[Anchor]) -> AuditVerdict:
    """Return the verdict; the first line that does not hold is named.

    Args:
        found: What one pass over the log found, with hashes at `positions`.
        head: The head kept for this log or for its place.
        own: Whether the head was kept for this very log.
        anchors: Anchors kept elsewhere still.
    """
    elsewhere = tuple(anchors)
    bound = head is not None and head.confirmed is not None
    faults = [*([found.fault] if found.fault else []), *_disagreements(found, elsewhere)]
    if head is not None and bound:
        faults += [*_disagreements(found, head.kept), *(_headed(found, head) if own else _begun_anew(found))]
    first = min(faults, key=lambda fault: fault.position, default=None)
    return AuditVerdict(
        ok=first is None,
        lines=found.lines,
        anchored=bound or bool(elsewhere),
        line=first.position + 1 if first else None,
        problem=f"it {first.problem}" if first else None,
        notes=tuple(_notes(found, head)) if first is None else (),
    )


def _disagreements(found: Scan, anchors: Iterable[Anchor]) -> Iterator[Fault]:
    for anchor in anchors:
        if anchor.seq < found.lines and found.hashes[anchor.seq] != anchor.sha256:
            yield Fault(anchor.seq, "is not the line that was anchored: it was changed, or the log rewritten up to it")
        elif anchor.seq >= found.lines and found.fault is None:
            yield Fault(found.lines, f"is missing: the log once reached line {anchor.seq + 1}")


def _begun_anew(found: Scan) -> Iterator[Fault]:
    if found.lines:
        yield Fault(0, "begins another log than the one that was kept here")
    else:
        yield Fault(0, "is missing: the log that was kept here is gone")


def _headed(found: Scan, head: Head) -> Iterator[Fault]:
    """Compare the log with its own head, which is behind by at most the one append it announced."""
    if head.confirmed is not None:
        yield from _disagreements(found, [head.confirmed])
    if found.fault is not None:
        return
    if head.pending is not None and found.lines == head.pending.seq + 1:
        yield from _disagreements(found, [head.pending])
    last = head.pending or head.confirmed
    if last is not None and found.lines > last.seq + 1:
        yield Fault(last.seq + 1, "was written by something that does not keep the head of this log")
    elif found.torn and not _announced(found, head):
        yield Fault(found.lines, f"is {found.torn} bytes without an end that no append of ours began")


def _announced(found: Scan, head: Head) -> bool:
    return head.pending is not None and found.lines <= head.pending.seq


def _notes(found: Scan, head: Head | None) -> Iterator[str]:
    if found.lines and (head is None or head.confirmed is None):
        yield "no head of this log is kept on this machine, so its end and a full rewrite cannot be checked here"
    if found.torn:
        yield f"the last line was torn by a crash after {found.torn} bytes; the next append cuts it off and says so"
    elif head is not None and head.pending is not None:
        landed = found.lines > head.pending.seq
        yield f"the last append was interrupted {'after' if landed else 'before'} its lines were written"
