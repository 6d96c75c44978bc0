"""Training cells whose peak memory is predicted, and measured in the real recipe's own steps."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import gc
import resource
import tempfile
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from cruijff_kit.data.tokens import IGNORE, Encoded
from cruijff_kit.planning.estimates import Basis, run_memory
from cruijff_kit.planning.lengths import row_lengths
from cruijff_kit.planning.settings import base_settings, with_derived
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.estimate import MemoryParts
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import Controls, ModelRef, Resources

__all__ = ["STEPS", "Cell", "Measurement", "measure", "measure_mlx", "predict", "save_model"]

STEPS = 2
"""Optimiser steps of a cell: from the second on the moments are there."""


class Cell(NamedTuple):
    """One training to predict and measure."""

    width: int
    """Hidden states."""
    layers: int
    """Blocks."""
    heads: int
    """Attention heads."""
    kv_heads: int
    """Heads of keys and values."""
    inner: int
    """MLP."""
    vocabulary: int
    """Rows of the embedding."""
    rank: int
    """Rank of the update."""
    rows: int
    """Rows of a pass."""
    length: int
    """Tokens of the longest row."""
    tied: bool = True
    """Whether the output layer is the embedding."""
    ragged: float = 0.0
    """Share by which rows may be shorter than the longest."""
    accumulation: int = 1
    """Passes of a step."""
    controls: tuple[tuple[str, Any], ...] = ()
    """Further controls, such as `packed`."""

    @property
    def name(self) -> str:
        """Return the cell in a few words."""
        shape = f"{self.layers}x{self.width}/{self.inner}, {self.heads}:{self.kv_heads} heads, {self.vocabulary} words"
        passes = f"rank {self.rank}, {self.rows}x{self.length}"
        more = [name if value is True else f"{name} {_plain(value)}" for name, value in self.controls]
        parts = [f"{self.accumulation} passes"] * (self.accumulation > 1) + ["ragged"] * bool(self.ragged) + more
        return ", ".join([shape, passes, *parts])


def _plain(value: Any) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value)


class Measurement(NamedTuple):
    """What a cell was measured to need."""

    tensors: int
    """Peak of live tensor bytes on the CPU; allocated on a GPU."""
    resident: int
    """Peak resident size of the process, loading included."""


def encoded_rows(cell: Cell) -> list[Encoded]:
    """Return the rows of all steps, the first of each pass the longest, half of each supervised."""
    chance = Random(f"{cell}")
    rows = []
    for index in range(STEPS * cell.accumulation * cell.rows):
        shortest = cell.length - round(cell.ragged * cell.length)
        length = cell.length if index % cell.rows == 0 else chance.randint(shortest, cell.length)
        ids = tuple(chance.choices(range(cell.vocabulary), k=length))
        seam = length // 2
        rows.append(Encoded(ids, (IGNORE,) * seam + ids[seam:], seam))
    return rows


def predict(cell: Cell, model: ModelFacts, *, gpu: bool = False) -> MemoryParts:
    """Return the estimate of a cell, by the one estimator that all faces ask."""
    values = {
        "lora_rank": cell.rank,
        "batch_size": cell.rows,
        "gradient_accumulation_steps": cell.accumulation,
        "max_seq_len": cell.length,
        **dict(cell.controls),
    }
    run = PlannedRun(
        id="cell-00000000",
        type="fine-tuned",
        model=ModelRef(name="random", path=model.path, sha256=model.sha256),
        model_path=model.path,
        dataset="none",
        factors={},
        seed=1,
        settings=with_derived(base_settings(Controls.model_validate(values))),
        total_steps=STEPS,
        epochs_saved=(),
        cells=(),
    )
    lengths = row_lengths([(len(row.ids), sum(label != IGNORE for label in row.labels)) for row in encoded_rows(cell)])
    assert lengths is not None
    basis = Basis({"random": model}, Resources(gpus=int(gpu)), {run.id: lengths})
    return run_memory(run, basis)


def save_model(cell: Cell, folder: Path) -> Path:
    """Save a random Llama of a cell's shape; its tokenizer is not needed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": cell.vocabulary,
        "hidden_size": cell.width,
        "intermediate_size": cell.inner,
        "num_hidden_layers": cell.layers,
        "num_attention_heads": cell.heads,
        "num_key_value_heads": cell.kv_heads,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": cell.tied,
    }
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    return folder


def measure(cell: Cell, base: Path, *, device: str = "cpu") -> Measurement:
    """Take the steps of a cell with the real recipe and loop, and return its peak."""
    import torch

    from cruijff_kit.recipes.lora_single_device import build
    from cruijff_kit.runtime.live_bytes import LiveBytes
    from cruijff_kit.runtime.loop import Loop
    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.training_rows import Rows

    with tempfile.TemporaryDirectory() as folder:
        config = _config(cell, base, folder=folder, device=device)
        trainee = build(config, Ranks())
    loop = Loop(config, trainee, rows=Rows(encoded_rows(cell), []))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        list(loop.take())
        return Measurement(torch.cuda.max_memory_allocated(), _resident())
    head = getattr(trainee.head, "tied_module", trainee.head)
    live = LiveBytes([*trainee.network.parameters(), *trainee.network.buffers(), *head.parameters()])
    with live:
        list(loop.take())
    return Measurement(live.peak, _resident())


def measure_mlx(cell: Cell, base: Path) -> Measurement:
    """Take the steps of a cell with the recipe and loop of MLX, and return its peak by MLX's own count."""
    import mlx.core as mx

    from cruijff_kit.recipes.mlx_lora import build
    from cruijff_kit.runtime.mlx_loop import MlxLoop
    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.training_rows import Rows

    # What an earlier cell left counts no more.
    gc.collect()
    mx.clear_cache()
    with tempfile.TemporaryDirectory() as folder:
        config = _config(cell, base, folder=folder, device="cpu")
        trainee = build(config, Ranks())
    loop = MlxLoop(config, trainee, rows=Rows(encoded_rows(cell), []))
    mx.reset_peak_memory()
    list(loop.take())
    return Measurement(mx.get_peak_memory(), _resident())


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _config(cell: Cell, base: Path, *, folder: str, device: str) -> TrainConfig:
    controls = dict(cell.controls)
    lora = {"lora_rank": cell.rank, "lora_alpha": 2.0 * cell.rank, "lora_dropout": controls.get("lora_dropout", 0.0)}
    return TrainConfig.model_validate(
        {
            "run_id": "cell-00000000",
            "run_dir": folder,
            "output_dir": folder,
            "base_model": {"name": "random", "path": str(base), "sha256": "0" * 64},
            "dataset": {
                "path": "none",
                "sha256": "0" * 64,
                "dataset_type": "text_completion",
                "prompt": "{input}",
                "system_prompt": "",
                "template_date": "none",
                "max_seq_len": cell.length,
            },
            "model": {
                **lora,
                "variant": controls.get("lora_variant", "lora"),
                "target_modules": controls.get("target_modules"),
                "quantization": controls.get("quantization", "none"),
            },
            "optimizer": {"lr": 1e-3, "weight_decay": 0.01},
            "lr_scheduler": {"name": "constant", "num_warmup_steps": 0},
            "epochs": 1,
            "max_steps_per_epoch": STEPS,
            "batch_size": cell.rows,
            "batch_size_val": cell.rows,
            "gradient_accumulation_steps": cell.accumulation,
            "clip_grad_norm": 1.0,
            "dtype": controls.get("dtype", "fp32"),
            "device": device,
            "seed": 1,
            "log_every_n_steps": 1000,
            "run_val_every_n_steps": 0,
            "epochs_to_save": [],
            "packed": controls.get("packed", False),
            "enable_activation_checkpointing": controls.get("activation_checkpointing", False),
        }
    )
