"""Adapter directories in peft's format: written aside, renamed, and the best one named by a link."""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cruijff_kit.runtime.files import replace_folder, sync_folder, write_aside
from cruijff_kit.runtime.optimizer_state import whole_weights
from cruijff_kit.runtime.trainee import learning

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.trainee import Trainee
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "keep_best", "name_best", "save_adapter", "tidy_best", "write_adapter"]

ADAPTER_CONFIG = "adapter_config.json"
"""Shape of the update and the base it belongs to."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""Its weights."""


def save_adapter(trainee: "Trainee", folder: Path, *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write a model's adapter as a directory; every process has to call it, one writes."""
    weights = whole_weights(learning(trainee.network), ranks)
    if ranks.main:
        settings = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": str(Path(config.base_model.path).absolute()),
            "r": config.model.lora_rank,
            "lora_alpha": config.model.lora_alpha,
            "lora_dropout": config.model.lora_dropout,
            "bias": "none",
            "inference_mode": True,
            **trainee.settings(),
        }
        write_adapter(folder, trainee.adapter(weights), settings=settings)
    ranks.wait()


def keep_best(trainee: "Trainee", output: Path, *, step: int, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write the adapter of a step, then let the link `best` name it; the one before stays for `tidy_best`."""
    folder = _best_folder(output, step)
    save_adapter(trainee, folder, config=config, ranks=ranks)
    if ranks.main:
        _link_best(folder)


def name_best(output: Path, step: int | None) -> bool:
    """Let the link `best` name the adapter of a step again, or nothing; return whether there is one."""
    folder = _best_folder(output, step or 0)
    if step is not None and folder.is_dir():
        _link_best(folder)
        return True
    (output / "best").unlink(missing_ok=True)
    return False


def tidy_best(output: Path, *, keep: Collection[int | None]) -> None:
    """Remove the adapters that were the best once, but for those of some steps."""
    kept = {_best_folder(output, step) for step in keep if step is not None}
    for folder in (*output.glob("best_step_*"), *output.glob(".best_step_*")):
        if folder not in kept:
            shutil.rmtree(folder)


def _best_folder(output: Path, step: int) -> Path:
    return output / f"best_step_{step}"


def _link_best(folder: Path) -> None:
    link = folder.with_name(f".best.{os.getpid()}")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name, target_is_directory=True)
    link.replace(folder.with_name("best"))
    sync_folder(folder.parent)


def write_adapter(folder: Path, weights: "dict[str, torch.Tensor]", *, settings: dict[str, Any]) -> None:
    """Write LoRA weights in peft's format, the folder replaced as one.

    Only the adapter is written, never merged weights beside it: peft would apply the
    update a second time.

    Args:
        folder: directory to make.
        weights: adapter weights under peft's names.
        settings: content of `adapter_config.json`.
    """
    from safetensors.torch import save_file

    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, aside / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    with (aside / ADAPTER_WEIGHTS).open("rb") as file:
        os.fsync(file.fileno())
    write_aside(aside / ADAPTER_CONFIG, json.dumps(settings, indent=2) + "\n")
    replace_folder(aside, folder)
