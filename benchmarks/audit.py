"""How long a durable append takes, and the verification of a long audit log, beside what they stand on.

An append is held against a bare `write` and `fdatasync` of the same line on the same disk, taken in turn; a
verification against one plain pass of SHA-256 over the same lines, and against parsing each line as JSON. The log is
made beforehand through the log's own append, so that its head is compared too.

    python benchmarks/audit.py [--appends 500] [--lines 1000000] [--rounds 3] [--folder DIR]
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout

APPEND_LIMIT, VERIFY_LIMIT = 0.005, 5.0
"""Seconds: an append at the median, and the verification of 1,000,000 lines."""
BATCH = 10_000
"""Events that are appended at once while the long log is made."""


class Row(NamedTuple):
    """One line of the table."""

    name: str
    """What was timed."""
    seconds: list[float]
    """Each time it took."""
    limit: float | None = None
    """Seconds that the median may take."""


def event(number: int) -> AuditEvent:
    """Return an event as a submission writes it, about 450 bytes long."""
    return AuditEvent(
        actor=Actor(kind="assistant", name="claude", client="claude-code/2.1"),
        verb="submit",
        action=Action.SUBMIT_JOB,
        subject=f"rank8-lr3e-4-seed1-{number:08x}",
        inputs={"finetune.slurm": hashlib.sha256(str(number).encode()).hexdigest()},
        outputs={"job_id": str(number)},
        duration_ms=12,
    )


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def appends(folder: Path, count: int) -> list[Row]:
    """Time our append, and a bare durable write of as many bytes, in turn."""
    log = DiskAuditLog(folder / "appended", clock=SystemClock())
    log.append(event(0))
    line = b"x" * ((folder / "appended" / ExperimentLayout.audit).stat().st_size - 1) + b"\n"
    ours, bare = [], []
    with (folder / "bare").open("ab", buffering=0) as file:
        for number in range(count):
            ours.append(seconds(lambda number=number: log.append(event(number))))
            bare.append(seconds(lambda: write_durably(file.fileno(), line)))
    return [Row("append, durable", ours, APPEND_LIMIT), Row("bare write + fdatasync", bare)]


def write_durably(descriptor: int, line: bytes) -> None:
    """Write one line and flush it, nothing else."""
    os.write(descriptor, line)
    getattr(os, "fdatasync", os.fsync)(descriptor)


def verifications(folder: Path, lines: int, *, rounds: int) -> list[Row]:
    """Time our verification, a plain pass of hashes, and a pass of parsing, in turn."""
    log = long_log(folder / "long", lines)
    path = folder / "long" / ExperimentLayout.audit
    ours, plain, parsed = [], [], []
    for turn in range(rounds):
        ours.append(seconds(lambda: check(log, lines)))
        plain.append(seconds(lambda: hash_lines(path)))
        parsed.append(seconds(lambda: parse_lines(path)))
        print(f"\rround {turn + 1}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    limit = VERIFY_LIMIT * lines / 1_000_000
    return [
        Row(f"verify {lines:,} lines", ours, limit),
        Row("SHA-256 of each line", plain),
        Row("json.loads of each line", parsed),
    ]


def long_log(experiment: Path, lines: int) -> DiskAuditLog:
    """Return a log of this many lines, made by appending."""
    log = DiskAuditLog(experiment, clock=SystemClock())
    for start in range(0, lines, BATCH):
        log.append(*(event(number) for number in range(start, min(start + BATCH, lines))))
        print(f"\r{start:,} of {lines:,} lines made", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return log


def check(log: DiskAuditLog, lines: int) -> None:
    """Verify a log that holds.

    Raises:
        RuntimeError: it does not, so the figure would be of something else.
    """
    verdict = log.verify()
    if not (verdict.ok and verdict.anchored and verdict.lines == lines):
        raise RuntimeError(f"the log does not hold: {verdict}")


def hash_lines(path: Path) -> None:
    """Hash each line and look at nothing."""
    with path.open("rb") as file:
        for line in file:
            hashlib.sha256(line[:-1]).hexdigest()


def parse_lines(path: Path) -> None:
    """Parse each line and look at nothing."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def table(rows: list[Row]) -> str:
    """Return medians, 95th percentiles and targets as a Markdown table, in milliseconds."""
    lines = ["| what | median ms | p95 ms | target |", "| --- | ---: | ---: | --- |"]
    for row in rows:
        median = statistics.median(row.seconds)
        late = sorted(row.seconds)[round(0.95 * (len(row.seconds) - 1))]
        held = f"at most {row.limit * 1000:g} ms: {'met' if median <= row.limit else 'MISSED'}" if row.limit else ""
        lines.append(f"| {row.name} | {median * 1000:,.2f} | {late * 1000:,.2f} | {held} |")
    return "\n".join(lines)


def main() -> None:
    """Measure in a folder of its own, and print."""
    parser = argparse.ArgumentParser(description="How long the audit log takes.")
    parser.add_argument("--appends", type=int, default=500, help="appends timed, one event each")
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines of the log that is verified")
    parser.add_argument("--rounds", type=int, default=3, help="verifications timed")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to be measured")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        os.environ["CRUIJFF_STATE_DIR"] = f"{made}/state"
        rows = appends(Path(made), asked.appends)
        rows += verifications(Path(made), asked.lines, rounds=asked.rounds)
    print(table(rows))


if __name__ == "__main__":
    main()
