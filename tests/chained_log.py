"""An audit log on disk, and hands that spoil it in every way a forger could."""

import json
from collections.abc import Iterable
from pathlib import Path

from cruijff_kit.adapters.audit_lines import GENESIS, canonical, hash_of
from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from tests.fakes.clock import FakeClock

__all__ = ["event", "log_file", "open_log", "raw_lines", "rechained", "spoil", "write_lines"]

ACTOR = Actor(kind="human", name="ada")


def event(subject: str = "rank4-4f1c9a02") -> AuditEvent:
    """Return an event that differs by its subject alone."""
    return AuditEvent(actor=ACTOR, verb="submit", action=Action.SUBMIT_JOB, subject=subject, inputs={"a": "b"})


def open_log(experiment: Path, lines: int = 0) -> DiskAuditLog:
    """Return the log of an experiment, this many one-event appends on."""
    log = DiskAuditLog(experiment, clock=FakeClock(), known_secrets=())
    for number in range(lines):
        log.append(event(f"run-{number}"))
    return log


def log_file(experiment: Path) -> Path:
    """Return the file of an experiment's log."""
    return experiment / ExperimentLayout.audit


def raw_lines(experiment: Path) -> list[bytes]:
    """Return the lines on disk, without newlines."""
    return log_file(experiment).read_bytes().splitlines()


def write_lines(experiment: Path, lines: Iterable[bytes]) -> None:
    """Put these lines on disk, behind the log's back."""
    log_file(experiment).write_bytes(b"".join(line + b"\n" for line in lines))


def spoil(experiment: Path, offset: int, mask: int) -> int:
    """Change one byte, and return the line it stands in, counted from 1; its newline counts to it."""
    content = bytearray(log_file(experiment).read_bytes())
    content[offset] ^= mask
    log_file(experiment).write_bytes(content)
    return 1 + raw_before(content, offset)


def raw_before(content: bytearray, offset: int) -> int:
    """Return the newlines before an offset."""
    return content.count(b"\n", 0, offset)


def rechained(lines: Iterable[bytes]) -> list[bytes]:
    """Return the lines with positions and hashes made to fit, as a careful forger would."""
    prev, forged = GENESIS, []
    for seq, line in enumerate(lines):
        forged.append(canonical({**json.loads(line), "seq": seq, "prev": prev}))
        prev = hash_of(forged[-1])
    return forged
