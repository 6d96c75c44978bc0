"""A search round by round: what is written, in which order, and what may be claimed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.planning.search_space import number_of
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.sweep import SweepRecord
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run
from cruijff_kit.workflow.sweep import next_round, preview_sweep, read_sweep, watch_sweep
from tests.fakes.proposer import FakeProposer
from tests.searched import SEARCH, Searched, bowl, search_text, searched


def record(bench: Searched) -> SweepRecord:
    return SweepRecord.model_validate_json((bench.root / ExperimentLayout.search).read_text(encoding="utf-8"))


def trials(bench: Searched) -> dict[str, dict[str, Any]]:
    runs = read_design(bench.world).runs
    return {run.name: dict(run.parameters) for run in runs if number_of(run.name) is not None}


def told(bench: Searched) -> Iterator[tuple[str, str, str]]:
    return ((each.verb, each.action.value, each.subject) for each in bench.world.audit.records())


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """Return a search that was run to its end, for tests that only look at it."""
    bench = searched(tmp_path_factory.mktemp("ended"))
    assert bench.end().finished
    return bench


# --- rounds ---


def test_a_round_is_in_the_record_and_in_the_design_before_it_is_submitted(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    view = next_round(reason="begin", world=bench.world)
    assert view.waiting == ("default", "trial-001", "trial-002", "trial-003")
    assert list(trials(bench)) == ["trial-001", "trial-002", "trial-003"]
    events = list(told(bench))
    decided = events.index(("sweep", "DECIDE_CONFIG", "trial-003"))
    amended = next(at for at, each in enumerate(events) if each[0] == "amend" and each[1] == "CREATE_SUMMARY")
    submitted = next(at for at, each in enumerate(events) if each[1] == "SUBMIT_JOB")
    assert decided < amended < submitted
    assert len(bench.scheduler.requests) == 4


def test_while_a_round_goes_on_nothing_is_decided_and_nothing_submitted_twice(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    next_round(world=bench.world)
    before = (trials(bench), len(list(told(bench))), len(bench.scheduler.requests))
    assert next_round(world=bench.world).waiting
    assert (trials(bench), len(list(told(bench))), len(bench.scheduler.requests)) == before


def test_a_proposal_knows_the_rounds_before_it_and_that_its_own_is_open(ended: Searched) -> None:
    assert isinstance(ended.world.proposer, FakeProposer)
    first, last = ended.world.proposer.asked[0][1], ended.world.proposer.asked[-1][1]
    assert [each.open for each in first] == [True]
    assert [each.open for each in last] == [False] * 4 + [True] * 2
    assert all(each.value is not None for each in last[:4])


def test_two_searches_of_one_seed_are_the_same_to_the_byte(tmp_path: Path, ended: Searched) -> None:
    other, third = searched(tmp_path / "other"), searched(tmp_path / "third", {**SEARCH, "seed": 1})
    other.end()
    for path in (ExperimentLayout.search, ExperimentLayout.plan):
        assert (ended.root / path).read_bytes() == (other.root / path).read_bytes()
    next_round(world=third.world)
    assert trials(third)["trial-001"] != trials(ended)["trial-001"]


def test_earlier_runs_keep_their_ids_as_rounds_are_added(tmp_path: Path, ended: Searched) -> None:
    bench = searched(tmp_path)
    next_round(world=bench.world)
    before = [run.id for run in recorded_plan(world=bench.world)[0].runs]
    assert [run.id for run in recorded_plan(world=ended.world)[0].runs][: len(before)] == before


def test_a_value_is_told_with_the_file_and_the_hash_it_was_read_from(ended: Searched) -> None:
    assert len(record(ended).told) == 1 + 6 + 2
    for each in record(ended).told:
        for value in each.values:
            assert value.source == f"runs/{value.run}/metrics.jsonl"
            assert value.source_sha256 == ended.world.store.digest(value.source)


def test_a_space_that_is_used_up_ends_the_search_early(tmp_path: Path) -> None:
    bench = searched(tmp_path, {**SEARCH, "trials": 40, "space": {"lora_rank": [4, 8, 64]}})
    view = bench.end()
    # The default has rank 64 and was tried before the first trial.
    assert sorted(each["lora_rank"] for each in trials(bench).values()) == [4, 8]
    assert view.finished
    assert record(bench).exhausted


def test_the_metric_of_an_evaluation_is_searched_for_on_its_own_task(tmp_path: Path) -> None:
    tasks = [{"name": "bits", "task": "rows", "split": "validation", "scorers": ["match"]}]
    changes = {"tools": {}, "evaluation": {"tasks": tasks}}
    bench = searched(tmp_path, {**SEARCH, "metric": "match", "task": "bits"}, **changes)
    view = next_round(world=bench.world)
    assert (view.metric, view.minimise) == ("match", False)


# --- what may be claimed ---


def test_a_planted_effect_is_won_on_fresh_seeds(ended: Searched) -> None:
    view = read_sweep(world=ended.world)
    assert view.win is not None
    assert view.win.won
    assert len(view.win.values) == 6
    assert any(words.startswith("Win: ") for words in view.words)
    assert [row.seeds for row in view.rows] == [1] * 7 + [6] * 2


def test_fresh_seeds_are_those_nothing_has_used_and_the_same_for_both(tmp_path: Path) -> None:
    bench = searched(tmp_path, controls={"seeds": [1, 2], "batch_size": 4})
    bench.end()
    fresh = [run.seeds for run in read_design(bench.world).runs if run.name.endswith("-fresh")]
    assert len(fresh) == 2
    assert fresh[0] == fresh[1]
    assert not {1, 2} & set(fresh[0] or ())


def test_noise_alone_wins_nothing_though_some_trial_is_best(tmp_path: Path) -> None:
    def noise(run: PlannedRun) -> float:
        return int(run.id[-8:], 16) / 16**8

    view = searched(tmp_path, {**SEARCH, "trials": 12, "at_once": 6}).end(noise)
    assert view.win is None or not view.win.won
    assert any(words.startswith("No win") for words in view.words)


def test_where_no_trial_beats_the_default_no_fresh_run_is_spent(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    view = bench.end(lambda run: 0.5 if run.id.startswith("default") else bowl(run))
    assert view.win is None
    assert len(bench.scheduler.requests) == 1 + 6
    assert view.words[-1].startswith("No win: no trial did better")


def test_a_trial_without_a_value_is_told_so_and_the_search_goes_on(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    view = bench.end(lambda run: None if run.id.startswith("trial-002") else bowl(run))
    row = next(row for row in view.rows if row.name == "trial-002")
    assert row.value is None
    assert "training" in row.note
    assert view.finished
    assert view.win is not None


# --- what stops it ---


def test_nothing_is_submitted_before_somebody_agreed(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    (bench.root / ExperimentLayout.search).unlink()
    with pytest.raises(PlanError, match="nobody agreed"):
        next_round(world=bench.world)
    assert not bench.scheduler.requests


def test_a_search_that_was_made_longer_must_be_agreed_to_again(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    next_round(world=bench.world)
    summary = bench.root / ExperimentLayout.summary
    text = summary.read_text(encoding="utf-8")
    summary.write_text(text.replace("trials: 6", "trials: 60", 1), encoding="utf-8")
    with pytest.raises(PlanError, match="changed since it was agreed to"):
        next_round(world=bench.world)
    assert not preview_sweep(world=bench.world).approved


def test_trials_written_in_by_hand_are_not_paid_for_by_the_agreement(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    many = "".join(f"  - {{name: trial-{at:03d}, parameters: {{lr: {1e-4 / at}}}}}\n" for at in range(2, 40))
    summary = bench.root / ExperimentLayout.summary
    text = summary.read_text(encoding="utf-8")
    assert "runs: []\n" in text
    summary.write_text(text.replace("runs: []\n", f"runs:\n{many}", 1), encoding="utf-8")
    with pytest.raises(PlanError, match="39 trainings, and 19 were agreed to"):
        next_round(world=bench.world)
    assert not bench.scheduler.requests


def test_a_search_beyond_the_cap_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="the site's cap is"):
        searched(tmp_path, resources={"gpus": 8, "time": "10:00:00"})


def test_a_round_without_any_value_stops_the_search_and_can_be_tried_again(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    next_round(world=bench.world)
    while read_status(world=bench.world).moving:
        bench.train(lambda run: None)
    with pytest.raises(PlanError, match="no run of the last round"):
        next_round(world=bench.world)
    assert not record(bench).told
    for run in recorded_plan(world=bench.world)[0].runs:
        retry_run(run.id, reason="mended", world=bench.world)
    assert bench.end().finished


def test_a_cancelled_trial_waits_for_a_person(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    next_round(world=bench.world)
    stopped = recorded_plan(world=bench.world)[0].runs[-1].id
    cancel_runs(runs=(stopped,), reason="too dear", world=bench.world)
    bench.train()
    assert next_round(world=bench.world).waiting
    assert not record(bench).told
    retry_run(stopped, reason="after all", world=bench.world)
    assert bench.end().finished


def test_a_design_that_is_no_search_is_told_so(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    summary = bench.root / ExperimentLayout.summary
    summary.write_text(f"---\n{search_text(design='full')}---\n", encoding="utf-8")
    with pytest.raises(PlanError, match="the design is no search"):
        read_sweep(world=bench.world)


# --- watching and reporting ---


def test_a_watch_that_runs_out_of_time_leaves_the_round_to_the_next(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    views = list(watch_sweep(timeout=0, world=bench.world))
    assert [view.finished for view in views] == [False]
    bench.train()
    assert len(next(iter(watch_sweep(timeout=0, world=bench.world))).waiting) == 3


def test_a_watch_goes_from_round_to_round_until_the_search_has_ended(tmp_path: Path) -> None:
    bench = searched(tmp_path)
    views = []
    for view in watch_sweep(poll=0.0, progress=lambda _: bench.train(), world=bench.world):
        views.append(view)
        bench.train()
    assert views[-1].finished
    assert [len(view.waiting) for view in views] == [4, 3, 2, 0]


def test_the_report_says_first_what_the_search_may_claim(ended: Searched) -> None:
    receipt = write_report(world=ended.world)
    summary = (ended.root / receipt.summary).read_text(encoding="utf-8")
    assert any(line.startswith("Win: ") for line in receipt.bottom_line)
    assert "Best setting" not in summary
    assert "| `trial-006` |" in summary
    assert "`*` the best so far" in summary
    page = (ended.root / receipt.page).read_text(encoding="utf-8")
    assert '<section id="search" ' in page
    assert json.loads((ended.root / "report" / "trace.json").read_text(encoding="utf-8"))["figures"]
