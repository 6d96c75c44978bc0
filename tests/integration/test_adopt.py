"""Adopting a hand edit: what was really run stands in the plan, or the edit is refused whole."""

from pathlib import Path

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, RunError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Resolved
from cruijff_kit.workflow.scaffold import adopt_edit, scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from tests.integration.test_scaffold import contents, kinds, scaffolded


class Desk:
    """One scaffolded experiment, and a person who edits the files of its first run."""

    def __init__(self, root: Path) -> None:
        self.world, self.receipt = scaffolded(root)
        self.root = root
        self.run = RunLayout(self.receipt.runs[0])

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def setting(self, name: str) -> Resolved:
        return sealed_plan(world=self.world)[0].runs[0].settings[name]

    def refused(self, world: World) -> PlanError:
        before = contents(self.root)
        with pytest.raises(PlanError) as caught:
            adopt_edit(self.run.run_id, reason="try", world=world)
        assert contents(self.root) == before
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "parity")


def test_an_adopted_edit_is_sealed_told_and_recorded_with_its_reason(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5  # as in the paper")
    receipt = adopt_edit(desk.run.run_id, reason="as in the paper", world=desk.world)
    assert receipt.plan_id != desk.receipt.plan_id
    assert desk.setting("weight_decay") == Resolved(value=0.5, source="edit")
    assert load_yaml(desk.read(desk.run.run_yaml), name="x").value["settings"]["weight_decay"]["source"] == "edit"
    record = list(desk.world.audit.records())[-1]
    assert (record.action, record.subject, record.reason) == (
        Action.DECIDE_CONFIG,
        desk.run.run_id,
        "as in the paper",
    )
    assert "# as in the paper" in desk.read(desk.run.config)


def test_a_scaffold_after_an_adoption_changes_not_a_byte(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5 # why not")
    adopted = adopt_edit(desk.run.run_id, reason="why not", world=desk.world)
    before = contents(desk.root)
    again = scaffold_runs(world=desk.world)
    assert contents(desk.root) == before
    assert again.plan_id == adopted.plan_id
    assert kinds(again) == {desk.run.config: "edited"}


def test_adopting_twice_changes_nothing(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5")
    adopted = adopt_edit(desk.run.run_id, reason="once", world=desk.world)
    before = contents(desk.root)
    assert adopt_edit(desk.run.run_id, reason="twice", world=desk.world).plan_id == adopted.plan_id
    assert contents(desk.root) == before


def test_an_edit_of_stage_one_reaches_configurations_and_script(desk: Desk) -> None:
    desk.edit(desk.run.setup, 'system_prompt: ""', "system_prompt: Be brief.")
    desk.edit(desk.run.setup, "mem: null", "mem: 8G")
    adopt_edit(desk.run.run_id, reason="shorter answers", world=desk.world)
    for path in (desk.run.config, desk.run.cell_config("bits_epoch_0")):
        assert load_yaml(desk.read(path), name=path).value["dataset"]["system_prompt"] == "Be brief."
    assert parse_script(desk.read(desk.run.train_script)).mem == "8G"
    assert desk.setting("system_prompt") == Resolved(value="Be brief.", source="edit")
    before = contents(desk.root)
    scaffold_runs(world=desk.world)
    assert contents(desk.root) == before
    sealed_plan(world=desk.world)


def test_fewer_rows_change_the_steps_of_the_plan(desk: Desk) -> None:
    desk.edit(desk.run.config, "training_samples: null", "training_samples: 9")
    adopt_edit(desk.run.run_id, reason="try", world=desk.world)
    assert sealed_plan(world=desk.world)[0].runs[0].total_steps == 3


def test_a_script_may_ask_for_more_memory_but_not_for_more_time(desk: Desk) -> None:
    desk.edit(desk.run.train_script, "--cpus-per-task=1\n", "--cpus-per-task=1\n#SBATCH --mem=8G\n")
    adopt_edit(desk.run.run_id, reason="it needs more", world=desk.world)
    sealed_plan(world=desk.world)
    desk.edit(desk.run.train_script, "--time=01:00:00", "--time=09:00:00")
    assert [problem.path for problem in desk.refused(desk.world).problems] == ["time"]


def test_every_problem_of_an_edit_is_told_and_nothing_is_written(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: heavy")
    desk.edit(desk.run.config, "epochs: 1", "epoch: 1")
    desk.edit(desk.run.train_script, "set -e", "set -x")
    desk.edit(desk.run.run_yaml, "seed: 1", "seed: 2")
    problems = desk.refused(desk.world).problems
    assert {problem.path for problem in problems} >= {"optimizer.weight_decay", "epoch", "epochs"}
    assert {problem.place for problem in problems} == {desk.run.config, desk.run.train_script, desk.run.run_yaml}


@pytest.mark.parametrize(
    "old,new,path",
    (
        ("seed: 1", "seed: 7", "seed"),
        ("epochs: 1", "epochs: 2", "epochs"),
        ("output_dir: ", "output_dir: /tmp", "output_dir"),
        ("lora_rank: 4", "lora_rank: 5", "model.lora_rank"),
        ("split: train", "split: test", "split"),
    ),
)
def test_what_a_run_is_cannot_be_edited(desk: Desk, old: str, new: str, path: str) -> None:
    desk.edit(desk.run.config, old, new)
    assert path in {problem.path for problem in desk.refused(desk.world).problems}


def test_an_evaluation_stays_as_it_is_for_every_run(desk: Desk) -> None:
    cell = desk.run.cell_config("bits_epoch_0")
    desk.edit(cell, "  batch_size: 64", "  batch_size: 8")
    adopt_edit(desk.run.run_id, reason="memory", world=desk.world)
    sealed_plan(world=desk.world)
    desk.edit(cell, "max_tokens: 20", "max_tokens: 40")
    assert [problem.path for problem in desk.refused(desk.world).problems] == ["generation.max_tokens"]


def test_the_two_stages_must_agree(desk: Desk) -> None:
    desk.edit(desk.run.setup, "weight_decay: 0.01", "weight_decay: 0.1")
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.2")
    assert "say different things" in str(desk.refused(desk.world))


@pytest.mark.parametrize(
    "line", ("base_recipe: llama3_2/1B_lora_single_device", "project_dir: /scratch/x", "my_wandb_run_name: other")
)
def test_a_key_of_stage_one_that_cannot_count_here_is_refused(line: str, desk: Desk) -> None:
    name = line.partition(":")[0]
    text = desk.read(desk.run.setup)
    kept = "".join(each for each in text.splitlines(keepends=True) if not each.startswith(f"{name}:"))
    (desk.root / desk.run.setup).write_text(f"{kept}{line}\n", encoding="utf-8")
    assert desk.refused(desk.world).problems


def test_an_adopted_file_edited_again_is_noticed(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5")
    adopt_edit(desk.run.run_id, reason="once", world=desk.world)
    desk.edit(desk.run.config, "weight_decay: 0.5", "weight_decay: 0.6")
    with pytest.raises(PlanError, match="edited again"):
        scaffold_runs(world=desk.world)
    adopt_edit(desk.run.run_id, reason="twice", world=desk.world)
    assert desk.setting("weight_decay").value == 0.6


def test_overwriting_a_run_undoes_its_adoption(desk: Desk) -> None:
    before = contents(desk.root)
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5")
    adopt_edit(desk.run.run_id, reason="once", world=desk.world)
    undone = scaffold_runs(overwrite=(desk.run.run_id,), world=desk.world)
    assert undone.plan_id == desk.receipt.plan_id
    after = contents(desk.root)
    assert all(after[path] == before[path] for path in before if path.startswith("runs/"))
    assert desk.setting("weight_decay") == Resolved(value=0.01, source="default")
    assert recorded_plan(world=desk.world)[1].adopted == {}


def test_a_base_model_has_no_training_to_edit(desk: Desk) -> None:
    base = RunLayout(desk.receipt.runs[-1])
    desk.edit(base.cell_config("bits_base"), "  batch_size: 64", "  batch_size: 8")
    adopt_edit(base.run_id, reason="memory", world=desk.world)
    before = contents(desk.root)
    scaffold_runs(world=desk.world)
    assert contents(desk.root) == before


def test_a_run_that_is_not_there_cannot_be_adopted(desk: Desk) -> None:
    with pytest.raises(RunError):
        adopt_edit("nobody", reason="try", world=desk.world)


def test_a_changed_design_is_scaffolded_before_an_edit_is_adopted(desk: Desk) -> None:
    desk.edit(desk.run.config, "weight_decay: 0.01", "weight_decay: 0.5")
    desk.edit(ExperimentLayout.summary, "batch_size: 4", "batch_size: 8")
    assert "the design was changed" in str(desk.refused(desk.world))
