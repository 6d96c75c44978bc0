"""Checkpoints and adapters, killed at any line while they are written: the old one or the new one, whole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cruijff_kit.recipes.lora_single_device import build
from cruijff_kit.runtime.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, publish_best, save_adapter, tidy_best
from cruijff_kit.runtime.checkpoints import load_checkpoint, save_checkpoint, set_aside_checkpoints
from cruijff_kit.runtime.files import Fence, fenced, put_back
from cruijff_kit.runtime.optimizer_state import every_random_state
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.train_config import load_train_config, training_identity
from cruijff_kit.runtime.trainee import whole_adapter
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import TrainingProgress
from tests.killed import kill_at
from tests.training_runs import random_base, write_run

MINE, OTHER = "a" * 64, "b" * 64
EVERY = pytest.mark.parametrize("every", (3, pytest.param(1, marks=pytest.mark.soak)))
"""How many lines lie between two kills."""
WRITERS = ("runtime/checkpoints.py", "runtime/adapter_files.py", "runtime/files.py")


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((4, 3), value)}


def save(output: Path, step: int, identity: str = MINE) -> None:
    progress = TrainingProgress(identity=identity, step=step, tokens=10 * step, supervised=step)
    save_checkpoint(output, progress, tensors=tensors(float(step)))


@contextmanager
def staged(tree: Path) -> Iterator[Path]:
    """Change files of a tree through a staging folder, as whoever holds a run does."""
    staging = tree / ".held"
    staging.mkdir()
    with fenced(Fence("run-1", {tree: staging})):
        yield staging


@EVERY
def test_a_kill_at_any_line_leaves_the_checkpoint_before_or_the_new_one(every: int, tmp_path: Path) -> None:
    found, line = set(), 0
    while True:
        output, line = tmp_path / str(line), line + every
        save(output, 3)
        with staged(output) as staging:
            killed = kill_at(line, lambda output=output: save(output, 6), watched=WRITERS)
        put_back(staging, output)
        checkpoint = load_checkpoint(output, identity=MINE)
        assert checkpoint is not None
        assert torch.equal(checkpoint.tensors["weight"], tensors(checkpoint.progress.step)["weight"])
        found.add(checkpoint.progress.step)
        if not killed:
            break
    assert found == {3, 6}
    assert line > 15


@EVERY
def test_a_kill_at_any_line_leaves_the_adapter_before_or_the_new_one(every: int, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, random_base(tmp_path / "base")))
    trainee = build(config, Ranks())
    weights = [weight for weight in trainee.network.parameters() if weight.requires_grad]

    def save_filled(folder: Path, value: float) -> None:
        for weight in weights:
            weight.data.fill_(value)
        save_adapter(whole_adapter(trainee, Ranks()), folder, config=config, ranks=Ranks())

    found, line = set(), 0
    while True:
        folder, line = tmp_path / str(line) / "epoch_0", line + every
        save_filled(folder, 1.0)
        with staged(folder.parent) as staging:
            killed = kill_at(line, lambda folder=folder: save_filled(folder, 2.0), watched=WRITERS)
        put_back(staging, folder.parent)
        (value,) = {tensor.unique().item() for tensor in load_file(folder / ADAPTER_WEIGHTS).values()}
        assert (folder / ADAPTER_CONFIG).is_file()
        found.add(value)
        if not killed:
            break
    assert found == {1.0, 2.0}


def test_the_best_is_published_whole_and_what_was_best_once_goes(tmp_path: Path) -> None:
    for step in (5, 10):
        (tmp_path / f"best_step_{step}").mkdir()
        (tmp_path / f"best_step_{step}" / "weights").write_text(str(step), encoding="utf-8")
        publish_best(tmp_path, step)
        assert (tmp_path / "best" / "weights").read_text(encoding="utf-8") == str(step)
    tidy_best(tmp_path, keep=(10, None))
    assert {path.name for path in tmp_path.iterdir()} == {"best", "best_step_10"}


def test_another_trainings_checkpoint_is_set_aside_whole(tmp_path: Path) -> None:
    save(tmp_path, 3, OTHER)
    assert load_checkpoint(tmp_path, identity=MINE) is None
    (place,) = set_aside_checkpoints(tmp_path, identity=MINE)
    save(tmp_path, 1)
    mine = load_checkpoint(tmp_path, identity=MINE)
    assert mine is not None
    assert mine.progress.step == 1
    assert load_checkpoint(tmp_path, identity=OTHER) is None
    assert torch.equal(load_file(place / "tensors.safetensors")["weight"], tensors(3.0)["weight"])


def test_a_training_is_the_same_however_its_steps_are_split_and_wherever_it_runs(tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, random_base(tmp_path / "base")))
    same: tuple[Mapping[str, object], ...] = (
        {"batch_size": 1, "gradient_accumulation_steps": 4},
        {"packed": True, "enable_activation_checkpointing": True, "batch_size_val": 1},
        {"run_dir": "/elsewhere", "output_dir": "/elsewhere/out", "strategy": "fsdp"},
    )
    for changes in same:
        assert training_identity(_changed(config, changes)) == training_identity(config)
    others: tuple[Mapping[str, object], ...] = ({"batch_size": 2}, {"seed": 2}, {"epochs": 3}, {"dtype": "bf16"})
    for changes in others:
        assert training_identity(_changed(config, changes)) != training_identity(config)


def _changed(config: TrainConfig, changes: Mapping[str, object]) -> TrainConfig:
    return TrainConfig.model_validate({**config.model_dump(), **changes})


def test_every_processs_random_states_are_kept_apart() -> None:
    class Pair(Ranks):
        size = 2

        def everyone(self, value: object) -> list[object]:
            return [value, value]

    texts, bits = every_random_state(Pair())
    assert set(texts) == {"python", "numpy", "python@1", "numpy@1"}
    assert {"random.torch", "random.torch@1"} <= set(bits)
