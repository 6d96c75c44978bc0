"""What a job writes of itself."""

import json
import os
import signal
from pathlib import Path

import pytest

from cruijff_kit.errors import ResultError, RunError
from cruijff_kit.runtime.files import file_sha256, write_aside
from cruijff_kit.runtime.job_files import (
    MetricsFile,
    StatusFile,
    Stopped,
    artefact_hashes,
    finished,
    now,
    stop_on_signals,
)
from cruijff_kit.schema.run import Done, JobStatus, MetricPoint


@pytest.fixture
def status_path(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def status(path: Path) -> JobStatus:
    return JobStatus.model_validate_json(path.read_bytes())


def test_a_metrics_line_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsFile(path) as metrics:
        metrics.write(MetricPoint(step=1, epoch=0, loss=0.5))
        assert MetricPoint.model_validate_json(path.read_text(encoding="utf-8")).loss == 0.5
        metrics.write(MetricPoint(step=2, epoch=0, val_loss=0.25))
    assert path.read_text(encoding="utf-8").splitlines()[1] == '{"step":2,"epoch":0,"val_loss":0.25}'


def test_a_second_run_replaces_the_metrics_of_the_first(tmp_path: Path) -> None:
    for step in (1, 2):
        with MetricsFile(tmp_path / "metrics.jsonl") as metrics:
            metrics.write(MetricPoint(step=step, epoch=0))
    assert (tmp_path / "metrics.jsonl").read_text(encoding="utf-8") == '{"step":2,"epoch":0}\n'


def test_the_status_tells_state_progress_and_job(status_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with StatusFile(status_path, every=0) as file:
        assert status(status_path).state == "starting"
        file.enter("running", "training")
        file.advance(3, 9, epoch=1)
        told = status(status_path)
        assert (told.state, told.message, told.step, told.total, told.epoch) == ("running", "training", 3, 9, 1)
        assert (told.job_id, told.pid) == ("17", os.getpid())


def test_progress_is_written_now_and_then_but_the_last_step_always(status_path: Path) -> None:
    file = StatusFile(status_path, every=3600)
    file.advance(1, 3)
    assert status(status_path).step == 0
    file.advance(3, 3)
    assert status(status_path).step == 3


def test_an_error_is_recorded_in_its_own_words_and_passes(status_path: Path) -> None:
    with pytest.raises(RunError), StatusFile(status_path):
        raise RunError("the loss is `nan` at step 4", run_id="r-12345678", hint="lower `lr`")
    assert status(status_path).state == "failed"
    assert status(status_path).message == "the loss is `nan` at step 4"


def test_a_job_that_is_asked_to_end_says_so(status_path: Path) -> None:
    stop_on_signals()
    with pytest.raises(Stopped) as stopped, StatusFile(status_path):
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143
    told = status(status_path)
    assert (told.state, told.message) == ("stopped", "stopped by SIGTERM")


def test_a_turn_after_the_first_of_a_job_carries_what_those_before_it_took(
    status_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    stop = Stopped(signal.SIGUSR1, again=True)
    file = StatusFile(status_path, every=0)
    file.begin(0)
    file.advance(4, 9)
    file.__exit__(Stopped, stop, None)
    first = status(status_path)
    assert (first.turn, first.earlier_seconds, first.first, first.state) == (1, 0, 0, "noticed")
    assert first.first_at is not None
    StatusFile(status_path).begin(4)
    second = status(status_path)
    assert (second.turn, second.first, second.step, second.saved) == (2, 4, 4, 4)
    assert second.earlier_seconds == pytest.approx((first.updated - first.started).total_seconds(), abs=0.001)
    assert (second.cpu_seconds or 0) >= (first.cpu_seconds or 0) > 0
    StatusFile(status_path)
    assert status(status_path).turn == 3
    assert status(status_path).earlier_seconds >= second.earlier_seconds
    # Another job of the run begins anew, and so does whoever runs it by hand.
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    StatusFile(status_path)
    assert (status(status_path).turn, status(status_path).earlier_seconds) == (1, 0)
    for _ in range(2):
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)
        StatusFile(status_path)
        assert status(status_path).turn == 1


def marker(experiment: Path, *artefacts: Path, exit_code: int = 0) -> Path:
    done = Done(exit_code=exit_code, artefacts=artefact_hashes(artefacts, experiment=experiment), finished=now())
    write_aside(experiment / "DONE", done.model_dump_json())
    return experiment / "DONE"


def test_a_marker_counts_only_while_its_artefacts_have_their_hashes(tmp_path: Path) -> None:
    experiment, outside = tmp_path / "experiment", tmp_path / "scratch.bin"
    inside = experiment / "runs" / "metrics.jsonl"
    write_aside(inside, "points")
    write_aside(outside, b"weights")
    done = marker(experiment, inside, outside)
    assert artefact_hashes([inside, outside], experiment=experiment) == {
        "runs/metrics.jsonl": file_sha256(inside),
        str(outside): file_sha256(outside),
    }
    assert finished(done, experiment=experiment)
    write_aside(outside, b"other weights")
    assert not finished(done, experiment=experiment)
    outside.unlink()
    assert not finished(done, experiment=experiment)


def test_no_marker_and_one_of_a_failure_count_for_nothing_and_one_that_nobody_can_open_stops_the_job(
    tmp_path: Path,
) -> None:
    assert not finished(tmp_path / "DONE", experiment=tmp_path)
    assert not finished(marker(tmp_path, exit_code=1), experiment=tmp_path)
    (tmp_path / "DONE").unlink()
    (tmp_path / "DONE").mkdir()
    with pytest.raises(ResultError, match="cannot be opened"):
        finished(tmp_path / "DONE", experiment=tmp_path)


def test_a_write_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    write_aside(tmp_path / "deep" / "file.txt", "one")
    write_aside(tmp_path / "deep" / "file.txt", "two")
    assert [path.read_text(encoding="utf-8") for path in (tmp_path / "deep").iterdir()] == ["two"]


DONE = {"schema_version": 1, "exit_code": 0, "artefacts": {}, "finished": "2026-11-20T09:00:00.000Z"}


@pytest.mark.parametrize(
    "content", (b"", b'{"exit_code": 0, "arte', b"\xff\xfe\x00", b"[" * 20_000, b'{"exit_code": "x"}')
)
def test_a_marker_that_is_torn_counts_for_nothing_and_that_is_told(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "DONE"
    marker.write_bytes(content)
    assert Done.found_in(content) is None
    assert Done.unread(content) == "it is torn, or was changed by hand"
    assert finished(marker, experiment=tmp_path) is None
    assert "DONE` cannot be read: it is torn" in capsys.readouterr().err


@pytest.mark.parametrize("change", ({"schema_version": 2}, {"schema_version": "2"}, {"signed_by": "ada"}))
def test_a_marker_of_another_version_stops_the_job_that_would_undo_its_work(
    change: dict[str, object], tmp_path: Path
) -> None:
    marker = tmp_path / "DONE"
    marker.write_text(json.dumps(DONE | change), encoding="utf-8")
    with pytest.raises(ResultError, match="DONE` cannot be read: another version of cruijff-kit wrote it"):
        finished(marker, experiment=tmp_path)
