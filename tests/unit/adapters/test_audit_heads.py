"""Heads of logs: written in turn into two slots, allowed to be behind by one announced append."""

from pathlib import Path

import pytest

from cruijff_kit.adapters.audit_heads import AuditHeads, Head
from cruijff_kit.adapters.audit_lines import hash_of
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.schema.audit import Anchor
from tests.chained_log import event, log_file, open_log, raw_lines, write_lines

ID = "0123456789abcdef" * 2


def anchor(seq: int) -> Anchor:
    return Anchor(seq=seq, sha256=hash_of(b"line %d" % seq))


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


@pytest.fixture
def heads(tmp_path: Path) -> AuditHeads:
    return AuditHeads(tmp_path / "audit-heads")


def test_a_head_reads_back_as_it_was_written(heads: AuditHeads, tmp_path: Path) -> None:
    head = heads.opened(tmp_path / "log", ID).begun(anchor(3), anchor(1)).departed(Head(name="x", confirmed=anchor(9)))
    heads.write(tmp_path / "log", head, flush=True)
    assert heads.find(tmp_path / "log", ID) == head


@pytest.mark.parametrize("damage", (b"", b"\0" * 100, b'{"'))
def test_a_torn_slot_falls_back_to_the_one_before(heads: AuditHeads, tmp_path: Path, damage: bytes) -> None:
    before = heads.opened(tmp_path / "log", ID).begun(anchor(3), None)
    for head in (before, before.ended()):
        heads.write(tmp_path / "log", head, flush=False)
    path = tmp_path / "audit-heads" / f"{ID}.head"
    content = path.read_bytes()
    newer = 2048 * (before.ended().serial % 2)
    path.write_bytes(content[: newer + 20] + damage + content[newer + 20 + len(damage) :])
    assert heads.find(tmp_path / "log", ID) == (before if damage else before.ended())


def test_what_is_kept_never_outgrows_its_slot(heads: AuditHeads, tmp_path: Path) -> None:
    head = heads.opened(tmp_path / "log", ID)
    for seq in range(30):
        head = head.begun(anchor(seq + 50), anchor(seq + 50)).ended().begun(anchor(seq), anchor(seq))
        heads.write(tmp_path / "log", head, flush=False)
    assert heads.find(tmp_path / "log", ID) == head
    assert len(head.kept) == 8
    assert (tmp_path / "audit-heads" / f"{ID}.head").stat().st_size == 4096


@pytest.mark.parametrize(
    "last,allowed", ((None, False), (0, False), (1, True), (2, True), (3, True), (4, True), (5, False))
)
def test_a_log_may_end_anywhere_in_the_announced_append(last: int | None, allowed: bool) -> None:
    head = Head(name=ID, confirmed=anchor(1), pending=anchor(4))
    assert head.allows(None if last is None else anchor(last)) is allowed


def test_a_log_that_was_never_written_here_has_no_head(heads: AuditHeads, tmp_path: Path) -> None:
    assert heads.find(tmp_path / "log", None) is None
    assert heads.find(tmp_path / "log", ID) is None


@pytest.mark.parametrize(
    "lines,torn,note,warning",
    (
        (0, 0, "before its lines were written", "interrupted"),
        (0, 30, "torn by a crash after 30 bytes", "torn by a crash"),
        (1, 0, "before its lines were written", "interrupted"),
        (2, 30, "torn by a crash after 30 bytes", "torn by a crash"),
        (3, 0, "after its lines were written", None),
    ),
)
def test_an_append_cut_short_by_a_crash_is_noted_recorded_and_no_fault(
    experiment: Path, *, lines: int, torn: int, note: str, warning: str | None
) -> None:
    cut_short(experiment, lines, torn)
    log = open_log(experiment)
    verdict = log.verify()
    assert (verdict.ok, verdict.lines) == (True, 2 + lines), verdict
    assert note in verdict.notes[0]
    log.append(event("after"))
    told = [record.error for record in log.records() if record.verb == "audit"]
    assert len(told) == (warning is not None)
    assert all(warning in (error or "") for error in told if warning)
    assert log.verify().ok
    assert not log.verify().notes


def cut_short(experiment: Path, lines: int, torn: int) -> None:
    """Leave a log of two lines and its head as a crash does in an append of three more."""
    log = open_log(experiment, 2)
    last = log.head()
    end = log.append(event("a"), event("b"), event("c"))
    written = raw_lines(experiment)
    write_lines(experiment, written[: 2 + lines])
    if torn:
        with log_file(experiment).open("ab") as file:
            file.write(written[2 + lines][:torn])
    heads, place = AuditHeads(state_dir() / "audit-heads"), log_file(experiment).resolve()
    head = heads.find(place, None)
    assert head is not None
    told = {"serial": head.serial + 1, "confirmed": last, "pending": end}
    heads.write(place, head.model_copy(update=told), flush=True)
