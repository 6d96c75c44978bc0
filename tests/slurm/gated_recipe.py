"""A user's copy of a recipe whose steps and saves wait at gates, where a test has put one beside the configuration.

The experiment's name begins with that of the recipe it is a copy of.
"""

import os
import select
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import safetensors.torch

from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.schema.config import TrainConfig

PASS = 46
"""The pass that waits: the second of step 23, in the middle of the second epoch."""
SAVE = 6
"""The checkpoint that waits half-written: that of step 24."""


def build(config: TrainConfig, ranks: Ranks) -> Any:
    """Return what the recipe builds, with gates before a pass and within a save."""
    run = Path(config.run_dir)
    turn, job_id = os.environ.get("SLURM_RESTART_COUNT", "0"), os.environ["SLURM_JOB_ID"]
    sys.stderr.write(f"turn {turn} of job {job_id}\n")
    recipe = import_module(f"cruijff_kit.recipes.{run.parent.parent.name.rpartition('-')[0]}")
    trainee = recipe.build(config, ranks)

    def waits() -> None:
        _wait(run / "slow-pass", heeds_signals=True)
        _wait(run / "stuck-pass")

    before_pass = _at(PASS, waits)
    trainee.network.register_forward_pre_hook(lambda network, _: before_pass() if network.training else None)
    _gate_saves(_at(SAVE, lambda: _wait(run / "stuck-save")))
    return trainee


def _at(number: int, wait: Callable[[], None]) -> Callable[[], None]:
    """Return what waits the n-th time that it is called."""
    counted = iter(range(1, 10_000))

    def call() -> None:
        if next(counted) == number:
            wait()

    return call


def _wait(gate: Path, *, heeds_signals: bool = False) -> None:
    """Wait at a gate, if it is there, until it is opened; or a signal has come, for who heeds them."""
    if not gate.exists():
        return
    signals, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    opened = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
    select.select([opened, signals] if heeds_signals else [opened], [], [])


def _gate_saves(before_save: Callable[[], None]) -> None:
    """Let the save of a checkpoint wait between its two files, as it would on a slow disk."""
    save = safetensors.torch.save_file

    def slow(tensors: Any, filename: Any, **rest: Any) -> None:
        save(tensors, filename, **rest)
        if Path(filename).name == "tensors.safetensors":
            before_save()

    safetensors.torch.save_file = slow


if __name__ == "__main__":
    sys.exit(run_recipe(build, name="gated"))
