"""What is run elsewhere brings its results here, and these are held against what finished jobs say."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.ports import Mirror
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.consent import allow_data, preview_allow
from cruijff_kit.workflow.mirror import run_there, sync_mirror
from tests.fakes.clock import FakeClock
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.home import FakeHome

MADE = "runs/r/made.json"


class Bench:
    """An experiment in one folder, its copy in another."""

    def __init__(self, root: Path) -> None:
        self.copy, self.there = root / "here" / "exp", root / "there" / "exp"
        self.copy.parent.mkdir()
        (self.there / "runs" / "r").mkdir(parents=True)
        self.say("green")
        self.home = FakeHome(self.copy, self.there, act=self._act)
        self.mirror = Mirror(self.home, DiskRunStore(self.copy), DiskAuditLog(self.copy, clock=FakeClock()))
        self.log = DiskAuditLog(self.there, clock=FakeClock())
        self.then: Callable[[], Any] = lambda: None

    def _act(self, words: Sequence[str]) -> int:
        self.then()
        return len(words)

    def say(self, tier: str, **plan: Any) -> None:
        """Declare the tier there, in the design and, where there is one, in the plan."""
        put_design(self.there, design(data={**DESIGN["data"], "tier": tier}))
        if plan:
            (self.there / "plan.json").write_text(json.dumps({"tier": tier, **plan}), encoding="utf-8")

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
    assert set(receipt.fetched) == {MADE, "runs/r/DONE", "logs/audit.jsonl", "experiment_summary.md"}


def test_what_changed_while_it_was_copied_is_copied_once_more(bench: Bench) -> None:
    class Late(FakeHome):
        def fetch(self, *, adapters: bool = False, again: bool = False, texts: bool = True) -> Any:
            came = super().fetch(adapters=adapters, again=again, texts=texts)
            if texts:
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
    (inputs / "TIER").write_text("green", encoding="utf-8")
    run_there(("cancel", "--reason", "wrong model"), mirror=bench.mirror)
    assert not (bench.there.parent / "inputs").exists()
    run_there(("submit",), mirror=bench.mirror)
    assert (bench.there.parent / "inputs" / "large.json").exists()


def test_a_verb_that_only_looks_copies_nothing_back(bench: Bench) -> None:
    bench.make("1")
    (bench.copy.parent / "inputs").mkdir()
    (bench.copy.parent / "inputs" / "yellow.json").write_text("1", encoding="utf-8")
    for word in ("status", "logs", "results", "search"):
        run_there((word,), mirror=bench.mirror)
    assert not (bench.copy / MADE).exists()


TEXTS = ("predictions/r.parquet", "data/words.json", "runs/r/slurm-1.out", "runs/r/eval/t/logs/a.eval", "notes.txt")


def fill(bench: Bench) -> None:
    for path in (*TEXTS, "results.parquet", "runs/r/metrics.jsonl", "report/index.html"):
        (bench.there / path).parent.mkdir(parents=True, exist_ok=True)
        (bench.there / path).write_text("zebra", encoding="utf-8")
    bench.record()


def consent(bench: Bench, sha256: str) -> None:
    """Record there what a person's consent records."""
    event = AuditEvent(
        actor=Actor(kind="human", name="ada"), verb="allow", action=Action.DECIDE_CONFIG, subject="data/words.json",
        inputs={"way": "host", "sha256": sha256}, outputs={"choice": "allowed"},
    )  # fmt: skip
    bench.log.append(event)


@pytest.mark.parametrize(
    "tier, agreed, comes",
    (
        ("green", None, True),
        ("yellow", None, False),
        ("yellow", "a", True),
        ("yellow", "b", False),
        ("red", "a", False),
    ),
)
def test_texts_come_from_there_as_far_as_their_tier_and_consent_there_let_them_and_figures_always(
    tier: str, agreed: str, comes: bool, bench: Bench
) -> None:
    fill(bench)
    bench.say(tier, datasets=[{"path": "data/words.json", "sha256": "a" * 64}])
    if agreed:
        consent(bench, agreed * 64)
    receipt = sync_mirror(adapters=True, mirror=bench.mirror)
    assert set(TEXTS) & set(receipt.fetched) == (set(TEXTS) if comes else set())
    assert {"results.parquet", "runs/r/metrics.jsonl", "report/index.html"} <= set(receipt.fetched)
    assert bool(receipt.withheld) != comes
    if tier == "yellow" and not comes:
        assert "`ck -C exp data allow --way host --reason …`" in receipt.withheld
    told: list[str] = []
    run_there(("watch",), tell=told.append, mirror=bench.mirror)
    assert bool(told) != comes


@pytest.mark.parametrize("datasets", (None, "none", [None], [{"file": "data/words.json"}]))
def test_a_plan_of_another_form_lets_no_text_come(datasets: Any, bench: Bench) -> None:
    fill(bench)
    bench.say("yellow", datasets=datasets)
    receipt = sync_mirror(mirror=bench.mirror)
    assert "no consent is on record" in receipt.withheld
    assert set(TEXTS).isdisjoint(receipt.fetched)


@pytest.mark.parametrize("folder, fact", (("data/red", "is red"), ("plain", "is yellow"), ("data/yellow", "is yellow")))
def test_inputs_that_may_not_leave_stay_and_no_verb_runs_there(folder: str, fact: str, bench: Bench) -> None:
    root = bench.copy.parent
    path = root / "inputs" / folder / "words.json"
    path.parent.mkdir(parents=True)
    path.write_text("zebra", encoding="utf-8")
    (root / "inputs" / "recipe.py").write_text("1", encoding="utf-8")
    for verb in (lambda: sync_mirror(mirror=bench.mirror), lambda: run_there(("submit",), mirror=bench.mirror)):
        with pytest.raises(PlanError, match=f"`inputs/{folder}/words.json` {fact}"):
            verb()
    assert bench.home.called == []
    assert not (bench.there.parent / "inputs").exists()


def test_yellow_inputs_go_there_by_consent_in_the_projects_record_until_they_change(bench: Bench) -> None:
    root = bench.copy.parent
    (root / "inputs").mkdir()
    (root / "inputs" / "words.json").write_text("zebra", encoding="utf-8")
    project = world_at(root)
    asked = preview_allow(["inputs/words.json"], way="host", world=project)
    allow_data(asked, reason="ours", who="ada", world=project)
    mirror = bench.mirror._replace(project=project.audit)
    assert sync_mirror(mirror=mirror).sent == ("inputs/words.json",)
    (root / "inputs" / "words.json").write_text("other", encoding="utf-8")
    with pytest.raises(PlanError, match="as it is now"):
        sync_mirror(mirror=mirror)
