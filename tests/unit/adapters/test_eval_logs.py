"""Evaluation logs as inspect-ai writes and crashes leave them."""

import json
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.prediction import Prediction
from tests.fakes.eval_logs import write_log
from tests.fakes.experiment import SMALL, answers, plan_of

RUN = plan_of(SMALL).runs[0]


@pytest.fixture(scope="module")
def predictions() -> list[Prediction]:
    return list(answers(RUN, RUN.cells[0], size=SMALL))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, predictions: list[Prediction]) -> bytes:
    path = tmp_path_factory.mktemp("log") / "a.eval"
    write_log(path, predictions)
    return path.read_bytes()


def test_an_errored_sample_stays_in_the_record_without_a_verdict(tmp_path: Path, predictions: list[Prediction]) -> None:
    write_log(tmp_path / "a.eval", predictions, scorers=("match", "includes"), errored=("5-3", "5-7"))
    record = InspectLogs().read(tmp_path / "a.eval")
    failed = [each for each in record.predictions if each.error]
    assert [each.sample_id for each in failed] == ["5-3", "5-7"]
    assert {(each.run, each.groups["word_length"], each.error) for each in failed} == {(RUN.id, "5", "out of memory")}
    assert record.samples == len(record.predictions) == len(predictions)
    assert [len([v for v in verdicts if v is None]) for verdicts in record.verdicts.values()] == [2, 2]


def test_a_log_whose_samples_all_errored_still_counts_them(tmp_path: Path, predictions: list[Prediction]) -> None:
    write_log(tmp_path / "a.eval", predictions, errored=[each.sample_id for each in predictions])
    record = InspectLogs().read(tmp_path / "a.eval")
    assert (record.samples, record.predictions) == (len(predictions), ())


@pytest.mark.parametrize("status", ("error", "cancelled", "started"))
def test_the_logs_own_status_is_kept(tmp_path: Path, predictions: list[Prediction], status: str) -> None:
    write_log(tmp_path / "a.eval", predictions, status=status)
    assert InspectLogs().read(tmp_path / "a.eval").status == status


def test_scores_without_predictions_are_not_taken_for_this_packages(
    tmp_path: Path, predictions: list[Prediction]
) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    path = tmp_path / "a.eval"
    write_log(path, predictions)
    stranger = read_eval_log(path)
    for sample in stranger.samples or []:
        for score in (sample.scores or {}).values():
            score.metadata = None
    write_eval_log(stranger, path)
    record = InspectLogs().read(path)
    assert record.status == "unreadable"
    assert "it says neither run nor task" in record.error


def test_a_log_cut_off_anywhere_is_unreadable(tmp_path: Path, log: bytes) -> None:
    path = tmp_path / "a.eval"
    for size in (0, 1, 100, len(log) // 2, len(log) - 100, len(log) - 1):
        path.write_bytes(log[:size])
        assert InspectLogs().read(path).status == "unreadable", size


def test_a_log_with_a_damaged_byte_never_breaks_the_reader(tmp_path: Path, log: bytes) -> None:
    path, chance = tmp_path / "a.eval", Random(7)
    statuses = set()
    for _ in range(60):
        place = chance.randrange(len(log))
        path.write_bytes(log[:place] + bytes([log[place] ^ chance.randrange(1, 256)]) + log[place + 1 :])
        statuses.add(InspectLogs().read(path).status)
    assert "unreadable" in statuses


def test_a_log_whose_damage_reads_as_encryption_is_unreadable(tmp_path: Path, log: bytes) -> None:
    path, flagged = tmp_path / "a.eval", bytearray(log)
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = log.find(start)
        while place >= 0:
            flagged[place + flags] |= 1
            place = log.find(start, place + 1)
    path.write_bytes(bytes(flagged))
    record = InspectLogs().read(path)
    assert record.status == "unreadable"
    assert "encrypted" in record.error


def test_an_archive_that_is_no_log_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", "[]")
    assert InspectLogs().read(path).status == "unreadable"


def test_a_missing_log_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"nothing\.eval"):
        InspectLogs().read(tmp_path / "nothing.eval")


def test_what_no_figure_comes_from_may_be_anything(tmp_path: Path, log: bytes, predictions: list[Prediction]) -> None:
    """Conversations and events of another version of inspect-ai, or of none, cost no sample and no time."""
    path = tmp_path / "a.eval"
    strange = {"input": 7, "messages": [{"role": "unheard of"}], "events": "none", "store": [], "timelines": [{}]}
    path.write_bytes(_rewritten(log, lambda sample: sample | strange))
    record = InspectLogs().read(path)
    assert (record.status, record.samples, record.error) == ("success", len(predictions), "")
    assert {each.sample_id: each for each in record.predictions} == {each.sample_id: each for each in predictions}


def test_a_sample_that_was_written_again_counts_once_as_it_was_written_last(tmp_path: Path, log: bytes) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(_rewritten(log, _failed, over=log))
    record = InspectLogs().read(path)
    assert record.samples == SMALL.words
    assert record.verdicts == {"match": (False,) * SMALL.words}


def test_a_log_of_early_days_has_its_one_score_under_another_name(tmp_path: Path, log: bytes) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(_rewritten(log, lambda sample: sample | {"score": sample.pop("scores")["match"]}))
    (verdicts,) = InspectLogs().read(path).verdicts.values()
    assert len(verdicts) == SMALL.words


def test_samples_that_are_none_make_a_log_unreadable(tmp_path: Path, log: bytes) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(_rewritten(log, lambda sample: sample | {"scores": [1, 2]}))
    assert InspectLogs().read(path).status == "unreadable"


def _failed(sample: dict[str, Any]) -> dict[str, Any]:
    sample["scores"]["match"]["value"] = "I"
    return sample


def _rewritten(log: bytes, change: Callable[[dict[str, Any]], dict[str, Any]], *, over: bytes = b"") -> bytes:
    """Return a log whose samples were changed, added to those of another where that is given."""
    made = BytesIO(over)
    with (
        zipfile.ZipFile(BytesIO(log)) as old,
        zipfile.ZipFile(made, "a" if over else "w") as new,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        for name in old.namelist():
            content = old.read(name)
            if name.startswith("samples/"):
                content = json.dumps(change(json.loads(content))).encode()
            new.writestr(name, content)
    return made.getvalue()
