"""One whole experiment in MLX: designed, scaffolded, trained and evaluated by the scripts that lie in its runs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, read_eval_log
from safetensors.torch import load_file

from cruijff_kit.bootstrap import open_world
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.mlx_model import describe_mlx
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow import scaffold_runs, write_design

pytest_plugins = ["tests.tiny_base"]

DESIGN = """
name: capitals
question: Does MLX teach the base to capitalise?
created: 2026-11-20
tools: {{preparation: {backend}}}
models: [{{name: tiny, path: {base}}}]
data:
  training: {{generator: capitalization, arguments: {{}}}}
  tier: green
design: list
runs: [{{name: tuned}}, {{name: untouched, type: control}}]
controls:
  seeds: [1]
  epochs: 2
  lora_rank: 16
  lr: 0.001
  num_warmup_steps: 20
  epochs_to_save: last
{more}
evaluation:
  tasks: [{{name: words, task: rows, samples: 60}}]
"""


def designed(folder: Path, base: Path, *, backend: str = "mlx", more: str = "") -> World:
    world = open_world(folder, root=folder.parent, kind="human", name="ada", client=None)
    write_design(DESIGN.format(base=base, backend=backend, more=more), reason="shown here", world=world)
    return world


def script(path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", str(path)], check=False, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


def log_of(world: World, layout: RunLayout, cell: str) -> EvalLog:
    (log,) = (world.store.root / layout.cell_logs(cell)).glob("*.eval")
    return read_eval_log(log)


def accuracy(log: EvalLog) -> float:
    assert log.results is not None
    return log.results.scores[0].metrics["accuracy"].value


def test_a_design_that_asks_for_mlx_is_trained_and_evaluated_by_it(tiny_base: Path, tmp_path: Path) -> None:
    world = designed(tmp_path / "capitals", tiny_base)
    root = world.store.root
    tuned, untouched = map(RunLayout, scaffold_runs(world=world).runs)
    assert "-m cruijff_kit.recipes.mlx_lora" in (root / tuned.train_script).read_text(encoding="utf-8")
    for made in (tuned.train_script, tuned.eval_script, untouched.eval_script):
        script(root / made)
    weights = load_file(root / "outputs" / tuned.epoch(1) / "adapter_model.safetensors")
    assert all(weight.any() for name, weight in weights.items() if "lora_B" in name)
    after, before = log_of(world, tuned, "words_epoch_1"), log_of(world, untouched, "words_base")
    assert accuracy(before) <= 0.02
    assert accuracy(after) >= 0.9
    assert load_eval_config(root / tuned.cell_config("words_epoch_1")).backend == "mlx"
    manifest = json.loads((root / tuned.cell("words_epoch_1") / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["device"] == describe_mlx()
    for sample in after.samples or []:
        told: dict[str, Any] = sample.output.metadata or {}
        assert [at[0] for at in told["top_token_ids"]] == told["output_token_ids"]


def test_a_design_reads_the_same_tokens_in_mlx_and_in_torch(tiny_base: Path, tmp_path: Path) -> None:
    rows = {}
    for backend in ("mlx", "peft"):
        world = designed(tmp_path / backend, tiny_base, backend=backend)
        run, _ = scaffold_runs(world=world).runs
        rows[backend] = load_rows(load_train_config(world.store.root / RunLayout(run).config))
    assert rows["mlx"] == rows["peft"]


@pytest.mark.parametrize(
    "more, facts",
    (
        ("  packed: true\n  compile: true", ("`packed: true` is not for MLX", "`compile: true` is not for MLX")),
        ("  quantization: nf4", ("write `quantization: int4`",)),
        ("resources: {gpus: 1}", ("`resources.gpus` is `1`, and MLX",)),
    ),
)
def test_what_mlx_does_not_have_is_refused_with_the_design(
    more: str, facts: tuple[str, ...], tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        designed(tmp_path / "capitals", tiny_base, more=more)
    assert all(fact in str(caught.value) for fact in facts)


def test_four_bits_of_mlx_are_refused_with_a_design_for_torch(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="`quantization: int4` is MLX's, and run `tuned"):
        designed(tmp_path / "capitals", tiny_base, backend="peft", more="  quantization: int4")
