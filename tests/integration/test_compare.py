"""`ck compare`: what may be subtracted is, by the right test; what may not is told with the reason."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scipy.stats import binomtest, ttest_ind

from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.schema.compared import Across, CompareRules, Contrast
from cruijff_kit.schema.data import DataSpec, TrainingData
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.collect import gather_results
from cruijff_kit.workflow.compare import compare_experiments
from tests.architecture.source import ROOT
from tests.compared import evaluated, opened
from tests.fakes.experiment import Size

PROMPT = "You write words with a capital letter."
TASK, CONTROL = "capitalization", "base"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of four experiments that tests only look at."""
    root = tmp_path_factory.mktemp("project")
    evaluated(root / "first")
    evaluated(root / "again", mark="_again", settings={"system_prompt": PROMPT, "lr_scheduler": "linear"})
    evaluated(root / "other_rows", mark="_rows", dataset={"sha256": "12" * 32})
    closed = DataSpec(training=TrainingData(generator="words"), tier="red")
    evaluated(root / "red", mark="_red", settings={"system_prompt": PROMPT}, spec={"data": closed})
    return root


def compared(project: Path, *names: str, **rules: Any) -> Across:
    asked = {"runs": (CONTROL,), **rules}
    return compare_experiments([opened(project / name) for name in names], rules=CompareRules(**asked))


def only(found: Across, task: str = TASK) -> Contrast:
    (chosen,) = [each for each in found.contrasts if each.task == task]
    return chosen


def answers_of(project: Path, name: str) -> tuple[Plan, Mapping[str, dict[str, bool]]]:
    world = opened(project / name)
    plan = Plan.model_validate_json(world.store.read(ExperimentLayout.plan) or b"")
    answers: dict[str, dict[str, bool]] = {}
    for each in gather_results(plan, world=world).predictions:
        if each.task == TASK:
            answers.setdefault(each.run, {})[each.sample_id] = bool(each.correct)
    return plan, answers


def test_one_run_of_each_is_compared_on_the_samples_that_both_answered(project: Path) -> None:
    found = compared(project, "first", "again", runs=("base", "lora_rank 16, lr 0.001"), tasks=(TASK,))
    contrast = next(
        each for each in found.contrasts if each.second == "B lora_rank 16, lr 0.001" and CONTROL in each.first
    )
    assert (contrast.over, contrast.difference.n) == ("shared samples", 40)
    base = next(iter(answers_of(project, "first")[1][run] for run in answers_of(project, "first")[1] if "base" in run))
    tuned = [run for name, run in answers_of(project, "again")[1].items() if "rank16_lr1e-03" in name]
    assert len(tuned) == 2
    mean = sum(each[key] - base[key] for each in tuned for key in base) / 80
    assert contrast.difference.value == pytest.approx(mean)
    assert contrast.test == "t-test over samples"
    assert "over samples, a difference is that of these trainings; other seeds may give another" in contrast.cautions


def test_base_models_are_told_apart_by_the_exact_test_on_pairs(project: Path) -> None:
    contrast = only(compared(project, "first", "again"))
    one, other = (
        next(each for run, each in answers_of(project, name)[1].items() if "base" in run) for name in ("first", "again")
    )
    gained = sum(other[key] and not one[key] for key in one)
    lost = sum(one[key] and not other[key] for key in one)
    assert contrast.difference.value == pytest.approx((gained - lost) / 40)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert (contrast.test, contrast.p_value) == ("exact McNemar test", pytest.approx(expected))
    assert contrast.difference.low is not None


def test_arms_of_several_seeds_are_compared_over_seeds(project: Path) -> None:
    contrast = only(compared(project, "first", "again", runs=("lora_rank 4, lr 0.001",)))
    values = []
    for name in ("first", "again"):
        answers = {run: each for run, each in answers_of(project, name)[1].items() if "rank4_lr1e-03" in run}
        values.append([sum(each.values()) / len(each) for each in answers.values()])
    wanted: Any = ttest_ind(values[1], values[0], equal_var=False)
    assert (contrast.over, contrast.difference.n, contrast.p_value) == ("seeds", 4, pytest.approx(wanted.pvalue))
    interval = wanted.confidence_interval(0.95)
    assert (contrast.difference.low, contrast.difference.high) == pytest.approx((interval.low, interval.high))


def test_a_difference_tells_every_key_that_the_runs_do_not_share_and_what_they_were_asked_otherwise(
    project: Path,
) -> None:
    contrast = only(compared(project, "first", "again", runs=("lora_rank 4, lr 0.001",)))
    assert {each.key: (each.first, each.second) for each in contrast.differs} == {
        "system_prompt": ("not set", PROMPT),
        "lr_scheduler": ("not set", "linear"),
    }
    assert "they were asked otherwise: system_prompt differ" in contrast.cautions
    # A base model was never trained, so what only training reads is no difference of it.
    assert [each.key for each in only(compared(project, "first", "again")).differs] == ["system_prompt"]


def test_figures_on_other_rows_are_shown_and_not_subtracted(project: Path) -> None:
    found = compared(project, "first", "other_rows")
    assert not found.contrasts
    assert {each.reasons for each in found.not_comparable} == {("data: `efefefefefef` in A, `121212121212` in B",)}
    assert {each.experiment for each in found.figures} == {"A", "B"}
    assert found.multiplicity == "nothing was tested"


def test_p_values_are_adjusted_over_all_differences_shown(project: Path) -> None:
    found = compared(project, "first", "again", runs=(), matched=True)
    assert len(found.contrasts) == 10
    raw = [each.p_value for each in found.contrasts if each.p_value is not None]
    assert [each.p_adjusted for each in found.contrasts if each.p_value is not None] == holm_adjusted(raw)
    assert found.multiplicity.startswith(f"{len(raw)} differences were tested")
    assert all(each.first.removeprefix("A ") in each.second for each in found.contrasts if "lora" in each.first)


def test_another_metric_is_compared_on_request_and_one_that_nobody_measured_is_refused(
    project: Path, tmp_path: Path
) -> None:
    evaluated(tmp_path / "plain")
    with pytest.raises(SpecError, match="no arm has a figure of --metric risk/auc") as caught:
        compared(project, "first", "again", metrics=("risk/auc",), runs=())
    assert "metrics are `match`" in caught.value.hint
    with pytest.raises(SpecError, match="no arm has a figure of --run nobody") as caught:
        compared(project, "first", "again", runs=("nobody",))
    assert "runs are `" in caught.value.hint
    found = compare_experiments(
        [opened(project / "first"), opened(tmp_path / "plain")],
        rules=CompareRules(metrics=("includes",), runs=("base",)),
    )
    assert {each.over for each in found.contrasts} == {"shared samples"}
    assert {each.p_value for each in found.contrasts} == {1.0}


def test_of_closed_data_prompts_are_told_by_hash_and_figures_of_few_samples_not_at_all(
    project: Path, tmp_path: Path
) -> None:
    found = compared(project, "first", "red")
    told = found.model_dump_json()
    assert PROMPT not in told
    assert only(found).differs[0].second.startswith("sha256 ")
    assert found.experiments[1].closed
    closed = DataSpec(training=TrainingData(generator="words"), tier="red")
    evaluated(tmp_path / "few", size=Size(words=9, others=1), spec={"data": closed}, mark="_few")
    few = compare_experiments([opened(project / "first"), opened(tmp_path / "few")], rules=CompareRules(runs=("base",)))
    hidden = [each for each in few.figures if each.experiment == "B"]
    assert [each.figure.value for each in hidden] == [None, None]
    assert all("fewer than 10 samples" in each.reason for each in hidden)


def test_the_command_tells_it_in_a_table_in_json_and_in_csv(project: Path) -> None:
    places = [str(project / name) for name in ("first", "again", "other_rows")]

    def said(*words: str) -> str:
        done = CliRunner().invoke(cli, ["compare", *places, "--run", CONTROL, *words])
        assert done.exit_code == 0, done.output
        return done.output

    text = said()
    assert "A  capitalize_2026-11-20  (first, 9 runs, plan cdcdcdcdcdcd)" in text
    assert "B base_again - A base" in text
    assert f"  system_prompt: not set -> {PROMPT}" in text
    assert "not comparable" in text
    whole = Across.model_validate(json.loads(said("--json")))
    rows = list(csv.DictReader(io.StringIO(said("--csv", "differences"))))
    assert [float(row["value"]) for row in rows] == [each.difference.value for each in whole.contrasts]
    figures = list(csv.DictReader(io.StringIO(said("--csv", "figures"))))
    assert [float(row["value"]) for row in figures] == [each.figure.value for each in whole.figures]


def test_what_cannot_be_compared_at_all_is_refused_with_the_remedy(project: Path, tmp_path: Path) -> None:
    world = opened(project / "first")
    with pytest.raises(SpecError, match="1 experiments are named"):
        compare_experiments([world])
    with pytest.raises(SpecError, match="`first` is named twice"):
        compare_experiments([world, world])
    with pytest.raises(SpecError, match=r"`level` is `1\.5`"):
        compare_experiments([world, opened(project / "again")], rules=CompareRules(level=1.5))
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match=r"`empty` cannot be compared: the experiment is not scaffolded\n"):
        compare_experiments([world, opened(tmp_path / "empty")])
    with pytest.raises(PlanError, match=r"`nothing` cannot be compared: .* there is no directory `nothing`"):
        compare_experiments([world, opened(tmp_path / "nothing")])


def test_every_command_of_the_page_on_comparing_has_the_options_that_it_names() -> None:
    text = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
    lines = [line.strip().partition(" #")[0] for line in text.splitlines() if line.startswith("    ck ")]
    assert len(lines) >= 7
    for line in lines:
        words = line.partition(" > ")[0].split()[1:]
        words = words[2:] if words[0] == "-C" else words
        command = cli.get_command(cli.make_context("ck", ["--help"], resilient_parsing=True), words[0])
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
