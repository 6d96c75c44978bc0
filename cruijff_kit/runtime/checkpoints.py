"""Checkpoints a training resumes from: adapter, optimiser, position and every random state.

A checkpoint is a folder `recipe_state/step_<n>` of two files that other tools can read:
`tensors.safetensors` and `progress.json`. It is made aside and renamed, so what carries
its name is whole; older ones are removed after that. The order of rows is a function of
seed and epoch, so the number of steps done says where in the data the training stands.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from cruijff_kit.runtime.files import sync_folder, write_aside
from cruijff_kit.schema.run import TrainingProgress

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "load_checkpoint", "remove_checkpoints", "save_checkpoint"]

_FOLDER = "recipe_state"
_TENSORS = "tensors.safetensors"
_PROGRESS = "progress.json"


class Checkpoint(NamedTuple):
    """A checkpoint read back."""

    progress: TrainingProgress
    """How far the training had come."""
    tensors: "dict[str, torch.Tensor]"
    """Adapter, optimiser and random states, by name."""


def save_checkpoint(output: Path, progress: TrainingProgress, *, tensors: "dict[str, torch.Tensor]") -> None:
    """Write a checkpoint below a run's output directory, durably, and remove older ones."""
    from safetensors.torch import save_file

    folder = output / _FOLDER / f"step_{progress.step}"
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, aside / _TENSORS)
    with (aside / _TENSORS).open("rb") as file:
        os.fsync(file.fileno())
    write_aside(aside / _PROGRESS, progress.model_dump_json(indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    sync_folder(folder.parent)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def load_checkpoint(output: Path, *, config_sha256: str) -> Checkpoint | None:
    """Read the newest checkpoint of this configuration; None where there is none."""
    from safetensors.torch import load_file

    for folder in sorted((output / _FOLDER).glob("step_*"), key=_step_of, reverse=True):
        progress = _progress(folder)
        if progress is not None and progress.config_sha256 == config_sha256:
            return Checkpoint(progress, load_file(folder / _TENSORS))
    return None


def remove_checkpoints(output: Path) -> None:
    """Remove every checkpoint: the training is finished, or starts afresh."""
    shutil.rmtree(output / _FOLDER, ignore_errors=True)


def _step_of(folder: Path) -> int:
    number = folder.name.removeprefix("step_")
    return int(number) if number.isdigit() else -1


def _progress(folder: Path) -> TrainingProgress | None:
    try:
        return TrainingProgress.model_validate_json((folder / _PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None
