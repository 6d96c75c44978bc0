"""Advice on a training before it begins: what is unusual in it, what might do better, and what fits."""

import re
from collections.abc import Callable, Iterator, Mapping
from math import floor
from typing import Any, NamedTuple

from cruijff_kit.planning.memory import training_memory
from cruijff_kit.planning.shapes import Shape
from cruijff_kit.planning.training_pass import Work
from cruijff_kit.schema.estimate import MemoryParts

__all__ = ["Fit", "fit_of", "recommendations", "train_warnings"]

_REPOSITORY = re.compile(r"(?:[A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+")
_MANY = 2**20
_SHARE = 0.8
"""Part of a machine's memory that is counted with; the rest is for everything else that runs."""


class Fit(NamedTuple):
    """What a training needs, and how many rows a pass may have."""

    parts: MemoryParts
    """Memory of a step at the batch size asked for."""
    limit: int
    """Bytes that are counted with; 0 where nobody says how much there is."""
    most_rows: int | None
    """Largest batch that fits; below 1 nothing does, None where no limit is known."""


def train_warnings(values: Mapping[str, Any], *, model: str, local: bool) -> Iterator[str]:
    """Yield what is unusual, each with the value and the line it crosses.

    Args:
        values: every key with its value.
        model: the model as it was named.
        local: whether that is a directory, which may be called anything.
    """
    yield from _lora_warnings(values)
    yield from _step_warnings(values)
    if not local and not _REPOSITORY.fullmatch(model):
        yield f"model `{model}` is no `owner/name` of letters, digits, `.`, `_` and `-`"
    if values["max_seq_len"] > 4096:
        yield f"`max_seq_len` {values['max_seq_len']} is above 4096: memory grows with the longest row"
    if values["val_split"] > 0.3:
        yield f"`val_split` {values['val_split']:g} is above 0.3: rows held out are not learnt"


def _lora_warnings(values: Mapping[str, Any]) -> Iterator[str]:
    rank, alpha = values["lora_rank"], values["lora_alpha"]
    if rank > 64:
        yield f"`lora_rank` {rank} is above 64: more weights than most tasks need"
    if alpha / rank > 4:
        yield f"`lora_alpha` / `lora_rank` is {alpha / rank:g}, above 4: the update may outweigh the base model"
    if values["lora_dropout"] > 0.3:
        yield f"`lora_dropout` {values['lora_dropout']:g} is above 0.3: little is left to learn from"
    if values["quantization"] != "none" and rank > 32:
        yield f"`lora_rank` {rank} on a base in 4 bits: above 32 the adapter takes what quantisation saved"


def _step_warnings(values: Mapping[str, Any]) -> Iterator[str]:
    lr, batch, window = values["lr"], values["batch_size"], values["gradient_accumulation_steps"]
    if lr > 1e-3:
        yield f"`lr` {lr:g} is above 0.001: training may run away; losses will tell"
    if lr < 1e-6:
        yield f"`lr` {lr:g} is below 1e-06: next to nothing will be learnt"
    if batch * window > 32:
        yield f"{batch * window} rows an optimiser step are above 32: few steps an epoch"
    if batch > 8 and window == 1:
        yield f"`batch_size` {batch} without accumulation takes memory; `gradient_accumulation_steps` splits it"


def recommendations(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what might do better."""
    if values["lora_rank"] < 8:
        yield f"`lora_rank` {values['lora_rank']} is low; 8 or more learns more than style"
    if values["batch_size"] == 1 and values["gradient_accumulation_steps"] == 1:
        yield "one row a step is noisy; `gradient_accumulation_steps: 4` is steadier in the same memory"
    if values["epochs"] > 5:
        yield f"{values['epochs']} epochs may memorise the rows; watch the validation loss, `best` is kept"


def fit_of(shape: Shape, values: Mapping[str, Any], *, memory: int, mlx: bool = False) -> Fit:
    """Return what a training needs with rows of `max_seq_len`, and the largest batch in four fifths of a memory.

    Whether a batch fits is asked of the one estimator there is: beyond some rows the logits
    are taken in parts, so that what a row takes is no constant.

    Args:
        shape: the model's.
        values: every key with its value.
        memory: bytes of the device; 0 where nobody says.
        mlx: whether MLX computes.
    """

    def needed(rows: int) -> MemoryParts:
        return training_memory(shape, _work(values, rows=rows)._replace(mlx=mlx))

    parts = needed(values["batch_size"])
    limit = floor(_SHARE * memory)
    if not limit:
        return Fit(parts, 0, None)
    return Fit(parts, limit, _most(lambda rows: needed(rows).total <= limit))


def _most(fits: Callable[[int], bool]) -> int:
    """Return the largest number of rows that fits, 0 where one does not."""
    low, high = 0, 1
    while high <= _MANY and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _work(values: Mapping[str, Any], *, rows: int) -> Work:
    targets, tokens = values["target_modules"], rows * values["max_seq_len"]
    return Work(
        rank=values["lora_rank"],
        tokens=tokens,
        supervised=tokens,
        rows=rows,
        targets=tuple(targets) if targets else None,
        dora=values["lora_variant"] == "dora",
        dropout=values["lora_dropout"] > 0,
        dtype=values["dtype"],
        checkpointing=values["activation_checkpointing"],
        accumulation=values["gradient_accumulation_steps"],
        quantized=values["quantization"] != "none",
        gpu=values["gpus"] > 0,
    )
