"""Whatever is done to a log behind its back is seen and named; whatever a crash does is not blamed."""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.schema.audit import Action, Anchor, Outcome
from tests.chained_log import event, log_file, open_log, raw_lines, rechained, spoil, write_lines
from tests.fakes.clock import FakeClock

LINES = 7
WRITER = """
import sys
from pathlib import Path
from tests.chained_log import event, open_log
log = open_log(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    log.append(event(f"{sys.argv[2]}-{number}"), event(f"{sys.argv[2]}-{number}-and"))
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_one_changed_byte_is_found_in_its_line(experiment: Path, where: float, mask: int) -> None:
    log = open_log(experiment, 0 if log_file(experiment).exists() else LINES)
    good = log_file(experiment).read_bytes()
    line = spoil(experiment, int(where * len(good)), mask)
    verdict = log.verify()
    log_file(experiment).write_bytes(good)
    assert (verdict.ok, verdict.line) == (False, line), verdict.problem
    assert log.verify().ok


@pytest.mark.parametrize("count", (1, 2, 3))
def test_every_bit_of_a_short_log_counts(experiment: Path, count: int) -> None:
    log = open_log(experiment, count)
    good = log_file(experiment).read_bytes()
    for offset in range(0, len(good), 3):
        line = spoil(experiment, offset, 1)
        verdict = log.verify()
        log_file(experiment).write_bytes(good)
        assert (verdict.ok, verdict.line) == (False, line), (offset, verdict.problem)


@pytest.mark.parametrize("line", range(1, LINES + 1))
def test_a_removed_line_is_named(experiment: Path, line: int) -> None:
    log = open_log(experiment, LINES)
    lines = raw_lines(experiment)
    write_lines(experiment, [*lines[: line - 1], *lines[line:]])
    verdict = log.verify()
    assert (verdict.ok, verdict.line) == (False, line)
    assert "missing" in (verdict.problem or "")


@pytest.mark.parametrize("line", range(1, LINES))
def test_two_swapped_lines_are_named_by_the_first(experiment: Path, line: int) -> None:
    log = open_log(experiment, LINES)
    lines = raw_lines(experiment)
    write_lines(experiment, [*lines[: line - 1], lines[line], lines[line - 1], *lines[line + 1 :]])
    verdict = log.verify()
    assert (verdict.ok, verdict.line) == (False, line)
    assert "out of order" in (verdict.problem or "")


@pytest.mark.parametrize("line", range(2, LINES + 1))
def test_an_inserted_line_is_named(experiment: Path, line: int) -> None:
    log = open_log(experiment, LINES)
    lines = raw_lines(experiment)
    forged = rechained([*lines[: line - 1], lines[0].replace(b"run-0", b"forged")])[-1]
    write_lines(experiment, [*lines[: line - 1], forged, *lines[line - 1 :]])
    verdict = log.verify()
    assert (verdict.ok, verdict.line) == (False, line)
    assert "inserted" in (verdict.problem or "")


@pytest.mark.parametrize("line", range(1, LINES + 1))
def test_a_careful_rewrite_of_the_rest_is_found_by_the_head(experiment: Path, line: int) -> None:
    log = open_log(experiment, LINES)
    lines = raw_lines(experiment)
    lines[line - 1] = lines[line - 1].replace(b"run-", b"ran-")
    write_lines(experiment, rechained(lines))
    verdict = log.verify()
    assert (verdict.ok, verdict.line) == (False, LINES)
    assert "rewritten" in (verdict.problem or "")


def test_an_earlier_anchor_names_an_earlier_place_of_a_rewrite(experiment: Path) -> None:
    log = open_log(experiment, 3)
    anchor = log.append(event("sealed"))
    open_log(experiment, LINES)
    lines = raw_lines(experiment)
    lines[1] = lines[1].replace(b"run-", b"ran-")
    write_lines(experiment, rechained(lines))
    assert log.verify([anchor]).line == anchor.seq + 1


def test_a_log_begun_anew_in_place_of_another_is_named(experiment: Path, tmp_path: Path) -> None:
    log = open_log(experiment, LINES)
    open_log(tmp_path / "other", LINES)
    shutil.copy(log_file(tmp_path / "other"), log_file(experiment))
    verdict = log.verify()
    assert (verdict.ok, verdict.line, verdict.anchored) == (False, 1, True)


def test_a_log_that_is_gone_is_missed(experiment: Path) -> None:
    log = open_log(experiment, LINES)
    log_file(experiment).unlink()
    assert (log.verify().ok, log.verify().line) == (False, 1)


def test_a_line_that_no_append_wrote_is_named_at_the_end(experiment: Path) -> None:
    log = open_log(experiment, LINES)
    lines = raw_lines(experiment)
    write_lines(experiment, rechained([*lines, lines[1]]))
    assert (log.verify().ok, log.verify().line) == (False, LINES + 1)


def test_bytes_that_no_append_began_are_named_at_the_end(experiment: Path) -> None:
    log = open_log(experiment, LINES)
    with log_file(experiment).open("ab") as file:
        file.write(b'{"action":')
    assert (log.verify().ok, log.verify().line) == (False, LINES + 1)


def test_what_was_cut_off_stays_missed_however_long_the_log_grows(experiment: Path) -> None:
    log = open_log(experiment, LINES)
    write_lines(experiment, raw_lines(experiment)[:-1])
    log.append(event("after"))
    log.append(event("long after"))
    warning = list(log.records())[LINES - 1]
    assert (warning.action, warning.result) == (Action.WARNING, Outcome.WARNING)
    assert warning.error == "the log does not end where its head was left"
    assert (log.verify().ok, log.verify().line) == (False, LINES)


def test_the_lines_of_another_writer_are_told_once_and_then_accepted(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = open_log(experiment, 2)
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(tmp_path / "colleague"))
    theirs = open_log(experiment, 2)
    assert theirs.verify().ok
    assert (mine.verify().ok, mine.verify().line) == (False, 3)
    mine.append(event())
    assert [record.action for record in mine.records(after=3)] == [Action.WARNING, Action.SUBMIT_JOB]
    assert mine.verify().ok


def test_a_log_without_a_head_holds_with_a_note(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_log(experiment, 2)
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(tmp_path / "elsewhere"))
    verdict = open_log(experiment).verify()
    assert (verdict.ok, verdict.anchored) == (True, False)
    assert "no head of this log" in verdict.notes[0]


def test_a_moved_experiment_keeps_its_head(experiment: Path, tmp_path: Path) -> None:
    open_log(experiment, LINES)
    moved = tmp_path / "moved"
    experiment.rename(moved)
    write_lines(moved, raw_lines(moved)[:-1])
    assert (open_log(moved).verify().ok, open_log(moved).verify().line) == (False, LINES)


def test_a_moved_experiment_goes_on_under_its_head(experiment: Path, tmp_path: Path) -> None:
    open_log(experiment, 2)
    moved = tmp_path / "moved"
    experiment.rename(moved)
    open_log(moved, 2)
    open_log(experiment, 1)
    for place, lines in ((moved, 4), (experiment, 2)):
        verdict = open_log(place).verify()
        assert (verdict.ok, verdict.anchored, verdict.lines) == (True, True, lines), verdict


def test_a_copy_and_its_original_go_on_apart(experiment: Path, tmp_path: Path) -> None:
    open_log(experiment, 2)
    copy = tmp_path / "copy"
    shutil.copytree(experiment, copy)
    assert not open_log(copy).verify().anchored
    open_log(copy, 3)
    open_log(experiment, 1)
    assert [open_log(place).verify().ok for place in (copy, experiment)] == [True, True]
    assert open_log(copy).verify().anchored


def test_an_experiment_removed_and_begun_again_says_so_and_holds(experiment: Path) -> None:
    open_log(experiment, 3)
    shutil.rmtree(experiment)
    log = open_log(experiment, 1)
    assert [record.error for record in log.records()] == ["another log was kept here before, and it is gone", None]
    assert log.verify().ok


def test_a_log_removed_from_under_its_runs_stays_missed(experiment: Path) -> None:
    log = open_log(experiment, 3)
    (experiment / "runs").mkdir()
    log_file(experiment).unlink()
    log.append(event())
    assert not log.verify().ok


@pytest.mark.parametrize("torn", (b"{", b'{"action":"SUBMIT_JOB","ac', "ü".encode()[:1] * 20_000))
def test_a_torn_last_line_is_repaired_and_recorded(experiment: Path, torn: bytes) -> None:
    log = open_log(experiment, 2)
    with log_file(experiment).open("ab") as file:
        file.write(torn)
    assert [record.subject for record in log.records()] == ["run-0", "run-1"]
    log.append(event("after"))
    warning, after = log.records(after=1)
    assert warning.action is Action.WARNING
    assert warning.inputs["torn_bytes"] == str(len(torn))
    assert warning.inputs["torn_sha256"] == hashlib.sha256(torn).hexdigest()
    assert after.subject == "after"
    assert log.verify().ok


def test_a_log_goes_on_only_from_a_record(experiment: Path) -> None:
    log = open_log(experiment, 2)
    with log_file(experiment).open("ab") as file:
        file.write(b"not a record\n")
    with pytest.raises(ResultError, match="the last line of the audit log is not a record"):
        log.append(event())
    with pytest.raises(ResultError, match="line 3 of the audit log is not a record: the whole: invalid JSON") as caught:
        list(log.records())
    assert str(caught.value).count("\n") == 2
    assert "pydantic" not in str(caught.value)
    assert log.verify().line == 3


def test_appending_reads_only_the_ends_of_a_long_log(experiment: Path) -> None:
    log = open_log(experiment, 1)
    log.append(*(event(str(number)) for number in range(2_000)))
    os.utime(log_file(experiment))
    with log_file(experiment).open("r+b") as file:
        file.seek(100_000)
        file.write(b"spoilt")
    assert log.append(event()).seq == 2_001


def test_a_log_is_no_link_to_another_file(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    log_file(experiment).parent.mkdir(parents=True)
    log_file(experiment).symlink_to(tmp_path / "other")
    with pytest.raises(SiteError, match="the audit log cannot be used"):
        open_log(experiment).append(event())
    assert (tmp_path / "other").read_bytes() == b""


def test_reading_and_verifying_write_nothing(experiment: Path, tmp_path: Path) -> None:
    log = open_log(experiment, 3)
    folders = (experiment, Path(os.environ["CRUIJFF_STATE_DIR"]))
    before = [(path, path.stat().st_mtime_ns) for folder in folders for path in sorted(folder.rglob("*"))]
    assert len(list(log.records())) == 3
    assert log.head() == log.head()
    assert not log.verify([Anchor(seq=0, sha256="0" * 64)]).ok
    assert before == [(path, path.stat().st_mtime_ns) for folder in folders for path in sorted(folder.rglob("*"))]


def test_heads_are_for_their_owner_alone(experiment: Path) -> None:
    open_log(experiment, 1)
    (head,) = (Path(os.environ["CRUIJFF_STATE_DIR"]) / "audit-heads").glob("*.head")
    assert stat.S_IMODE(head.stat().st_mode) == 0o600


def test_secrets_of_the_environment_are_masked(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2)
    log = DiskAuditLog(experiment, clock=FakeClock())
    log.append(event(f"key {'0123456789abcdef' * 2} seen"))
    assert next(log.records()).subject == "key [redacted] seen"


def test_several_processes_append_without_losing_a_line(experiment: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(experiment), name, "15"], cwd=Path(__file__).parents[3])
        for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    log = open_log(experiment)
    subjects = [record.subject for record in log.records()]
    assert log.verify().ok
    for name in "abc":
        own = [subject for subject in subjects if subject.startswith(name)]
        assert own == [f"{name}-{number}{ending}" for number in range(15) for ending in ("", "-and")]
    assert all(later == f"{first}-and" for first, later in zip(subjects[::2], subjects[1::2], strict=True))
