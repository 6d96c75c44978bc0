"""What is run elsewhere brings its results here, and these are held against what finished jobs say."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.errors import ResultError
from cruijff_kit.ports import Mirror
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.mirror import run_there, sync_mirror
from tests.fakes.clock import FakeClock
from tests.fakes.home import FakeHome

MADE = "runs/r/made.json"


class Bench:
    """An experiment in one folder, its copy in another."""

    def __init__(self, root: Path) -> None:
        self.copy, self.there = root / "here" / "exp", root / "there" / "exp"
        self.copy.parent.mkdir()
        (self.there / "runs" / "r").mkdir(parents=True)
        self.home = FakeHome(self.copy, self.there, act=self._act)
        self.mirror = Mirror(self.home, DiskRunStore(self.copy), DiskAuditLog(self.copy, clock=FakeClock()))
        self.log = DiskAuditLog(self.there, clock=FakeClock())
        self.then: Callable[[], Any] = lambda: None

    def _act(self, words: Sequence[str]) -> int:
        self.then()
        return len(words)

    def make(self, content: str) -> None:
        (self.there / MADE).write_text(content, encoding="utf-8")

    def vouch(self, content: str, *others: str) -> None:
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        artefacts = {MADE: sha256, **dict.fromkeys(others, sha256)}
        done = {"exit_code": 0, "artefacts": artefacts, "finished": "2026-01-02T03:04:05.000Z"}
        (self.there / "runs" / "r" / "DONE").write_text(json.dumps(done), encoding="utf-8")

    def record(self) -> None:
        actor = Actor(kind="human", name="ada", client=None)
        self.log.append(AuditEvent(actor=actor, verb="submit", action=Action.SUBMIT_JOB, subject="r"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_finished_jobs_vouch_for_is_verified_and_what_stayed_there_counts_as_neither(bench: Bench) -> None:
    bench.make("1")
    bench.vouch("1", "outputs/ck-out-r/adapter", "/far/away/adapter")
    bench.record()
    receipt = sync_mirror(mirror=bench.mirror)
    assert (receipt.verified, receipt.lines, bench.home.again) == (1, 1, 0)
    assert set(receipt.fetched) == {MADE, "runs/r/DONE", "logs/audit.jsonl"}


def test_what_changed_while_it_was_copied_is_copied_once_more(bench: Bench) -> None:
    class Late(FakeHome):
        def fetch(self, *, adapters: bool = False, again: bool = False) -> Any:
            came = super().fetch(adapters=adapters, again=again)
            bench.make("2")
            return came

    bench.make("1")
    bench.vouch("2")
    late = Late(bench.copy, bench.there)
    assert sync_mirror(mirror=bench.mirror._replace(home=late)).verified == 1
    assert late.again == 1


def test_a_file_that_no_job_made_is_an_error_that_names_both(bench: Bench) -> None:
    bench.make("1")
    bench.vouch("2")
    with pytest.raises(ResultError, match=r"`runs/r/made\.json` is not the file that `runs/r/DONE` vouches for"):
        sync_mirror(mirror=bench.mirror)


def test_a_record_that_was_changed_is_an_error(bench: Bench) -> None:
    bench.record()
    bench.record()
    path = bench.there / "logs" / "audit.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("ada", "bob", 1), encoding="utf-8")
    with pytest.raises(ResultError, match="of the audit log that came"):
        sync_mirror(mirror=bench.mirror)


def test_a_verb_is_run_there_and_what_it_made_is_here_after_it(bench: Bench) -> None:
    bench.then = lambda: (bench.make("1"), bench.vouch("1"))
    assert run_there(("watch", "--poll", "1"), mirror=bench.mirror) == 3
    assert bench.home.called == [("watch", "--poll", "1")]
    assert (bench.copy / MADE).read_text(encoding="utf-8") == "1"


def test_a_seal_of_a_newer_form_is_told_in_words(bench: Bench) -> None:
    (bench.there / ExperimentLayout.lock).write_text('{"schema_version": 99}', encoding="utf-8")
    with pytest.raises(ResultError, match="that came cannot be read") as told:
        sync_mirror(mirror=bench.mirror)
    assert "same version" in told.value.hint


def test_stopping_jobs_waits_for_no_input_to_be_copied(bench: Bench) -> None:
    inputs = bench.copy.parent / "inputs"
    inputs.mkdir()
    (inputs / "large.json").write_text("1", encoding="utf-8")
    run_there(("cancel", "--reason", "wrong model"), mirror=bench.mirror)
    assert not (bench.there.parent / "inputs").exists()
    run_there(("submit",), mirror=bench.mirror)
    assert (bench.there.parent / "inputs" / "large.json").exists()


def test_a_verb_that_only_looks_copies_nothing_back(bench: Bench) -> None:
    bench.make("1")
    for word in ("status", "logs"):
        run_there((word,), mirror=bench.mirror)
    assert not (bench.copy / MADE).exists()
