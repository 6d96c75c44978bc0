"""Adapter directories in peft's format: written aside, renamed, and the best one named by a link."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from cruijff_kit.runtime.adapter_merge import write_merged
from cruijff_kit.runtime.array_files import save_arrays
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG, ADAPTER_WEIGHTS, BASE_RECORD, base_record
from cruijff_kit.runtime.files import aside_of, discard, make_folder, replace_folder, sync_file, write_aside
from cruijff_kit.schema.layout import MERGED, adapter_in

if TYPE_CHECKING:
    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.trainee import Adapter
    from cruijff_kit.schema.config import TrainConfig

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "keep_best",
    "publish_best",
    "save_adapter",
    "save_epoch",
    "tidy_best",
]


def save_adapter(adapter: "Adapter", folder: Path, *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write an adapter as a directory; every process has to call it, one writes.

    Only the adapter is written, never merged weights beside it: peft would apply the
    update a second time.
    """
    if ranks.main:
        aside = aside_of(folder)
        _write_adapter(adapter, aside, config=config)
        replace_folder(aside, folder)
    ranks.wait()


def save_epoch(adapter: "Adapter", folder: Path, *, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write an epoch's directory as asked: the adapter, or the merged model too.

    Both never share a folder: the merged model lies in `merged/` below the adapter, or
    the adapter in `adapter_weights/` below the merged model.
    """
    if ranks.main:
        aside = aside_of(folder)
        only, stash = config.save_adapter_weights_only, config.stash_adapter_weights
        place = Path(adapter_in(str(aside), adapter_only=only, stash=stash))
        _write_adapter(adapter, place, config=config)
        if not only:
            write_merged(place, aside if stash else aside / MERGED, base=Path(config.base_model.path))
        replace_folder(aside, folder)
    ranks.wait()


def keep_best(adapter: "Adapter", output: Path, *, step: int, config: "TrainConfig", ranks: "Ranks") -> None:
    """Write the adapter of the best step so far; the one before stays for `tidy_best`."""
    save_adapter(adapter, _best_folder(output, step), config=config, ranks=ranks)


def publish_best(output: Path, step: int) -> None:
    """Give the adapter of the best step the name `best`; its own folder stays for a training that must resume."""
    aside = aside_of(output / "best")
    shutil.copytree(_best_folder(output, step), aside, dirs_exist_ok=True)
    replace_folder(aside, output / "best")


def tidy_best(output: Path, *, keep: Collection[int | None]) -> None:
    """Remove the adapters that were the best once, but for those of some steps."""
    kept = {_best_folder(output, step) for step in keep if step is not None}
    for folder in (*output.glob("best_step_*"), *output.glob(".best_step_*")):
        if folder not in kept:
            discard(folder)


def _best_folder(output: Path, step: int) -> Path:
    return output / f"best_step_{step}"


def _write_adapter(adapter: "Adapter", folder: Path, *, config: "TrainConfig") -> None:
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
        **adapter.settings,
    }
    make_folder(folder)
    save_arrays(adapter.weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    sync_file(folder / ADAPTER_WEIGHTS)
    write_aside(folder / ADAPTER_CONFIG, json.dumps(settings, indent=2) + "\n")
    write_aside(folder / BASE_RECORD, record.model_dump_json(indent=2) + "\n")
