"""`ck groups`: a run, or a table of answers, compared by group and written down."""

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cruijff_kit.cli.groups import groups
from cruijff_kit.errors import ResultError, RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.groups import GroupRules
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.groups import compare_answer_groups, compare_run_groups
from tests.fakes.experiment import SMALL, design_of, plan_of, seal

QUICK = GroupRules(resamples=100, min_n=5)


def _csv(path: Path, *, rows: int = 400, worse: str = "b") -> Path:
    """Write answers whose probability column holds P(true label), one group answered at chance."""
    rng, text = np.random.default_rng(1), StringIO()
    writer = csv.writer(text)
    writer.writerow(("INPUT", "TRUE_LABEL", "PREDICTION", "P(TRUE LABEL)", "REGION"))
    for at in range(rows):
        share, group = rng.beta(1, 1), "abc"[at % 3]
        label = int(rng.random() < (0.5 if group == worse else share))
        writer.writerow((f"row {at}", label, int(share >= 0.5), f"{share if label else 1 - share:.4f}", group))
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def test_a_run_is_compared_by_a_group_column_and_every_figure_is_that_of_its_log(world: World, plan: Plan) -> None:
    run = plan.runs[0]
    receipt = compare_run_groups(run.id[:-3], "word_length", task="other_lengths", rules=QUICK, world=world)
    folder = f"groups/{run.id}_other_lengths_by_word_length"
    names = ("heterogeneity_report.json", "heterogeneity.txt", "heterogeneity.png")
    assert receipt.files == {f"{folder}/{name}": world.store.digest(f"{folder}/{name}") for name in names}
    found = json.loads(world.store.read_text(f"{folder}/heterogeneity_report.json") or "")
    assert set(found) >= {"summary", "heterogeneity_analysis", "identified_groups", "group_metrics"}
    assert list(found["group_metrics"]) == ["3", "4", "6", "7", "8", "9", "10"]
    assert (
        found["summary"]["total_samples"]
        == 7 * SMALL.others
        == sum(each["n"] for each in found["group_metrics"].values())
    )
    assert found["overall"]["auc"]["reason"] == "no sample has a probability of class 1 and a known class"
    assert (world.store.read(f"{folder}/heterogeneity.png") or b"").startswith(b"\x89PNG")
    assert receipt.table.startswith(f"{run.id}, other_lengths, by word_length"[:60])


def test_a_repeat_gives_the_same_bytes_and_is_recorded_once(world: World, plan: Plan) -> None:
    first = compare_run_groups(plan.runs[0].id, "word_length", rules=QUICK, world=world)
    assert compare_run_groups(plan.runs[0].id, "word_length", rules=QUICK, world=world) == first
    told = [record for record in world.audit.records() if record.verb == "groups"]
    assert [(record.outputs, len(record.inputs)) for record in told] == [(first.files, 1)]


def test_what_cannot_be_compared_is_refused_with_what_could_be(world: World, plan: Plan) -> None:
    with pytest.raises(SpecError, match="no group column `sex`; its group columns are `word_length`"):
        compare_run_groups(plan.runs[0].id, "sex", world=world)
    with pytest.raises(ResultError, match="it has `capitalization`, `other_lengths`"):
        compare_run_groups(plan.runs[0].id, "word_length", task="chess", world=world)
    with pytest.raises(RunError, match="no run is called"):
        compare_run_groups("nobody", "word_length", world=world)
    world.store.write(f"runs/{plan.runs[0].id}/eval/capitalization_epoch_0/DONE", b"torn")
    with pytest.raises(ResultError, match="its `DONE` cannot be read"):
        compare_run_groups(plan.runs[0].id, "word_length", world=world)
    assert not world.store.glob("groups", "*/*")


def test_of_red_data_small_groups_are_in_no_file(root: Path, world: World) -> None:
    red = plan_of(SMALL).model_copy(update={"tier": "red"})
    seal(root, design_of(SMALL), plan=red, anchor=world.audit.head() or pytest.fail("the record has a head"))
    # Eight samples of each word length: too few to show, all of them.
    receipt = compare_run_groups(red.runs[0].id, "word_length", task="other_lengths", rules=QUICK, world=world)
    found = json.loads(world.store.read_text(next(iter(receipt.files))) or "")
    assert found["group_metrics"] == {}
    assert "7 groups are withheld" in receipt.table


def test_a_table_says_what_its_probabilities_are_of_and_gets_the_auc_of_class_one(world: World, root: Path) -> None:
    file = _csv(root.parent / "answers.csv")
    receipt = compare_answer_groups(str(file), "REGION", probability_of="true", world=world)
    found = json.loads(world.store.read_text("groups/answers_by_REGION/heterogeneity_report.json") or "")
    assert found["identified_groups"]["outlying_in_both"] == ["b"]
    assert found["heterogeneity_analysis"]["n_outlying_in_both"] == 1
    assert found["summary"]["heterogeneity_found"] is receipt.found is True
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    ones = [float(row["P(TRUE LABEL)"]) for row in rows if row["REGION"] == "a" and row["TRUE_LABEL"] == "1"]
    noughts = [1 - float(row["P(TRUE LABEL)"]) for row in rows if row["REGION"] == "a" and row["TRUE_LABEL"] == "0"]
    beats = np.mean([(one > nought) + (one == nought) / 2 for one in ones for nought in noughts])
    assert found["group_metrics"]["a"]["auc"] == pytest.approx(float(beats), abs=1e-9)


def test_a_table_in_an_experiment_is_kept_as_closely_as_the_experiment(root: Path, world: World) -> None:
    red = plan_of(SMALL).model_copy(update={"tier": "red"})
    seal(root, design_of(SMALL), plan=red, anchor=world.audit.head() or pytest.fail("the record has a head"))
    file = _csv(root / "answers.csv", rows=40)
    receipt = compare_answer_groups(str(file), "REGION", probability_of="true", world=world)
    assert json.loads(world.store.read_text(next(iter(receipt.files))) or "")["summary"]["tier"] == "red"
    (file.parent / "TIER").write_text("crimson", encoding="utf-8")
    with pytest.raises(SpecError, match="says `crimson`"):
        compare_answer_groups(str(file), "REGION", probability_of="true", world=world)


def test_a_name_that_is_no_path_stays_inside_its_folder() -> None:
    assert ExperimentLayout.groups("../../etc", "a/b c") == "groups/etc_by_a-b-c"
    assert ExperimentLayout.groups("..", "...") == "groups/unnamed_by_unnamed"


def test_the_command_compares_a_table_outside_any_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    _csv(tmp_path / "answers.csv")
    arguments = ["answers.csv", "--by", "REGION", "--probability-of", "true", "--correction", "bh"]
    result = CliRunner().invoke(groups, arguments, obj=str(tmp_path), catch_exceptions=False)
    assert result.exit_code == 0
    assert "Benjamini-Hochberg-adjusted together" in result.output
    folder = tmp_path / "groups" / "answers_by_REGION"
    assert sorted(path.name for path in folder.iterdir()) == [
        "heterogeneity.png", "heterogeneity.txt", "heterogeneity_report.json",
    ]  # fmt: skip
    # Outside an experiment there is no record to keep.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "groups"]


@pytest.mark.parametrize(
    "arguments, fact",
    (
        (["rank4", "--by", "g", "--probability-of", "1"], "belong to a CSV"),
        (["a.csv", "--by", "g", "--task", "bits"], "a CSV has none"),
        (["missing.csv", "--by", "g"], "cannot be read"),
    ),
)
def test_options_that_do_not_belong_together_are_refused(tmp_path: Path, arguments: list[str], fact: str) -> None:
    with pytest.raises(SpecError, match=fact):
        CliRunner().invoke(groups, arguments, obj=str(tmp_path), catch_exceptions=False)
