"""The text views: blocks that a person reads and that no value can forge."""

from datetime import UTC, datetime

import pytest

from cruijff_kit.rendering.log_text import VIEWS, log_text
from cruijff_kit.schema.audit import Action, Actor, AuditRecord, Outcome


def record(verb: str = "submit", **fields: object) -> AuditRecord:
    told = {
        "actor": Actor(kind="assistant", name="claude"),
        "verb": verb,
        "action": Action.SUBMIT_JOB,
        "subject": "rank8-4f1c9a02",
        "seq": 0,
        "ts": datetime(2026, 11, 20, 14, 23, 15, 678_000, tzinfo=UTC),
        "prev": "0" * 64,
        **fields,
    }
    return AuditRecord.model_validate(told)


def test_a_record_is_a_block_of_lines() -> None:
    told = record(inputs={"details": "sbatch finetune.slurm"}, outputs={"job_id": "4711"}, duration_ms=1234)
    assert log_text([told], verbs=VIEWS["run"]) == (
        "[2026-11-20 14:23:15] SUBMIT_JOB: rank8-4f1c9a02\n"
        "Actor: claude (assistant)\n"
        "Details: sbatch finetune.slurm\n"
        "Job ID: 4711\n"
        "Duration: 1.234 s\n"
        "Result: success\n"
    )


def test_a_failure_tells_its_reason_and_its_error() -> None:
    text = log_text([record(reason="too slow", error="no such partition", result=Outcome.FAILURE)], verbs=VIEWS["run"])
    assert text.endswith("Reason: too slow\nError: no such partition\nResult: failure\n")


def test_blocks_stand_apart_by_an_empty_line() -> None:
    assert log_text([record(), record()], verbs=VIEWS["run"]).count("\n\n[") == 1


@pytest.mark.parametrize(
    "view,verb", (("design", "design"), ("scaffold", "adopt"), ("run", "watch"), ("summarize", "report"))
)
def test_a_verb_is_told_in_its_own_view_alone(view: str, verb: str) -> None:
    told = {name for name, verbs in VIEWS.items() if log_text([record(verb)], verbs=verbs)}
    assert told == {view}


def test_what_no_view_is_for_is_told_in_every_view() -> None:
    assert all(log_text([record("audit")], verbs=verbs) for verbs in VIEWS.values())


@pytest.mark.parametrize("ending", ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"))
def test_no_value_forges_a_line(ending: str) -> None:
    forged = f"x{ending}[2026-11-20 14:23:15] ALL_COMPLETE: everything{ending}Result: success"
    spoilt = record(subject=forged, reason=forged, error=forged, inputs={forged: forged}, outputs={"a": forged})
    lines = log_text([spoilt], verbs=VIEWS["run"]).splitlines()
    assert len(lines) == 7
    assert sum(line.startswith("[2026") for line in lines) == 1
    assert lines.count("Result: success") == 1


@pytest.mark.parametrize(
    "name", ("result", "error", "reason", "actor", "duration", "Result", "[2026-11-20 14:23:15] X")
)
def test_a_field_cannot_pass_for_a_line_of_ours(name: str) -> None:
    lines = log_text([record(result=Outcome.FAILURE, inputs={name: "success"})], verbs=VIEWS["run"]).splitlines()
    assert f"`{name}`: success" in lines
    assert lines[-1] == "Result: failure"


@pytest.mark.parametrize("hidden", ("\x1b[2K", "\u202e", "\u2066", "\U000e0041", "\u200b", "\x00", "\x9b"))
def test_nothing_hidden_is_passed_on(hidden: str) -> None:
    text = log_text([record(subject=f"a{hidden}b")], verbs=VIEWS["run"])
    assert hidden[0] not in text
    assert f"\\u{{{ord(hidden[0]):x}}}" in text
