"""`ck train --backend mlx` for real: what torch would be given, learnt and evaluated by MLX."""

import json
import re
from pathlib import Path

from click.testing import CliRunner, Result
from safetensors.torch import load_file

from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.cli.world import enter_project
from cruijff_kit.ports import World
from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.mlx_model import describe_mlx
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.site import GpuKind
from cruijff_kit.schema.training import TrainOrder, TrainReview
from cruijff_kit.workflow import (
    collect_results,
    recorded_plan,
    review_training,
    scaffold_runs,
    verify_audit,
    write_design,
)
from tests.fakes.designed import world_at as told_world
from tests.fakes.site_probe import FakeProbe

pytest_plugins = ["tests.tiny_base"]

FLAGS = {"template": "model", "epochs": 2, "lr": 1e-3, "cpus": 1}
ASKED = ("capitalization", "--template", "model", "--epochs", "2", "--lr", "1e-3", "--cpus", "1")


def ck(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project), *arguments])


def world_at(folder: Path) -> World:
    return open_world(folder, root=folder.parent, kind="human", name="ada", client=None)


def reviewed(project: Path, base: Path, backend: str) -> TrainReview:
    order = TrainOrder("quick", str(base), "capitalization", flags={**FLAGS, "backend": backend})
    return review_training(order, world=enter_project(str(project)))


def runs_of(world: World) -> dict[str, PlannedRun]:
    return {run.type: run for run in recorded_plan(world=world)[0].runs}


def test_mlx_learns_unseen_words_from_what_torch_would_have_been_given(tiny_base: Path, tmp_path: Path) -> None:
    mine, other = (reviewed(tmp_path, tiny_base, backend) for backend in ("mlx", "torch"))
    assert mine.design == other.design.replace("preparation: peft", "preparation: mlx")
    assert mine.prepared == other.prepared
    done = ck(tmp_path, "train", "quick", str(tiny_base), *ASKED, "--backend", "mlx")
    assert done.exit_code == 0, done.output
    world, torch = world_at(tmp_path / "quick_output"), world_at(tmp_path / "torch")
    accuracy = {row.type: row.value for row in collect_results(world=world).rows if row.metric == "match"}
    assert accuracy["control"] == 0
    assert (accuracy["fine-tuned"] or 0) >= 0.9
    assert verify_audit(world=world).ok
    torch.store.write(other.prepared_path, other.prepared)
    write_design(other.design, reason="beside the one of MLX", world=torch)
    scaffold_runs(world=torch)
    _are_the_same_tokens(world, torch)
    _was_done_by_mlx(world, done.output)


def _are_the_same_tokens(mine: World, other: World) -> None:
    rows, questions = [], []
    for world in (mine, other):
        run = runs_of(world)["fine-tuned"]
        rows.append(load_rows(load_train_config(world.store.root / RunLayout(run.id).config)))
        cell = load_eval_config(world.store.root / RunLayout(run.id).cell_config(run.cells[-1].name))
        asked = cell.dataset.model_copy(update={"path": ""})
        questions.append((asked, cell.split, cell.expected_samples, cell.generation, cell.scorers))
    assert rows[0] == rows[1]
    assert questions[0] == questions[1]


def _was_done_by_mlx(world: World, output: str) -> None:
    found, root = runs_of(world), world.store.root
    layout = RunLayout(found["fine-tuned"].id)
    assert "-m cruijff_kit.recipes.mlx_lora" in (root / layout.train_script).read_text(encoding="utf-8")
    for run in found.values():
        cell = RunLayout(run.id).cell(run.cells[-1].name)
        manifest = json.loads((root / cell / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["device"] == describe_mlx()
    adapter = re.search(r"^adapter  (.*)$", output, re.MULTILINE)
    assert adapter is not None
    # What training changes begins at zero.
    weights = load_file(Path(adapter[1]) / "adapter_model.safetensors")
    assert all(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    answers = re.findall(r"before  (\S+)\n  after   (\S+)\n  wanted  (\S+)", output)
    assert len(answers) == 3
    assert any(before != after == wanted for before, after, wanted in answers)


def test_a_gpu_of_another_make_is_left_alone_by_mlx_and_taken_by_torch(tmp_path: Path) -> None:
    world = told_world(tmp_path)._replace(probe=FakeProbe(gpus=(GpuKind(memory="24G"),)))
    for backend, gpus, dtype in (("mlx", 0, "fp32"), ("torch", 1, "bf16")):
        order = TrainOrder("quick", "/models/tiny", "capitalization", flags={**FLAGS, "backend": backend})
        values = review_training(order, world=world).values
        assert (values["gpus"].value, values["dtype"].value) == (gpus, dtype)
