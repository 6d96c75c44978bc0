"""Checkpoints a training resumes from: adapter, optimiser, position and every random state.

A checkpoint is a folder `recipe_state/step_<n>` of two files that other tools can read:
`tensors.safetensors` and `progress.json`. It is made aside and renamed, so what carries
its name is whole; older ones are removed after that. The order of rows is a function of
seed and epoch, so the number of steps done says where in the data the training stands.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.array_files import save_arrays
from cruijff_kit.runtime.files import aside_of, discard, replace_folder, sync_file, write_aside
from cruijff_kit.schema.run import TrainingProgress

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "load_checkpoint", "remove_checkpoints", "save_checkpoint", "set_aside_checkpoints"]

_FOLDER = "recipe_state"
_TENSORS = "tensors.safetensors"
_PROGRESS = "progress.json"


class Checkpoint(NamedTuple):
    """A checkpoint read back."""

    progress: TrainingProgress
    """How far the training had come."""
    tensors: "dict[str, torch.Tensor]"
    """Adapter, optimiser and random states, by name."""


def save_checkpoint(output: Path, progress: TrainingProgress, *, tensors: Mapping[str, Any]) -> None:
    """Write a checkpoint below a run's output directory, durably, and remove older ones."""
    folder = output / _FOLDER / f"step_{progress.step}"
    aside = aside_of(folder)
    save_arrays(tensors, aside / _TENSORS)
    sync_file(aside / _TENSORS)
    write_aside(aside / _PROGRESS, progress.model_dump_json(indent=2) + "\n")
    replace_folder(aside, folder)
    for other in folder.parent.iterdir():
        if other != folder:
            discard(other)


def load_checkpoint(output: Path, *, identity: str) -> Checkpoint | None:
    """Read the newest checkpoint of this training; None where there is none.

    Raises:
        ResultError: there is one, and it cannot be read.
    """
    mine = [(progress, folder) for progress, folder in _found(output) if progress.identity == identity]
    if not mine:
        return None
    # It brings torch with it, so only who finds a checkpoint loads it: every first job looks for one.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    progress, folder = max(mine, key=lambda pair: pair[0].step)
    try:
        return Checkpoint(progress, load_file(folder / _TENSORS))
    except (OSError, SafetensorError) as err:
        fact = f"checkpoint `{folder}` cannot be read: {err}"
        raise ResultError(fact, hint="remove the folder to train from the start") from err


def remove_checkpoints(output: Path) -> None:
    """Remove every checkpoint of the training last done here: it is finished, or starts afresh."""
    discard(output / _FOLDER)


def set_aside_checkpoints(output: Path, *, identity: str) -> list[Path]:
    """Rename what another training left where this one will write; return where it lies now.

    It is kept for whoever wants its weights. A training does not go on from there by
    itself, for the metrics and adapters that belong to it are replaced.
    """
    moved = []
    for progress, folder in list(_found(output)):
        if progress.identity == identity:
            continue
        place = output / f"{_FOLDER}_{progress.identity[:8]}" / folder.name
        place.parent.mkdir(exist_ok=True)
        discard(place)
        folder.rename(place)
        moved.append(place)
    return moved


def _found(output: Path) -> Iterator[tuple[TrainingProgress, Path]]:
    for folder in (output / _FOLDER).glob("step_*"):
        progress = _progress(folder)
        if progress is not None:
            yield progress, folder


def _progress(folder: Path) -> TrainingProgress | None:
    try:
        return TrainingProgress.model_validate_json((folder / _PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None
