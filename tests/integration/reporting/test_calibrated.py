"""From a scaffolded design with a calibration split to groups and a report: what calibrators keep of their promises."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.cli.calibrate import calibrate
from cruijff_kit.ports import World
from cruijff_kit.schema.calibration import CalibrationSettings, SplitFigures
from cruijff_kit.schema.groups import GroupRules
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, Plan
from cruijff_kit.workflow.calibrate import apply_calibrator, calibrate_run
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.groups import compare_run_groups
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.verify import verify_experiment
from tests.binary_run import SIZES, binary_answers, evaluated_world, write_evaluation
from tests.fakes.designed import world_at
from tests.integration.reporting.test_report import Page

QUICK = GroupRules(resamples=100)
ASKED: tuple[dict[str, Any], ...] = (
    {"temperature_split": "validation"},
    {"method": "ltt", "alpha": 0.2, "temperature_split": "validation"},
    {"method": "aps", "by": "site"},
)
"""What the first three runs are calibrated for."""


@pytest.fixture(scope="module")
def _calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("calibrated") / "experiment"
    world, plan = evaluated_world(root)
    collect_results(world=world)
    for run, asked in zip(plan.runs, ASKED, strict=False):
        calibrate_run(run.id, settings=CalibrationSettings.model_validate(asked), world=world)
    return root


@pytest.fixture
def judged(_calibrated: Path, tmp_path: Path) -> World:
    """Return a copy of an experiment whose first three runs are calibrated and whose base model is not."""
    root = Path(shutil.copytree(_calibrated, tmp_path / "copied" / "experiment"))
    return world_at(root)._replace(evaluations=InspectLogs())


@pytest.fixture
def sealed(judged: World) -> Plan:
    return recorded_plan(world=judged)[0]


def groups_of(world: World, run: str, *, rules: GroupRules = QUICK, task: str = "opinions_test") -> dict[str, Any]:
    receipt = compare_run_groups(run, "site", task=task, rules=rules, world=world)
    return json.loads(world.store.read_text(next(iter(receipt.files))) or "")


def traced(world: World) -> Iterator[tuple[str, Mapping[str, Any]]]:
    trace = json.loads(world.store.read_text("report/trace.json") or "")
    yield from ((each["figure"], each) for each in trace["figures"])


def test_the_report_shows_what_applying_each_calibrator_gives(judged: World, sealed: Plan) -> None:
    write_report(world=judged)
    figures = dict(traced(judged))
    for run in sealed.runs[:3]:
        applied = apply_calibrator(run.id, world=judged)
        names = ("coverage",) if applied.coverage else ("acted", "risk")
        for name in names:
            shown = figures[f"guarantee/{run.id}/opinions_test/{name}"]
            wanted = applied.coverage[0] if name == "coverage" else getattr(applied, name)
            assert (shown["value"], shown["low"], shown["high"], shown["n"]) == (
                wanted.value, wanted.low, wanted.high, wanted.n,
            )  # fmt: skip
            assert len(shown["references"]) == 2
    assert not any(key.startswith(f"guarantee/{sealed.runs[3].id}") for key in figures)


def test_guarantees_stand_in_words_with_n_alpha_and_delta(judged: World, sealed: Plan) -> None:
    write_report(world=judged)
    summary = judged.store.read_text("summary.md") or ""
    lines = [line for line in summary.partition("## Guarantees")[2].splitlines() if line.startswith("| `")]
    lac, ltt, aps = lines = lines[:3]
    assert "at least 90 % of sets hold the right option | 200 | 0.1 | - |" in lac
    assert "with probability 0.9 over calibration sets, the cost per sample acted on is at most 0.2" in ltt
    assert "| 200 | 0.2 | 0.1 | acted on" in ltt
    assert "within each `site`" in aps
    assert "lowest within `" in aps
    assert [f"`{run.id}`" in line for run, line in zip(sealed.runs, lines, strict=False)] == [True] * 3


def test_the_page_and_the_files_hold_the_three_plots(judged: World) -> None:
    receipt = write_report(world=judged)
    page = judged.store.read_text("report/index.html") or ""
    for name, title in (
        ("reliability", "Reliability of the probabilities"),
        ("roc", "ROC curves of two options"),
        ("risk_coverage", "Risk against coverage"),
    ):
        assert f'aria-label="{title}"' in page
        assert (judged.store.read(f"report/{name}.png") or b"").startswith(b"\x89PNG")
        assert f"report/{name}.png" in receipt.files
    assert "at temperature" in page
    assert Page(page).open == []
    assert [f'id="{key}"' in page for key in ("calibration", "scores", "guarantees", "ranking")] == [True] * 4


def test_a_report_with_calibrators_repeats_to_the_byte(judged: World) -> None:
    first, head = write_report(world=judged), judged.audit.head()
    assert write_report(world=judged) == first
    assert judged.audit.head() == head


def test_what_was_made_of_the_results_is_verified_and_a_digit_of_it_is_named(judged: World, sealed: Plan) -> None:
    groups_of(judged, sealed.runs[0].id)
    write_report(world=judged)
    found = verify_experiment(world=judged)
    assert found.ok, found.differences
    (groups,) = judged.store.root.glob("groups/*/heterogeneity_report.json")
    calibrator = judged.store.root / RunLayout(sealed.runs[0].id).calibrator
    for path in (groups, calibrator):
        content = path.read_bytes()
        place = next(at for at, byte in enumerate(content) if 49 <= byte <= 57)
        path.write_bytes(content[:place] + bytes([content[place] - 1]) + content[place + 1 :])
        wrong = verify_experiment(world=judged).differences
        assert wrong[0].path == str(path.relative_to(judged.store.root))
        assert wrong[0].kind == "file"
        path.write_bytes(content)


@pytest.mark.parametrize("content", (b"torn", b"{}"))
def test_a_calibrator_that_cannot_be_read_is_noted_and_the_report_goes_on(
    judged: World, sealed: Plan, content: bytes
) -> None:
    judged.store.write(RunLayout(sealed.runs[0].id).calibrator, content)
    write_report(world=judged)
    notes = (judged.store.read_text("summary.md") or "").partition("## Notes")[2]
    assert f"`runs/{sealed.runs[0].id}/calibrator.json` cannot be read" in notes


def test_a_calibrator_of_other_predictions_is_not_applied_and_says_why(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0]
    cell = next(each for each in run.cells if each.task.split == "calibration")
    write_evaluation(judged, run, cell=cell, n=SIZES["calibration"] - 1)
    write_report(world=judged)
    summary = (judged.store.read_text("summary.md") or "").partition("## Guarantees")[2]
    assert f"not applied: the calibrator of run `{run.id}` does not fit these predictions" in summary
    assert not any(key.startswith(f"guarantee/{run.id}") for key, _ in traced(judged))


def test_a_run_without_a_test_split_keeps_its_promise_unproven(tmp_path: Path) -> None:
    world, plan = evaluated_world(tmp_path / "e", sizes={"train": 20, "calibration": 60}, analysis={})
    collect_results(world=world)
    calibrate_run(plan.runs[0].id, world=world)
    write_report(world=world)
    assert "has no predictions of split `test`" in (world.store.read_text("summary.md") or "")


def test_coverage_by_group_is_that_of_the_calibrators_sets(judged: World, sealed: Plan) -> None:
    run = sealed.runs[2].id
    applied, found = apply_calibrator(run, world=judged), groups_of(judged, run)
    by_name = dict(zip(applied.categories, applied.coverage, strict=True))
    for site in ("north", "south", "west"):
        figure = found["group_metrics"][site]["figures"]["coverage"]
        wanted = by_name[site]
        assert (figure["value"], figure["low"], figure["high"], figure["n"]) == pytest.approx(
            (wanted.value, wanted.low, wanted.high, wanted.n)
        )
    assert found["overall"]["coverage"]["value"] == pytest.approx(_value(applied))
    assert found["overall"]["set_size"]["value"] == pytest.approx(applied.mean_set_size)
    sizes = [found["group_metrics"][site]["figures"]["set_size"] for site in ("north", "south", "west")]
    assert all(each["low"] < each["value"] < each["high"] for each in sizes)
    assert "`aps` sets, fitted within each `site`; promised: " in found["summary"]["notes"][0]


def test_coverage_follows_the_calibrator_and_is_stored_nowhere(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0].id
    before = groups_of(judged, run)["overall"]["coverage"]["value"]
    calibrate_run(run, settings=CalibrationSettings(alpha=0.4), world=judged)
    after = groups_of(judged, run)["overall"]["coverage"]["value"]
    assert after < before - 0.05
    assert after == pytest.approx(_value(apply_calibrator(run, world=judged)))


def test_small_groups_have_no_coverage_and_no_test(judged: World, sealed: Plan) -> None:
    found = groups_of(judged, sealed.runs[0].id, rules=GroupRules(resamples=100, min_n=100))
    west = found["group_metrics"]["west"]["figures"]
    for name in ("coverage", "set_size"):
        assert west[name]["value"] is None
        assert west[name]["reason"] == "not estimable: 60 samples, fewer than 100"
    assert "difference" not in west["coverage"]
    assert "difference" in found["group_metrics"]["north"]["figures"]["coverage"]


def test_a_group_whose_sets_miss_is_an_outlier_of_coverage_after_adjustment(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0]
    cell = next(each for each in run.cells if each.task.split == "test")
    spoil(judged, sealed, cell=cell)
    found = groups_of(judged, run.id)
    assert found["identified_groups"]["by_metric"]["coverage"]["west"] == "lower"
    difference = found["group_metrics"]["west"]["figures"]["coverage"]["difference"]
    assert difference["p_holm"] < 0.05
    assert difference["p_value"] <= difference["p_bh"] <= difference["p_holm"]
    assert difference["effect"] < -0.8
    assert found["summary"]["tests"] > 9


def spoil(world: World, plan: Plan, *, cell: Cell) -> None:
    """Answer one site the wrong way round in the test split, sure as before."""
    run = plan.runs[0]
    answers = [
        each.model_copy(update={"option_logprobs": each.option_logprobs[:: -1 if each.groups["site"] == "west" else 1]})
        for each in binary_answers(run, cell, n=SIZES[cell.task.split])
    ]  # fmt: skip
    write_evaluation(world, run, cell=cell, answers=answers)
    collect_results(world=world)


@pytest.mark.parametrize(
    "place, task, said",
    (
        (1, "opinions_test", "the calibrator (`ltt`) makes decisions, and no sets to cover"),
        (0, "opinions_calibration", "no coverage: split `calibration` is no test of the calibrator"),
        (0, "opinions_validation", "no coverage: split `validation` is no test of the calibrator"),
    ),
)
def test_where_there_is_no_coverage_to_judge_the_comparison_says_why(
    judged: World, sealed: Plan, place: int, task: str, said: str
) -> None:
    found = groups_of(judged, sealed.runs[place].id, task=task)
    assert said in " ".join(found["summary"]["notes"])
    assert found["overall"]["coverage"]["value"] is None


def test_predictions_that_were_not_collected_again_have_no_coverage(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0].id
    judged.store.write(f"predictions/{run}.parquet", b"edited")
    notes = " ".join(groups_of(judged, run)["summary"]["notes"])
    assert f"no coverage: `predictions/{run}.parquet` is not what was collected last" in notes


def test_a_run_without_a_calibrator_is_compared_as_before(judged: World, sealed: Plan) -> None:
    found = groups_of(judged, sealed.runs[3].id)
    assert found["summary"]["notes"] == []
    assert "set_size" not in found["group_metrics"]["north"]


def test_the_comparison_names_the_calibrator_among_its_inputs(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0].id
    groups_of(judged, run)
    (event,) = [each for each in judged.audit.records() if each.verb == "groups"]
    path = RunLayout(run).calibrator
    assert event.inputs[path] == judged.store.digest(path)


def test_samples_that_errored_have_no_set_and_no_share_in_coverage(judged: World, sealed: Plan) -> None:
    run = sealed.runs[0]
    cell = next(each for each in run.cells if each.task.split == "test")
    lost = {"error": "out of memory", "options": (), "option_logprobs": (), "correct": None, "parse_ok": False}
    answers = list(binary_answers(run, cell, n=SIZES["test"]))
    write_evaluation(judged, run, cell=cell, answers=[answers[0].model_copy(update=lost), *answers[1:]])
    collect_results(world=judged)
    found = groups_of(judged, run.id)
    assert found["overall"]["coverage"]["n"] == SIZES["test"] - 1
    assert found["overall"]["accuracy"]["n"] == SIZES["test"]


def test_the_command_calibrates_a_run_of_the_experiment(
    judged: World, sealed: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    arguments = [sealed.runs[3].id, "--method", "crc", "--alpha", "0.3", "--json"]
    result = CliRunner().invoke(calibrate, arguments, obj=str(judged.store.root), catch_exceptions=False)
    assert json.loads(result.output)["n"] == SIZES["calibration"]
    applied = [sealed.runs[3].id, "--apply", "test"]
    shown = CliRunner().invoke(calibrate, applied, obj=str(judged.store.root), catch_exceptions=False).output
    assert "promised: on average over calibration sets" in shown


def _value(applied: SplitFigures) -> float | None:
    return applied.coverage[0].value
