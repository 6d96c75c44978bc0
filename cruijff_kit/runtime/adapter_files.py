"""Adapter directories in peft's format: written aside, renamed, and the best one named by a link."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cruijff_kit.runtime.adapter_merge import check_mergeable, updates_of, write_merged
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG, ADAPTER_WEIGHTS, BASE_RECORD, base_record
from cruijff_kit.runtime.files import sync_folder, write_aside
from cruijff_kit.runtime.optimizer_state import whole_weights
from cruijff_kit.schema.layout import MERGED, adapter_in

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.trainee import Trainee
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "check_saving", "keep_best", "save_adapter", "save_epoch"]


def check_saving(trainee: "Trainee", *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Refuse, before the first step, a merged model that could not be written; every process has to call it.

    Raises:
        SiteError: the files of the base do not hold the weights that are adapted.
    """
    if not config.save_adapter_weights_only:
        updates = updates_of(trainee.adapter(_whole(trainee, ranks)))
        check_mergeable(updates, Path(config.base_model.path))


def save_adapter(trainee: "Trainee", folder: Path, *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write a model's adapter as a directory; every process has to call it, one writes.

    Only the adapter is written, never merged weights beside it: peft would apply the
    update a second time.
    """
    weights = _whole(trainee, ranks)
    if ranks.main:
        aside = _aside(folder)
        _write_adapter(trainee, aside, config=config, weights=weights)
        _put(aside, folder)
    ranks.wait()


def save_epoch(trainee: "Trainee", folder: Path, *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write an epoch's directory as asked: the adapter, or the merged model too.

    Both never share a folder: the merged model lies in `merged/` below the adapter, or
    the adapter in `adapter_weights/` below the merged model.
    """
    weights = _whole(trainee, ranks)
    if ranks.main:
        aside = _aside(folder)
        only, stash = config.save_adapter_weights_only, config.stash_adapter_weights
        adapter = Path(adapter_in(str(aside), adapter_only=only, stash=stash))
        _write_adapter(trainee, adapter, config=config, weights=weights)
        if not only:
            write_merged(adapter, aside if stash else aside / MERGED, base=Path(config.base_model.path))
        _put(aside, folder)
    ranks.wait()


def keep_best(trainee: "Trainee", output: Path, *, step: int, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write the adapter of a step and let the link `best` name it; the one before goes last."""
    folder = output / f"best_step_{step}"
    save_adapter(trainee, folder, config=config, ranks=ranks)
    if ranks.main:
        link = output / f".best.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name, target_is_directory=True)
        link.replace(output / "best")
        sync_folder(output)
        for other in output.glob("best_step_*"):
            if other != folder:
                shutil.rmtree(other)


def _whole(trainee: "Trainee", ranks: "Ranks") -> "dict[str, torch.Tensor]":
    """Return the weights that learn, whole; every process has to call it."""
    named = {name: weight for name, weight in trainee.network.named_parameters() if weight.requires_grad}
    return whole_weights(named, ranks)


def _write_adapter(
    trainee: "Trainee", folder: Path, *, config: "TrainConfig", weights: "dict[str, torch.Tensor]"
) -> None:
    from safetensors.torch import save_file

    record = base_record(config.base_model)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": record.path,
        "r": config.model.lora_rank,
        "lora_alpha": config.model.lora_alpha,
        "lora_dropout": config.model.lora_dropout,
        "bias": "none",
        "inference_mode": True,
        **trainee.settings(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in trainee.adapter(weights).items()}
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    with (folder / ADAPTER_WEIGHTS).open("rb") as file:
        os.fsync(file.fileno())
    write_aside(folder / ADAPTER_CONFIG, json.dumps(settings, indent=2) + "\n")
    write_aside(folder / BASE_RECORD, record.model_dump_json(indent=2) + "\n")


def _aside(folder: Path) -> Path:
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def _put(aside: Path, folder: Path) -> None:
    """Let a finished folder take its name, in place of what had it."""
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    sync_folder(folder.parent)
