"""What every reader of evaluation logs must do, the fake and the real one."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.ports import EvalLogs
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord
from tests.fakes.eval_logs import FakeEvalLogs, write_log
from tests.fakes.experiment import SMALL, answers, plan_of

Maker = Callable[[Path, Sequence[Prediction]], EvalLogs]


def _real(path: Path, predictions: Sequence[Prediction]) -> EvalLogs:
    write_log(path, predictions, scorers=("match",))
    return InspectLogs()


def _fake(path: Path, predictions: Sequence[Prediction]) -> EvalLogs:
    path.write_bytes(b"stands for a log")
    verdicts = {"match": tuple(each.correct for each in predictions)}
    record = EvalLogRecord(
        path="", sha256="0" * 64, status="success", samples=len(predictions),
        predictions=tuple(predictions), verdicts=verdicts,
    )  # fmt: skip
    return FakeEvalLogs({path.name: record})


@pytest.fixture(params=(_real, _fake), ids=("inspect", "fake"))
def make(request: pytest.FixtureRequest) -> Maker:
    return request.param


@pytest.fixture
def predictions() -> list[Prediction]:
    run = plan_of(SMALL).runs[0]
    return sorted(answers(run, run.cells[1], size=SMALL), key=lambda each: each.sample_id)


def test_a_log_gives_every_sample_with_its_verdict(
    make: Maker, predictions: list[Prediction], hostile_path: Path
) -> None:
    path = hostile_path / "a.eval"
    record = make(path, predictions).read(path)
    assert (record.status, record.samples, record.error) == ("success", len(predictions), "")
    assert list(record.predictions) == predictions
    assert list(record.verdicts["match"]) == [each.correct for each in predictions]


def test_a_record_names_its_file_and_the_hash_of_its_bytes(
    make: Maker, predictions: list[Prediction], tmp_path: Path
) -> None:
    path = tmp_path / "a.eval"
    record = make(path, predictions).read(path)
    assert record.path == str(path)
    assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_foreign_file_is_unreadable_and_says_why(make: Maker, predictions: list[Prediction], tmp_path: Path) -> None:
    reader, foreign = make(tmp_path / "a.eval", predictions), tmp_path / "b.eval"
    foreign.write_bytes(b"no log at all")
    record = reader.read(foreign)
    assert (record.status, record.predictions) == ("unreadable", ())
    assert record.error
    assert record.sha256 == hashlib.sha256(b"no log at all").hexdigest()


def test_what_a_log_says_of_itself_is_told_without_its_samples(
    make: Maker, predictions: list[Prediction], tmp_path: Path
) -> None:
    path = tmp_path / "a.eval"
    told = make(path, predictions).look(path)
    assert (told.status, told.task, told.model) == ("success", predictions[0].task, "cruijff/tiny")
    assert (told.samples, told.sha256) == (len(predictions), hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_file_that_is_no_log_says_nothing_of_itself_but_why(
    make: Maker, predictions: list[Prediction], tmp_path: Path
) -> None:
    reader, foreign = make(tmp_path / "a.eval", predictions), tmp_path / "b.eval"
    foreign.write_bytes(b"no log at all")
    told = reader.look(foreign)
    assert (told.status, told.task) == ("unreadable", "")
    assert told.error
