"""The MLX recipe: what its settings do, what it leaves, what it refuses, and that it learns what the others learn."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from mlx import nn
from mlx_lm.utils import quantize_model, save_model
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cruijff_kit.errors import ResultError, SiteError, SpecError
from cruijff_kit.recipes import mlx_lora, peft_lora
from cruijff_kit.runtime.batches import Batch, batches
from cruijff_kit.runtime.calibration_watch import load_watch
from cruijff_kit.runtime.job_files import finished
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.mlx_loop import MlxLoop
from cruijff_kit.runtime.mlx_lora import MlxLora, as_array, as_tensor
from cruijff_kit.runtime.mlx_model import linear_layers, load_base
from cruijff_kit.runtime.mlx_resident import MlxResident
from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.trainee import learning
from cruijff_kit.runtime.training_job import TrainingJob
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import JobStatus, Manifest
from tests.training_runs import capital_rows, metric_points, random_base, write_run

SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "epochs_to_save": [1, 2],
    "batch_size": 2,
    "gradient_accumulation_steps": 2,
    "run_val_every_n_steps": 3,
    "model": {"lora_dropout": 0.1, "variant": "dora"},
}


def train(config: Path, *more: str) -> int:
    return mlx_lora.main(["--config", str(config), *more])


def output_of(config: Path) -> Path:
    return Path(load_train_config(config).output_dir)


def saved(config: Path, name: str = "epoch_0") -> dict[str, torch.Tensor]:
    return load_file(output_of(config) / name / "adapter_model.safetensors")


def some_rows(config: Path, count: int = 4) -> Batch:
    (batch,) = batches(load_rows(load_train_config(config)).train[:count], size=count, packed=False)
    return batch


def curve(config: Path) -> list[tuple[float | None, float | None]]:
    return [(point.loss, point.val_loss) for point in metric_points(config)]


def falls(config: Path, share: float = 1.0) -> bool:
    """Return whether the last loss is below that share of the first one."""
    first, *_, last = (point.loss or 0.0 for point in metric_points(config))
    return 0.0 < last < share * first


# --- training ---


@pytest.mark.parametrize("variant", ("lora", "rslora", "dora"))
def test_peft_gives_the_logits_that_were_trained_by_every_variant(variant: str, base: Path, tmp_path: Path) -> None:
    path = write_run(tmp_path, base, model={"variant": variant}, optimizer={"lr": 1e-2})
    assert train(path) == 0
    names = {name.rpartition("layers.1.mlp.")[2] for name in saved(path)}
    assert ("up_proj.lora_magnitude_vector" in names) == (variant == "dora")
    batch, config = some_rows(path), load_train_config(path)
    whole = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        bare = whole(input_ids=batch.ids).logits[batch.labels != -100]
        tuned = PeftModel.from_pretrained(whole, str(output_of(path) / "epoch_0")).eval()
        expected = tuned(input_ids=batch.ids).logits[batch.labels != -100]
    assert (expected - bare).abs().max() > 0.01
    found: list[torch.Tensor] = []

    class Watched(MlxLoop):
        def prepare(self) -> None:
            super().prepare()
            self.look()

        def adapter(self) -> Any:
            self.look()
            return super().adapter()

        def look(self) -> None:
            self.trainee.base.model.eval()
            found.append(as_tensor(self.trainee.hear(batch).logits))
            self.trainee.base.model.train()

    again = load_train_config(write_run(tmp_path / "again", base, model={"variant": variant}, optimizer={"lr": 1e-2}))
    TrainingJob(again, Path(again.run_dir) / "finetune.yaml", course=Watched).run(mlx_lora.build, resume=False)
    torch.testing.assert_close(found[0], bare, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[-1], expected, atol=1e-4, rtol=0)
    evaluated = ResidentModel(str(base)).logits(tuple(batch.ids[0].tolist()), adapter=str(output_of(path) / "epoch_0"))
    torch.testing.assert_close(evaluated[batch.labels[0] != -100], expected[: (batch.labels[0] != -100).sum()])
    assert config.model.variant == variant


@pytest.mark.parametrize("variant", ("lora", "dora"))
def test_the_losses_of_every_step_are_those_of_the_torch_recipe(variant: str, base: Path, tmp_path: Path) -> None:
    changes = {**SETTINGS, "model": {"variant": variant}, "optimizer": {"lr": 5e-3}, "clip_grad_norm": 0.5}
    beginning: dict[str, torch.Tensor] = {}

    def first(config: TrainConfig, ranks: Ranks) -> PeftLora:
        model = peft_lora.build(config, ranks)
        beginning.update(model.adapter({name: each.detach().clone() for name, each in learning(model.network).items()}))
        return model

    def second(config: TrainConfig, ranks: Ranks) -> MlxLora:
        model = mlx_lora.build(config, ranks)
        model.take({name: as_array(each) for name, each in _mlx_names(beginning).items()})
        return model

    theirs, ours = (write_run(tmp_path / name, base, **changes) for name in ("torch", "mlx"))
    TrainingJob(load_train_config(theirs), theirs).run(first, resume=False)
    TrainingJob(load_train_config(ours), ours, course=MlxLoop).run(second, resume=False)
    expected, points = metric_points(theirs), metric_points(ours)
    assert [point.loss for point in points] == pytest.approx([point.loss for point in expected], rel=1e-4)
    assert [point.grad_norm for point in points] == pytest.approx([point.grad_norm for point in expected], rel=1e-3)
    assert [p.val_loss or 0 for p in points] == pytest.approx([p.val_loss or 0 for p in expected], rel=1e-4)
    for point, other in zip(points, expected, strict=True):
        told = ("step", "epoch", "lr", "tokens", "supervised_tokens")
        assert [getattr(point, name) for name in told] == [getattr(other, name) for name in told]
    assert falls(ours, 0.95)
    torch.testing.assert_close(saved(ours, "epoch_2"), saved(theirs, "epoch_2"), atol=1e-3, rtol=1e-2)


def _mlx_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from cruijff_kit.runtime.adapter_names import to_mlx_names

    return to_mlx_names(weights)


def test_recomputing_blocks_changes_no_loss_dropout_or_not(base: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"model": {"lora_dropout": 0.3}, "optimizer": {"lr": 1e-2}, "epochs": 2}
    kept, again, plain = (
        write_run(tmp_path / name, base, **{**settings, **more})
        for name, more in (
            ("kept", {}),
            ("again", {"enable_activation_checkpointing": True}),
            ("plain", {"model": {"lora_dropout": 0.0}}),
        )
    )
    assert [train(config) for config in (kept, again, plain)] == [0, 0, 0]
    assert [loss for loss, _ in curve(again)] == pytest.approx([loss for loss, _ in curve(kept)], rel=1e-6)
    assert [loss for loss, _ in curve(plain)] != pytest.approx([loss for loss, _ in curve(kept)], rel=1e-6)
    torch.testing.assert_close(saved(again), saved(kept), atol=1e-6, rtol=1e-5)


def test_a_base_in_four_bits_learns_and_is_another_one(base: Path, tmp_path: Path) -> None:
    whole, small = (
        write_run(tmp_path / name, base, model={"quantization": name}, optimizer={"lr": 1e-2}, epochs=2)
        for name in ("none", "int4")
    )
    assert [train(config) for config in (whole, small)] == [0, 0]
    assert falls(small, 0.97)
    assert curve(small)[0][0] != curve(whole)[0][0]
    loaded = load_base(base, dtype="fp32", longest=64, int4=True)
    assert {type(part) for part in linear_layers(loaded).values()} == {nn.QuantizedLinear}
    assert saved(small).keys() == saved(whole).keys()


def test_a_directory_that_mlx_lm_quantised_is_trained_and_answered_as_it_is(base: Path, tmp_path: Path) -> None:
    settings = json.loads((base / "config.json").read_text(encoding="utf-8"))
    model, settings = quantize_model(load_base(base, dtype="fp32", longest=64).model, settings, group_size=64, bits=4)
    folder = tmp_path / "quantised"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    save_model(folder, model)
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    config = write_run(tmp_path, folder, optimizer={"lr": 2e-2}, epochs=2, epochs_to_save=[1])
    assert train(config) == 0
    assert falls(config, 0.97)
    resident, ids = MlxResident(str(folder), device="cpu"), tuple(some_rows(config).ids[0].tolist())
    bare, tuned = (resident.logits(ids, adapter=each) for each in (None, str(output_of(config) / "epoch_1")))
    expected = as_tensor(model(mx.array([ids]))[0])
    torch.testing.assert_close(bare, expected, atol=1e-4, rtol=0)
    assert (tuned - bare).abs().max() > 0.01
    with pytest.raises(SiteError, match="quantised weights already"):
        load_base(folder, dtype="fp32", longest=64, int4=True)


def test_a_run_may_compute_in_bf16_and_adapt_only_some_layers(base: Path, tmp_path: Path) -> None:
    config = write_run(
        tmp_path,
        base,
        dtype="bf16",
        model={"target_modules": ["q_proj", "down_proj"]},
        epochs=4,
        optimizer={"lr": 1e-2},
    )
    assert train(config) == 0
    assert {name.split(".")[-3] for name in saved(config)} == {"q_proj", "down_proj"}
    settings = json.loads((output_of(config) / "epoch_0" / "adapter_config.json").read_text(encoding="utf-8"))
    assert sorted(settings["target_modules"]) == ["down_proj", "q_proj"]
    assert falls(config)


def test_metrics_of_the_users_own_see_the_logits(base: Path, tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    text = "def calculate_custom_metrics(logits, labels, tokenizer, ignore_index):\n"
    text += "    kept = labels != ignore_index\n"
    text += "    return {'hits': (logits.argmax(-1) == labels)[kept].float().mean().item(), 'wide': logits.shape[-1]}\n"
    code.write_text(text, encoding="utf-8")
    config = write_run(tmp_path, base, custom_metrics=str(code), optimizer={"lr": 2e-2}, epochs=3)
    assert train(config) == 0
    first, last = metric_points(config)[0].custom, metric_points(config)[-1].custom
    assert first["wide"] == 262
    assert last["hits"] > first["hits"]


# --- going on where it was broken off ---


def test_broken_off_anywhere_a_training_resumes_bit_by_bit(base: Path, tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole", base, **SETTINGS)
    assert train(whole) == 0
    for at in (1, 5, 11):
        broken = write_run(tmp_path / f"broken at {at}", base, checkpoint_every_n_steps=2, **SETTINGS)

        class Failing(MlxLoop):
            def learn(self, *arguments: Any, stop: int = at, **options: Any) -> Any:
                if self.tally.step == stop:
                    raise _PowerCutError
                return super().learn(*arguments, **options)

        with pytest.raises(_PowerCutError):
            TrainingJob(load_train_config(broken), broken, course=Failing).run(mlx_lora.build, resume=True)
        assert len(metric_points(broken)) == at
        assert train(broken, "--resume") == 0
        assert curve(broken) == curve(whole)
        assert not (output_of(broken) / "recipe_state").exists()
        for name in ("epoch_1", "epoch_2", "best"):
            mine, theirs = saved(broken, name), saved(whole, name)
            assert all(torch.equal(mine[key], theirs[key]) for key in mine.keys() | theirs.keys())


@pytest.mark.parametrize("number", (signal.SIGUSR1, signal.SIGTERM))
def test_a_signal_makes_a_checkpoint_between_two_steps(number: signal.Signals, base: Path, tmp_path: Path) -> None:
    rows = {"train": capital_rows(16), "validation": capital_rows(4)}
    settings: dict[str, Any] = {"epochs": 20, "epochs_to_save": [19], "splits": rows}
    config = write_run(tmp_path / "run", base, **settings)
    arguments = [sys.executable, "-m", "cruijff_kit.recipes.mlx_lora", "--config", str(config), "--resume"]
    variables = {**os.environ, "CRUIJFF_REQUEUE": str(tmp_path / "again")}
    process = subprocess.Popen(arguments, env=variables)
    metrics = config.parent / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= 4):
        pass
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert (tmp_path / "again").exists() == (number == signal.SIGUSR1)
    status = JobStatus.model_validate_json((config.parent / "status.json").read_bytes())
    assert status.state == ("noticed" if number == signal.SIGUSR1 else "stopped")
    assert (output_of(config) / "recipe_state" / f"step_{status.step}").is_dir()
    assert train(config, "--resume") == 0
    assert [point.step for point in metric_points(config)] == list(range(1, 81))


def test_a_checkpoint_of_another_recipe_is_not_gone_on_from(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, epochs=2, checkpoint_every_n_steps=1)

    class Failing(MlxLoop):
        def learn(self, *arguments: Any, **options: Any) -> Any:
            if self.tally.step == 3:
                raise _PowerCutError
            return super().learn(*arguments, **options)

    with pytest.raises(_PowerCutError):
        TrainingJob(load_train_config(config), config, course=Failing).run(mlx_lora.build, resume=True)
    (folder,) = (output_of(config) / "recipe_state").iterdir()
    tensors = load_file(folder / "tensors.safetensors")
    from safetensors.torch import save_file

    renamed = {name.replace(".lora_a", ".lora_A.default.weight"): each for name, each in tensors.items()}
    save_file(renamed, folder / "tensors.safetensors")
    with pytest.raises(ResultError, match="made by another recipe"):
        TrainingJob(load_train_config(config), config, course=MlxLoop).run(mlx_lora.build, resume=True)


class _PowerCutError(Exception):
    """The machine goes down."""


# --- what it leaves and refuses ---


def test_a_finished_run_leaves_what_every_recipe_leaves(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, save_adapter_weights_only=False, optimizer={"lr": 1e-2})
    assert train(config) == 0
    assert finished(config.parent / "DONE", experiment=tmp_path)
    manifest = Manifest.model_validate_json((config.parent / "manifest.json").read_bytes())
    assert manifest.device.startswith("mlx ")
    assert {"mlx", "mlx-lm"} <= manifest.packages.keys()
    assert metric_points(config)[-1].peak_memory_bytes == mx.get_peak_memory()
    assert {path.name for path in output_of(config).iterdir()} == {"best", "epoch_0"}
    batch = some_rows(config)
    merged = AutoModelForCausalLM.from_pretrained(output_of(config) / "epoch_0" / "merged").eval()
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(output_of(config) / "epoch_0"))
    with torch.no_grad():
        torch.testing.assert_close(
            merged(batch.ids).logits, tuned.eval()(input_ids=batch.ids).logits, atol=1e-4, rtol=0
        )
    assert train(config) == 0


def test_the_seed_fixes_the_beginning_and_the_update_is_zero_at_first(base: Path, tmp_path: Path) -> None:
    made = [MlxLora.from_config(load_train_config(write_run(tmp_path / str(at), base, seed=seed))).adapter().weights
            for at, seed in enumerate((5, 5, 6))]  # fmt: skip
    first, again, other = made
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    assert not any(weight.any() for name, weight in first.items() if "lora_B" in name)


def test_what_mlx_has_no_counterpart_of_is_refused_all_at_once(base: Path, tmp_path: Path) -> None:
    changes = {"packed": True, "compile": True, "strategy": "fsdp", "model": {"quantization": "nf4"}}
    config = load_train_config(write_run(tmp_path, base, **changes))
    with pytest.raises(SpecError) as caught:
        MlxLora.from_config(config)
    assert [problem.path for problem in caught.value.problems] == ["packed", "compile", "strategy", "quantization"]


def test_models_and_layers_that_cannot_be_trained_are_refused(base: Path, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path / "a", base, model={"target_modules": ["q_proj", "c_attn"]}))
    with pytest.raises(SiteError, match=r"`c_attn`; the blocks of this `llama` model have .*`q_proj`.*`down_proj`"):
        MlxLora.from_config(config)
    with pytest.raises(SiteError, match="`device: cuda` is not for MLX"):
        MlxLora.from_config(load_train_config(write_run(tmp_path / "b", base, device="cuda")))
    torn = random_base(tmp_path / "torn")
    settings = json.loads((torn / "config.json").read_text(encoding="utf-8"))
    (torn / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}), encoding="utf-8")
    with pytest.raises(SiteError, match="MLX cannot load"):
        MlxLora.from_config(load_train_config(write_run(tmp_path / "c", torn)))
    (torn / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SiteError, match="carries an adapter"):
        load_base(torn, dtype="fp32", longest=64)


def test_options_are_read_in_mlx_as_in_torch_and_other_losses_are_refused(base: Path, tmp_path: Path) -> None:
    options = ["10", "1", *(row["output"] for row in capital_rows(4))]
    monitor = {"enabled": True, "draws": 50, "adjust_lr": True}
    config = load_train_config(write_run(tmp_path / "a", base, options=options, calibration_monitor=monitor))
    rows = load_rows(config)
    watch = load_watch(config, rows)
    assert watch is not None
    loops = (
        MlxLoop(config, MlxLora.from_config(config), rows=rows),
        Loop(config, PeftLora.from_config(config), rows=rows),
    )
    mine, other = (watch.measure(loop) for loop in loops)
    assert mine.keys() == other.keys()
    assert mine == pytest.approx(other, abs=1e-3)
    with pytest.raises(SpecError, match="`loss: focal` is not for MLX"):
        MlxLora.from_config(config.model_copy(update={"loss": "focal"}))


def test_the_program_of_a_job_trains_without_torch_and_leaves_what_torch_reads(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, epochs=1, checkpoint_every_n_steps=2)
    said = (
        "import runpy, sys; sys.argv = ['mlx_lora', '--config', sys.argv[1], '--resume']\n"
        "try: runpy.run_module('cruijff_kit.recipes.mlx_lora', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules, 'wandb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", said, str(config)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False False"
    assert all(isinstance(each, torch.Tensor) and each.is_contiguous() for each in saved(config).values())
