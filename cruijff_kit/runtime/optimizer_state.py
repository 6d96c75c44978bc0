"""Adapter weights, AdamW's moments and random states, as named tensors and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from cruijff_kit.runtime.course import Tally
from cruijff_kit.runtime.seeding import random_states, restore_random_states
from cruijff_kit.runtime.trainee import whole_weights

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.checkpoints import Checkpoint
    from cruijff_kit.runtime.loop import Loop
    from cruijff_kit.runtime.ranks import Ranks

__all__ = ["every_random_state", "restore_training", "training_tensors"]

_State = TypeVar("_State")

_WEIGHT = "adapter."
_OPTIMIZER = "optimizer."


def training_tensors(loop: "Loop", ranks: "Ranks") -> "dict[str, torch.Tensor]":
    """Return everything that training has changed; every process has to call it."""
    weights = loop.trainable
    tensors = {f"{_WEIGHT}{name}": tensor for name, tensor in whole_weights(weights, ranks).items()}
    for name, weight in weights.items():
        for part, value in loop.optimizer.state[weight].items():
            tensors[f"{_OPTIMIZER}{name}.{part}"] = ranks.whole(value).cpu()
    return tensors


def every_random_state(ranks: "Ranks") -> "tuple[dict[str, str], dict[str, torch.Tensor]]":
    """Return the states of every process's generators, texts and tensors; every process has to call it."""
    texts: dict[str, str] = {}
    tensors: dict[str, torch.Tensor] = {}
    for rank, (words, bits) in enumerate(ranks.everyone(random_states())):
        texts |= {f"{name}{_mark(rank)}": value for name, value in words.items()}
        tensors |= {f"{name}{_mark(rank)}": value for name, value in bits.items()}
    return texts, tensors


def _mark(rank: int) -> str:
    """Return what follows the name of a state: nothing for the first process."""
    return f"@{rank}" if rank else ""


def _of_rank(states: Mapping[str, _State], rank: int) -> dict[str, _State]:
    """Return one process's states under their plain names."""
    parted = ((*name.partition("@"), state) for name, state in states.items())
    return {name: state for name, _, number, state in parted if (number or "0") == str(rank)}


def restore_training(loop: "Loop", checkpoint: "Checkpoint", *, ranks: "Ranks") -> None:
    """Put a loop where a checkpoint stands: weights, moments, position, random states."""
    import torch

    tensors = checkpoint.tensors
    with torch.no_grad():
        for name, weight in loop.trainable.items():
            weight.copy_(ranks.like(weight, tensors[f"{_WEIGHT}{name}"]))
            prefix = f"{_OPTIMIZER}{name}."
            parts = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            loop.optimizer.state[weight] = {
                part: value.to(weight.device) if part == "step" else ranks.like(weight, value)
                for part, value in parts.items()
            }
    loop.tally = Tally.of(checkpoint.progress)
    # With more processes than made the checkpoint, the further ones go on from their own seed.
    texts = _of_rank(checkpoint.progress.random, ranks.rank)
    if texts:
        restore_random_states(texts, _of_rank(tensors, ranks.rank))
