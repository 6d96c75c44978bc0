"""Stopped anywhere, resumed: the curve and the weights are those of a training nobody disturbed."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.run import JobStatus
from tests.training_runs import capital_rows, metric_points, random_base, write_run

RECIPE = "cruijff_kit.recipes.lora_single_device"
SETTINGS = {
    "epochs": 4,
    "epochs_to_save": [1, 3],
    "batch_size": 2,
    "checkpoint_every_n_steps": 3,
    "run_val_every_n_steps": 5,
    "model": {"lora_dropout": 0.1},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("base"))


def start(config: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", RECIPE, "--config", str(config), "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)


def await_step(config: Path, process: subprocess.Popen[str], step: int) -> None:
    """Return once the metrics tell of a step, or the process has ended."""
    metrics = config.parent / "metrics.jsonl"
    while process.poll() is None:
        if metrics.is_file() and metrics.read_bytes().count(b"\n") >= step:
            return


def adapters(config: Path) -> dict[str, torch.Tensor]:
    output = Path(load_train_config(config).output_dir)
    folders = ("epoch_1", "epoch_3", "best")
    return {f"{folder}/{name}": tensor for folder in folders for name, tensor in load(output / folder).items()}


def load(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = write_run(tmp_path_factory.mktemp("whole"), base, splits=splits(), **SETTINGS)
    assert start(config).wait() == 0
    return config


def splits() -> dict[str, list[dict[str, str]]]:
    return {"train": capital_rows(16), "validation": capital_rows(4)}


def assert_same(config: Path, other: Path) -> None:
    points, expected = metric_points(config), metric_points(other)
    assert [point.step for point in points] == [point.step for point in expected]
    for point, whole in zip(points, expected, strict=True):
        assert point.loss == pytest.approx(whole.loss, rel=1e-6)
        assert (point.val_loss is None) == (whole.val_loss is None)
        assert (point.val_loss or 0) == pytest.approx(whole.val_loss or 0, rel=1e-6)
        assert (point.tokens, point.lr) == (whole.tokens, whole.lr)
    torch.testing.assert_close(adapters(config), adapters(other), atol=1e-6, rtol=1e-6)


def test_killed_anywhere_a_training_resumes_to_the_same_curve(base: Path, undisturbed: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, splits=splits(), **SETTINGS)
    draw = random.Random(0)
    for at in sorted(draw.sample(range(1, 32), 3)):
        process = start(config)
        await_step(config, process, at)
        process.kill()
        process.wait()
    assert start(config).wait() == 0
    assert_same(config, undisturbed)
    assert not (Path(load_train_config(config).output_dir) / "recipe_state").exists()


@pytest.mark.parametrize("number", (signal.SIGUSR1, signal.SIGTERM))
def test_a_signal_makes_a_checkpoint_between_two_steps(
    number: signal.Signals, base: Path, undisturbed: Path, tmp_path: Path
) -> None:
    config = write_run(tmp_path, base, splits=splits(), **{**SETTINGS, "checkpoint_every_n_steps": 1000})
    process = start(config)
    await_step(config, process, 4)
    process.send_signal(number)
    assert process.wait() == 128 + number
    done = len(metric_points(config))
    assert 4 <= done < 32
    assert (Path(load_train_config(config).output_dir) / "recipe_state" / f"step_{done}").is_dir()
    assert JobStatus.model_validate_json((config.parent / "status.json").read_bytes()).step == done
    assert start(config).wait() == 0
    assert_same(config, undisturbed)
