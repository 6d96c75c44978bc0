"""Stopped anywhere, resumed: the curve and the weights are those of a training nobody disturbed."""

import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cruijff_kit.recipes import lora_single_device
from cruijff_kit.runtime.job_files import MetricsFile
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.tune_lora import TuneLora
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import JobStatus, MetricPoint
from tests.training_runs import capital_rows, metric_points, write_run

RECIPE = "cruijff_kit.recipes.lora_single_device"
SETTINGS = {
    "epochs": 4,
    "epochs_to_save": [1, 3],
    "batch_size": 2,
    "checkpoint_every_n_steps": 3,
    "run_val_every_n_steps": 5,
    "model": {"lora_dropout": 0.1},
}


def start(config: Path, **variables: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", RECIPE, "--config", str(config), "--resume"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
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


def best_steps(config: Path) -> list[int]:
    """Return the steps whose validation loss was the lowest so far, as the metrics tell them."""
    found: list[tuple[float, int]] = []
    whole = (config.parent / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
    for point in map(MetricPoint.model_validate_json, whole):
        if point.val_loss is not None and point.val_loss < min(found, default=(float("inf"), 0))[0]:
            found.append((point.val_loss, point.step))
    return [step for _, step in found]


def assert_best_is_there(config: Path, whole: Path) -> None:
    """See a whole adapter of the best step told of, of the one before, or of one to be done again."""
    told, ever = best_steps(config), best_steps(whole)
    folders = list(Path(load_train_config(config).output_dir).glob("best_step_*"))
    if len(told) < 2 and not folders:
        return
    steps = [int(folder.name.removeprefix("best_step_")) for folder in folders]
    assert set(steps) <= set(ever)
    assert max(steps) >= [0, *told][-2 if told else -1]
    assert all(map(load, folders))


@pytest.mark.parametrize("kills", (1, pytest.param(20, marks=pytest.mark.soak)))
def test_killed_anywhere_a_training_resumes_to_the_same_curve(
    kills: int, base: Path, undisturbed: Path, tmp_path: Path
) -> None:
    config = write_run(tmp_path, base, splits=splits(), **SETTINGS)
    draw = random.Random(0)
    for at in sorted(draw.sample(range(1, 32), kills)):
        process = start(config)
        await_step(config, process, at)
        process.kill()
        process.wait()
        assert_best_is_there(config, undisturbed)
    assert start(config).wait() == 0
    assert_same(config, undisturbed)
    assert not (Path(load_train_config(config).output_dir) / "recipe_state").exists()


@pytest.mark.parametrize("number", (signal.SIGUSR1, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)))
def test_a_signal_makes_a_checkpoint_between_two_steps(
    number: signal.Signals, base: Path, undisturbed: Path, tmp_path: Path
) -> None:
    config = write_run(tmp_path, base, splits=splits(), **{**SETTINGS, "checkpoint_every_n_steps": 1000})
    process = start(config, CRUIJFF_REQUEUE=str(tmp_path / "again"))
    await_step(config, process, 4)
    process.send_signal(number)
    assert process.wait() == 128 + number
    # Who was given notice wants another turn; who was stopped does not.
    assert (tmp_path / "again").exists() == (number == signal.SIGUSR1)
    done = len(metric_points(config))
    assert 4 <= done < 32
    assert (Path(load_train_config(config).output_dir) / "recipe_state" / f"step_{done}").is_dir()
    status = JobStatus.model_validate_json((config.parent / "status.json").read_bytes())
    assert (status.step, status.state) == (done, "noticed" if number == signal.SIGUSR1 else "stopped")
    assert start(config).wait() == 0
    assert_same(config, undisturbed)


# --- a checkpoint and other configurations ---


class StoppingLora(TuneLora):
    """A user's own model that is stopped by a signal in its sixth pass."""

    passes = itertools.count(1)

    def loss(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the summed loss."""
        if next(self.passes) == 6:
            signal.raise_signal(signal.SIGTERM)
        return super().loss(hidden, labels)


def build(config: TrainConfig, ranks: Ranks) -> TuneLora:
    StoppingLora.passes = itertools.count(1)
    return StoppingLora.from_config(config)


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


PLAIN = {**SETTINGS, "batch_size": 4, "model": {"lora_dropout": 0.0}, "checkpoint_every_n_steps": 1000}


@pytest.fixture
def stopped(base: Path, tmp_path: Path, handlers: None) -> tuple[Path, int]:
    """Return a training that was stopped, and the step of its checkpoint."""
    config = write_run(tmp_path, base, splits=splits(), **PLAIN)
    assert run_recipe(build, name="stopping", argv=["--config", str(config), "--resume"]) == 128 + signal.SIGTERM
    step = len(metric_points(config))
    assert (Path(load_train_config(config).output_dir) / "recipe_state" / f"step_{step}").is_dir()
    return config, step


def test_a_step_may_be_split_otherwise_after_a_checkpoint(
    base: Path, stopped: tuple[Path, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write_run(tmp_path / "whole", base, splits=splits(), **PLAIN)
    assert lora_single_device.main(["--config", str(whole)]) == 0
    config, step = stopped
    # In smaller passes, as after running out of memory.
    write_run(tmp_path, base, splits=splits(), **{**PLAIN, "batch_size": 1, "gradient_accumulation_steps": 4})
    assert lora_single_device.main(["--config", str(config), "--resume"]) == 0
    assert f"training from step {step}" in capfd.readouterr().err
    for point, expected in zip(metric_points(config), metric_points(whole), strict=True):
        assert point.loss == pytest.approx(expected.loss, rel=1e-5)
    torch.testing.assert_close(adapters(config), adapters(whole), atol=1e-5, rtol=1e-5)


def test_another_training_leaves_the_checkpoint_alone_and_says_where_it_lies(
    base: Path, stopped: tuple[Path, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, step = stopped
    write_run(tmp_path, base, splits=splits(), **PLAIN, optimizer={"lr": 2e-3})
    assert lora_single_device.main(["--config", str(config), "--resume"]) == 0
    told = capfd.readouterr().out
    assert "a checkpoint of another configuration is kept" in told
    (kept,) = Path(load_train_config(config).output_dir).glob(f"recipe_state_*/step_{step}")
    assert str(kept) in told
    assert {path.name for path in kept.iterdir()} == {"tensors.safetensors", "progress.json"}
    assert [point.step for point in metric_points(config)] == list(range(1, 17))


def test_what_a_power_cut_left_of_the_metrics_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [f'{{"step":{step},"epoch":0}}\n' for step in (1, 2, 3)]
    path.write_bytes("".join(lines).encode() + b"\0\0\0\0\n" + b'{"step":4,"ep')
    with MetricsFile(path, after=2) as metrics:
        metrics.write(MetricPoint(step=3, epoch=1))
    assert path.read_text(encoding="utf-8") == "".join(lines[:2]) + '{"step":3,"epoch":1}\n'
