"""Scaffolding on disk: written once, repeated without a change, edits kept, the seal last."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.audit import Action, Outcome
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock
from cruijff_kit.schema.receipt import ScaffoldReceipt
from cruijff_kit.schema.site import Environment, Site
from cruijff_kit.workflow.plan import make_plan
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from tests.fakes.designed import DESIGN, design, put_design, world_at

pytestmark = pytest.mark.once

SMALL: dict[str, Any] = {"factors": {"lora_rank": [4, 16]}, "controls": {"seeds": [1], "batch_size": 4}}


def scaffolded(root: Path, *, site: Site | None = None, **changes: Any) -> tuple[World, ScaffoldReceipt]:
    put_design(root, design(**{**SMALL, **changes}))
    world = world_at(root, site=site)
    return world, scaffold_runs(world=world)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def kinds(receipt: ScaffoldReceipt) -> dict[str, str]:
    return {change.path: change.kind for change in receipt.changes if change.kind != "unchanged"}


def lock_of(root: Path) -> DesignLock:
    return DesignLock.model_validate_json((root / ExperimentLayout.lock).read_bytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "parity"


def test_every_run_gets_its_files_and_the_seal_names_them_all(root: Path) -> None:
    _, receipt = scaffolded(root)
    lock = lock_of(root)
    on_disk = contents(root)
    assert {change.kind for change in receipt.changes} == {"create"}
    assert set(lock.files) == {change.path for change in receipt.changes}
    assert set(on_disk) - set(lock.files) == {
        "design.lock.json",
        "experiment_summary.md",
        "logs/audit.jsonl",
        "logs/scaffold-experiment.log",
    }
    tuned, base = RunLayout(receipt.runs[0]), RunLayout(receipt.runs[-1])
    assert {tuned.run_yaml, tuned.setup, tuned.config, tuned.train_script, tuned.eval_script} <= set(on_disk)
    assert {tuned.cell_config("bits_epoch_0"), base.cell_config("bits_base"), base.eval_script} <= set(on_disk)
    assert base.config not in on_disk


def test_a_second_scaffold_changes_not_a_byte(root: Path) -> None:
    world, first = scaffolded(root)
    before = contents(root)
    second = scaffold_runs(world=world)
    assert contents(root) == before
    assert second.plan_id == first.plan_id
    assert {change.kind for change in second.changes} == {"unchanged"}


def test_another_machine_scaffolds_the_same_bytes(root: Path) -> None:
    scaffolded(root)
    before = contents(root)
    for path in sorted(root.rglob("*"), reverse=True):
        if path.name != ExperimentLayout.summary:
            path.rmdir() if path.is_dir() else path.unlink()
    scaffold_runs(world=world_at(root))
    again = contents(root)
    told = ("logs/", ExperimentLayout.lock)
    assert {path: text for path, text in again.items() if not path.startswith(told)} == {
        path: text for path, text in before.items() if not path.startswith(told)
    }


def test_a_dry_run_shows_every_file_and_writes_nothing(root: Path) -> None:
    put_design(root, design(**SMALL))
    shown = scaffold_runs(dry_run=True, world=world_at(root))
    assert list(contents(root)) == [ExperimentLayout.summary]
    written = scaffold_runs(world=world_at(root))
    assert shown.plan_id == written.plan_id
    assert {change.path: change.content.encode() for change in shown.changes} == {
        path: text for path, text in contents(root).items() if path in lock_of(root).files
    }


def test_the_seal_is_anchored_in_the_line_that_tells_of_it(root: Path) -> None:
    world, receipt = scaffolded(root)
    lock = lock_of(root)
    head = world.audit.head()
    assert head is not None
    assert (lock.anchor_seq, lock.anchor_sha256) == (head.seq, head.sha256)
    records = list(world.audit.records())
    assert [record.action for record in records] == [
        Action.CREATE_RUN_DIR,
        Action.GENERATE_YAML,
        Action.GENERATE_SLURM,
    ]
    assert {record.outputs["plan_id"] for record in records} == {receipt.plan_id}


def test_the_plan_that_was_sealed_is_read_back_equal(root: Path) -> None:
    world, _ = scaffolded(root)
    plan, lock = sealed_plan(world=world)
    fresh = make_plan(design(**SMALL), world=world)
    assert json.loads(plan.model_dump_json()) == json.loads(fresh.model_dump_json())
    assert lock.runs == tuple(run.id for run in plan.runs)


def test_a_run_file_a_person_edited_is_shown_and_kept_and_blocks_submission(root: Path) -> None:
    world, receipt = scaffolded(root)
    path = RunLayout(receipt.runs[0]).config
    edited = (root / path).read_text(encoding="utf-8").replace("lr: 0.0001", "lr: 0.5")
    (root / path).write_text(edited, encoding="utf-8")
    again = scaffold_runs(world=world)
    assert kinds(again) == {path: "edited"}
    diff = next(change.diff for change in again.changes if change.path == path)
    assert "-  lr: 0.5\n" in diff and "+  lr: 0.0001\n" in diff  # noqa: PT018 - one diff
    assert (root / path).read_text(encoding="utf-8") == edited
    with pytest.raises(PlanError, match="changed since they were scaffolded") as caught:
        sealed_plan(world=world)
    assert path in str(caught.value)
    assert recorded_plan(world=world)[1].plan_id == receipt.plan_id


@pytest.mark.parametrize("by_run", (True, False))
def test_an_edit_is_undone_only_when_named(root: Path, by_run: bool) -> None:
    world, receipt = scaffolded(root)
    before = contents(root)
    path = RunLayout(receipt.runs[0]).train_script
    (root / path).write_text("#!/bin/bash\n", encoding="utf-8")
    done = scaffold_runs(overwrite=(receipt.runs[0] if by_run else path,), world=world)
    assert kinds(done) == {path: "overwrite"}
    assert (root / path).read_bytes() == before[path]
    assert sealed_plan(world=world)[1].plan_id == receipt.plan_id
    warned = [record for record in world.audit.records() if record.result is Outcome.WARNING]
    assert [record.outputs for record in warned] == [{path: "replaced", "files": "1"}]


def test_overwrite_refuses_a_name_that_is_not_there(root: Path) -> None:
    world, receipt = scaffolded(root)
    with pytest.raises(PlanError, match="did you mean"):
        scaffold_runs(overwrite=(receipt.runs[0][:-1],), world=world)


def test_a_design_changed_since_is_refused_until_it_is_scaffolded(root: Path) -> None:
    world, first = scaffolded(root)
    put_design(root, design(**{**SMALL, "resources": {"time": "02:00:00"}}))
    with pytest.raises(PlanError, match="the design was changed"):
        sealed_plan(world=world)
    again = scaffold_runs(world=world)
    assert again.runs == first.runs
    assert again.plan_id != first.plan_id
    changed = kinds(again)
    assert set(changed.values()) == {"overwrite"}
    assert RunLayout(first.runs[0]).train_script in changed
    assert parse_script((root / RunLayout(first.runs[0]).train_script).read_text(encoding="utf-8")).time == "02:00:00"


def test_more_seeds_add_runs_and_leave_the_others_untouched(root: Path) -> None:
    world, first = scaffolded(root)
    before = contents(root)
    put_design(root, design(**{**SMALL, "controls": {**SMALL["controls"], "seeds": [1, 2]}}))
    again = scaffold_runs(world=world)
    assert set(first.runs) < set(again.runs)
    after = contents(root)
    assert all(after[path] == before[path] for path in before if path.startswith(("runs/", "data/")))
    assert {path for path, kind in kinds(again).items() if kind == "overwrite"} == {ExperimentLayout.plan}


def submitted(root: Path, run: str) -> None:
    intent = root / RunLayout(run).intent("train", 1)
    intent.parent.mkdir(parents=True)
    intent.write_text("{}", encoding="utf-8")


def test_a_run_nobody_submitted_may_leave_the_design_and_stays_on_disk(root: Path) -> None:
    world, first = scaffolded(root)
    put_design(root, design(**{**SMALL, "factors": {"lora_rank": [4]}}))
    again = scaffold_runs(world=world)
    gone = set(first.runs) - set(again.runs)
    assert {path for path, kind in kinds(again).items() if kind == "removed"} == {f"runs/{run}" for run in gone}
    assert all((root / "runs" / run).is_dir() for run in gone)
    assert not gone & set(lock_of(root).runs)


def test_of_many_runs_that_cannot_leave_the_number_untold_is_told(root: Path) -> None:
    world, first = scaffolded(root, factors={"lora_rank": [4, 8, 16, 32, 64, 128, 2, 3, 5, 6]})
    for run in first.runs:
        submitted(root, run)
    put_design(root, design(**{**SMALL, "factors": {"lora_rank": [7]}}))
    with pytest.raises(PlanError, match="submitted runs would be lost") as caught:
        scaffold_runs(world=world)
    assert len(caught.value.problems) == 9
    assert re.fullmatch(r"and \d+ more", caught.value.problems[-1].message)


def test_a_submitted_run_cannot_leave_the_design(root: Path) -> None:
    world, first = scaffolded(root)
    submitted(root, first.runs[1])
    before = contents(root)
    put_design(root, design(**{**SMALL, "factors": {"lora_rank": [4]}}))
    with pytest.raises(PlanError, match="would be lost") as caught:
        scaffold_runs(world=world)
    assert first.runs[1] in str(caught.value)
    assert {path: text for path, text in contents(root).items() if path != ExperimentLayout.summary} == {
        path: text for path, text in before.items() if path != ExperimentLayout.summary
    }


def test_a_submitted_run_keeps_its_files_unless_it_is_named(root: Path) -> None:
    world, first = scaffolded(root)
    submitted(root, first.runs[0])
    put_design(root, design(**{**SMALL, "resources": {"time": "02:00:00"}}))
    with pytest.raises(PlanError, match="submitted with other files"):
        scaffold_runs(world=world)
    done = scaffold_runs(overwrite=(first.runs[0],), world=world)
    assert kinds(done)[RunLayout(first.runs[0]).train_script] == "overwrite"


def test_a_lost_seal_is_made_again_and_nothing_else_is_written(root: Path) -> None:
    world, first = scaffolded(root)
    before = contents(root)
    (root / ExperimentLayout.lock).unlink()
    again = scaffold_runs(world=world)
    assert again.plan_id == first.plan_id
    aside = {ExperimentLayout.lock, "logs/audit.jsonl", "logs/scaffold-experiment.log"}
    assert all(text == before[path] for path, text in contents(root).items() if path not in aside)


def test_an_unreadable_seal_is_not_taken_for_none(root: Path) -> None:
    world, _ = scaffolded(root)
    (root / ExperimentLayout.lock).write_text("{", encoding="utf-8")
    with pytest.raises(PlanError, match="cannot be read"):
        scaffold_runs(world=world)


def test_a_plan_that_was_tampered_with_is_not_read(root: Path) -> None:
    world, _ = scaffolded(root)
    plan = root / ExperimentLayout.plan
    plan.write_text(plan.read_text(encoding="utf-8").replace("0.0001", "0.0002"))
    with pytest.raises(PlanError, match=r"plan\.json` is not as it was sealed"):
        recorded_plan(world=world)
    scaffold_runs(overwrite=(ExperimentLayout.plan,), world=world)
    recorded_plan(world=world)


def test_nothing_is_sealed_before_the_first_scaffold(root: Path) -> None:
    put_design(root, design(**SMALL))
    with pytest.raises(PlanError, match="not scaffolded"):
        sealed_plan(world=world_at(root))


def test_without_a_design_there_is_nothing_to_scaffold(root: Path) -> None:
    with pytest.raises(PlanError, match="no design"):
        scaffold_runs(world=world_at(root))


def test_scripts_and_configurations_survive_a_hostile_directory(hostile_path: Path) -> None:
    root = hostile_path / 'it\'s 100% "mine"; $(touch no) `x`'
    if "\n" in str(root):
        put_design(root, design(**SMALL))
        with pytest.raises(PlanError, match=r"U\+000A"):
            scaffold_runs(world=world_at(root))
        assert list(contents(root)) == [ExperimentLayout.summary]
        return
    _, receipt = scaffolded(root)
    layout = RunLayout(receipt.runs[0])
    script = root / layout.train_script
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert parse_script(script.read_text(encoding="utf-8")).folder == str(root / layout.folder)
    config = TrainConfig.model_validate(load_yaml((root / layout.config).read_text(encoding="utf-8"), name="x").value)
    assert config.run_dir == str(root / layout.folder)


def test_the_site_decides_how_python_is_reached_and_where_checkpoints_go(root: Path) -> None:
    put_design(root, design(**SMALL))
    site = Site(output_dir_base="/scratch/ada", partition="gpu", environment=Environment(kind="conda", name="kit"))
    receipt = scaffold_runs(world=world_at(root, site=site))
    layout = RunLayout(receipt.runs[0])
    job = parse_script((root / layout.train_script).read_text(encoding="utf-8"))
    assert (job.conda, job.partition, job.command[0]) == ("kit", "gpu", "python")
    config = TrainConfig.model_validate(load_yaml((root / layout.config).read_text(encoding="utf-8"), name="x").value)
    assert config.output_dir == f"/scratch/ada/parity/{layout.output}"


def test_an_environment_without_a_name_is_the_sites_mistake(root: Path) -> None:
    put_design(root, design(**SMALL))
    with pytest.raises(SiteError, match="has no name"):
        scaffold_runs(world=world_at(root, site=Site(environment=Environment(kind="venv"))))


def test_one_evaluation_job_goes_through_all_cells_of_its_run(root: Path) -> None:
    tasks = [{"name": "bits", "task": "rows"}, {"name": "more", "task": "rows", "split": "validation"}]
    _, receipt = scaffolded(root, evaluation={"tasks": tasks})
    layout = RunLayout(receipt.runs[0])
    job = parse_script((root / layout.eval_script).read_text(encoding="utf-8"))
    paths = [str(root / layout.cell_config(f"{name}_epoch_0")) for name in ("bits", "more")]
    assert job.command[1:] == ("-m", "cruijff_kit.runtime.evaluate", *paths)
    cell = EvalConfig.model_validate(load_yaml(Path(paths[1]).read_text(encoding="utf-8"), name="x").value)
    assert (cell.split, cell.expected_samples) == ("validation", 8)


def test_without_evaluation_there_are_only_training_jobs(root: Path) -> None:
    _, receipt = scaffolded(root, tools={"evaluation": "none"}, runs=[])
    assert not (root / RunLayout(receipt.runs[0]).eval_script).exists()
    assert (root / RunLayout(receipt.runs[0]).train_script).exists()


def test_a_recipe_of_ones_own_is_run_by_its_path_and_counts_by_its_content(root: Path) -> None:
    root.mkdir()
    (root / "mine.py").write_text("a = 1\n", encoding="utf-8")
    controls = {**SMALL["controls"], "recipe": "mine.py"}
    world, first = scaffolded(root, controls=controls)
    job = parse_script((root / RunLayout(first.runs[0]).train_script).read_text(encoding="utf-8"))
    assert job.command[1] == str(root / "mine.py")
    (root / "mine.py").write_text("a = 2\n", encoding="utf-8")
    assert not set(first.runs[:-1]) & {
        run.id for run in make_plan(design(**{**SMALL, "controls": controls}), world=world).runs
    }


def test_a_recipe_of_ones_own_is_sealed_as_data_is(root: Path) -> None:
    root.mkdir()
    (root / "mine.py").write_text("a = 1\n", encoding="utf-8")
    world, _ = scaffolded(root, controls={**SMALL["controls"], "recipe": "mine.py"})
    assert sealed_plan(world=world)[1].inputs[str(root / "mine.py")]
    (root / "mine.py").write_text("a = 2\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"mine\.py"):
        sealed_plan(world=world)


@pytest.mark.parametrize("gpus,program", ((1, "lora_single_device"), (4, "lora_distributed")))
def test_the_first_systems_recipes_are_ours_and_change_no_run(gpus: int, program: str, root: Path) -> None:
    name = "cruijff_kit.tools.torchtune.custom_recipes.lora_finetune_single_device_val"
    plain = make_plan(design(**SMALL), world=world_at(root))
    controls, resources = {**SMALL["controls"], "recipe": name}, {"gpus": gpus}
    _, receipt = scaffolded(root, controls=controls, resources=resources)
    assert receipt.runs == tuple(run.id for run in plain.runs)
    job = parse_script((root / RunLayout(receipt.runs[0]).train_script).read_text(encoding="utf-8"))
    assert job.command[1:3] == ("-m", f"cruijff_kit.recipes.{program}")


def test_a_recipe_that_is_not_there_is_refused(root: Path) -> None:
    put_design(root, design(**{**SMALL, "controls": {"recipe": "mine.py"}}))
    with pytest.raises(SpecError, match=r"mine\.py"):
        scaffold_runs(world=world_at(root))


def test_each_distinct_data_set_is_made_once(root: Path) -> None:
    _, receipt = scaffolded(root, factors={"data.p": [0, 0.25], "lora_rank": [4, 16]})
    assert len(receipt.runs) == 5
    made = sorted(path for path in contents(root) if path.startswith("data/"))
    assert [path.partition(".")[2] for path in made] == ["json", "meta.json"] * 2


def test_files_of_one_name_in_two_places_stay_apart(root: Path) -> None:
    rows = {"train": [{"input": "a", "output": "b"}], "test": [{"input": "c", "output": "d"}]}
    for folder, answer in (("one", "x"), ("two", "y")):
        (root / folder).mkdir(parents=True)
        rows["train"][0]["output"] = answer
        (root / folder / "set.json").write_text(json.dumps(rows), encoding="utf-8")
    data = {"training": {"path": "one/set.json"}}
    world, receipt = scaffolded(root, data=data, factors={"data.path": ["one/set.json", "two/set.json"]})
    plan = recorded_plan(world=world)[0]
    assert len({facts.key for facts in plan.datasets}) == 2
    assert {plan.dataset(run.dataset).path for run in plan.runs} == {
        str(root / name / "set.json") for name in ("one", "two")
    }
    (root / "two" / "set.json").write_text(json.dumps(rows) + " ", encoding="utf-8")
    with pytest.raises(PlanError, match="changed since"):
        sealed_plan(world=world)
    assert receipt.runs


def test_a_model_that_is_not_the_one_designed_with_is_refused(root: Path) -> None:
    model = {**DESIGN["models"][0], "sha256": "f" * 64}
    put_design(root, design(**{**SMALL, "models": [model]}))
    with pytest.raises(PlanError, match="has hash"):
        scaffold_runs(world=world_at(root))
