"""Audit: read and verify the record, render its text views, and record events."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cruijff_kit.ports import World
from cruijff_kit.rendering.log_text import VIEWS, log_text
from cruijff_kit.schema.audit import Action, Anchor, AuditEvent, AuditRecord, AuditVerdict, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.receipt import AuditPage

__all__ = ["Entry", "acts_of", "read_audit", "recording", "render_views", "verify_audit"]

_MOST = 1_000


def read_audit(*, after: int = -1, limit: int = 50, world: World) -> AuditPage:
    """Return a page of the record: at most 1,000 entries that follow `after`.

    Raises:
        ResultError: a line of the page is not a record.
    """
    head = world.audit.head()
    total = head.seq + 1 if head else 0
    wanted = range(min(max(limit, 1), _MOST))
    page = tuple(record for _, record in zip(wanted, world.audit.records(after=after), strict=False))
    more = bool(page) and page[-1].seq + 1 < total
    return AuditPage(records=page, next_after=page[-1].seq if more else None, total=total)


def acts_of(verb: str, action: Action, *, world: World) -> list[AuditRecord]:
    """Return the records of what one verb did, in order: other verbs take actions of the same name."""
    return [each for each in world.audit.records() if (each.verb, each.action) == (verb, action)]


def verify_audit(*, world: World) -> AuditVerdict:
    """Check the record against its own chain, the head kept apart, and the sealed design."""
    text = world.store.read_text(ExperimentLayout.lock)
    if text is None:
        return world.audit.verify()
    try:
        lock = DesignLock.model_validate_json(text)
    except ValueError:
        verdict = world.audit.verify()
        problem = verdict.problem or f"the seal `{ExperimentLayout.lock}` cannot be read, so its anchor is lost"
        return verdict.model_copy(update={"ok": False, "problem": problem})
    return world.audit.verify([Anchor(seq=lock.anchor_seq, sha256=lock.anchor_sha256)])


def render_views(*, world: World) -> None:
    """Render the text views of the record into `logs/`; unchanged ones are left alone."""
    records = tuple(world.audit.records())
    for view, verbs in VIEWS.items():
        path, text = ExperimentLayout.view(view), log_text(records, verbs=verbs)
        if text and world.store.read_text(path) != text:
            world.store.write(path, text)


@dataclass
class Entry:
    """What a verb adds to the event that `recording` writes for it."""

    reason: str | None = None
    result: Outcome = Outcome.SUCCESS
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@contextmanager
def recording(
    world: World, *, verb: str, action: Action, subject: str, reason: str | None = None
) -> Generator[Entry, None, None]:
    """Record one event around a block: its duration, and its error should it raise.

    A block that raises is recorded as ERROR, with the action that it attempted; the
    error goes on to the caller.

        with recording(world, verb="design", action=Action.CREATE_SUMMARY, subject=name) as entry:
            entry.inputs["design"] = spec_sha256
            entry.outputs["summary"] = digest

    Args:
        world: Where the event is appended, on behalf of its actor.
        verb: The workflow verb.
        action: What is about to be done.
        subject: What it is done to: an experiment, a run id, a path.
        reason: Why, in the words of whoever decided.
    """
    entry = Entry(reason)
    start = world.clock.monotonic()

    def event() -> AuditEvent:
        elapsed = round(1000 * (world.clock.monotonic() - start))
        told = {"verb": verb, "action": action, "subject": subject, "duration_ms": elapsed}
        return AuditEvent(actor=world.actor, **told, **vars(entry))

    try:
        yield entry
    except BaseException as error:
        world.audit.append(_failed(event(), error))
        raise
    world.audit.append(event())


def _failed(event: AuditEvent, error: BaseException) -> AuditEvent:
    inputs = {"attempted": event.action.value, **event.inputs}
    message = str(error) or type(error).__name__
    changes = {"action": Action.ERROR, "inputs": inputs, "result": Outcome.FAILURE, "error": message}
    return event.model_copy(update=changes)
