"""What every audit log promises; run on the one in memory and on the one on disk."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.ports import AuditLog
from cruijff_kit.schema.audit import Action, Actor, Anchor, AuditEvent, Outcome
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.clock import FakeClock

ACTOR = Actor(kind="assistant", name="claude", client="claude-code/2.1")
TOKEN = "hf_" + "a1B2" * 9


@pytest.fixture(params=("fake", "disk"))
def log(request: pytest.FixtureRequest, tmp_path: Path) -> AuditLog:
    return FakeAuditLog() if request.param == "fake" else DiskAuditLog(tmp_path / "experiment", clock=FakeClock())


def event(subject: str = "rank4-4f1c9a02", **fields: object) -> AuditEvent:
    told = {"actor": ACTOR, "verb": "submit", "action": Action.SUBMIT_JOB, "subject": subject, **fields}
    return AuditEvent.model_validate(told)


def test_an_empty_log_has_no_head_and_holds(log: AuditLog) -> None:
    assert log.head() is None
    assert list(log.records()) == []
    assert log.verify().ok


def test_records_come_back_in_order_with_position_and_time(log: AuditLog) -> None:
    log.append(event("one"), event("two"))
    log.append(event("three"))
    records = list(log.records())
    assert [(record.seq, record.subject) for record in records] == [(0, "one"), (1, "two"), (2, "three")]
    assert {record.ts for record in records} == {FakeClock().now()}


def test_an_event_keeps_all_its_facts(log: AuditLog) -> None:
    told = event(
        reason="the pilot was too slow",
        inputs={"finetune.slurm": "ab" * 32},
        outputs={"job_id": "4711"},
        result=Outcome.FAILURE,
        error="partition `gpu` is unknown",
        duration_ms=12,
        versions={"torch": "2.13.0"},
    )
    log.append(event(), told)
    record = list(log.records())[1]
    assert {name: getattr(record, name) for name in AuditEvent.model_fields} == dict(told)


def test_reading_goes_on_after_a_position(log: AuditLog) -> None:
    log.append(*(event(str(number)) for number in range(5)))
    assert [record.seq for record in log.records(after=2)] == [3, 4]
    assert list(log.records(after=4)) == []


def test_raw_lines_are_what_the_chain_hashes(log: AuditLog) -> None:
    assert list(log.raw_lines()) == []
    anchors = [log.append(event(str(number), reason="ö\u2028")) for number in range(3)]
    lines = list(log.raw_lines())
    assert [hashlib.sha256(line).hexdigest() for line in lines] == [anchor.sha256 for anchor in anchors]
    assert [json.loads(line)["subject"] for line in lines] == ["0", "1", "2"]


def test_the_head_is_what_the_last_append_returned(log: AuditLog) -> None:
    log.append(event())
    anchor = log.append(event(), event())
    assert log.head() == anchor
    assert anchor.seq == 2


def test_an_append_without_events_is_refused(log: AuditLog) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        log.append()


def test_a_log_holds_with_every_anchor_it_ever_had(log: AuditLog) -> None:
    anchors = [log.append(event(str(number))) for number in range(5)]
    verdict = log.verify(anchors)
    assert verdict.ok
    assert verdict.anchored
    assert verdict.lines == 5


def test_an_anchor_of_another_line_is_named(log: AuditLog) -> None:
    log.append(*(event() for _ in range(4)))
    verdict = log.verify([Anchor(seq=2, sha256="0" * 64)])
    assert (verdict.ok, verdict.line) == (False, 3)


def test_an_anchor_beyond_the_end_tells_of_missing_lines(log: AuditLog) -> None:
    log.append(event(), event())
    verdict = log.verify([Anchor(seq=6, sha256="0" * 64)])
    assert (verdict.ok, verdict.line) == (False, 3)
    assert verdict.problem == "it is missing: the log once reached line 7"


def test_secrets_are_masked_before_they_are_written(log: AuditLog) -> None:
    log.append(
        event(f"run {TOKEN}", reason=f"used {TOKEN}", error=f"401 for {TOKEN}", inputs={"flag": f"--key={TOKEN}"})
    )
    (record,) = log.records()
    assert TOKEN not in record.model_dump_json()
    assert record.subject == "run [redacted]"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_is_one_line_and_comes_back(log: AuditLog, text: str) -> None:
    before = log.head()
    anchor = log.append(event(text, reason=text))
    (record,) = log.records(after=before.seq if before else -1)
    assert record.seq == anchor.seq == (before.seq + 1 if before else 0)
    assert record.subject == record.reason
    assert log.verify().ok


def test_bytes_that_are_no_text_are_written_as_escapes(log: AuditLog) -> None:
    log.append(event("run-\udcff"))
    assert next(log.records()).subject == "run-\\udcff"


def test_a_line_forged_by_a_newline_stays_inside_its_record(log: AuditLog) -> None:
    forged = json.dumps({"seq": 1, "action": "ALL_COMPLETE", "result": "success"})
    log.append(event(reason=f"fine\n{forged}\n"))
    assert [record.action for record in log.records()] == [Action.SUBMIT_JOB]
    assert log.verify().lines == 1


def test_names_that_look_like_links_do_not_confuse_the_chain(log: AuditLog) -> None:
    log.append(event(inputs={"a": "b", "prev": "0" * 64, "seq": "7"}), event(outputs={"a": "b", "prev": "x"}), event())
    assert log.verify().ok
