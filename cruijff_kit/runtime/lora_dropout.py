"""The dropout of LoRA layers, turned on while a model answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["dropout_on", "dropping_layers"]


def dropping_layers(network: nn.Module, adapter: str) -> list[nn.Module]:
    """Return the LoRA layers of a network in which an adapter drops inputs while it trains.

    Args:
        network: a model with peft's layers in it.
        adapter: the name that peft knows the adapter by.
    """
    return [each for each in network.modules() if _rate(each, adapter) > 0]


@contextmanager
def dropout_on(layers: Sequence[nn.Module], *, seed: int, device: torch.device) -> Iterator[None]:
    """Let layers drop inputs as in training, by a seed of their own; all dice are afterwards as they were before.

    A whole layer is set to train, because DoRA asks its layer and not the dropout.
    """
    gpus = [device] if device.type in ("cuda", "mps") else []
    with torch.random.fork_rng(devices=gpus, device_type=device.type if gpus else "cuda"):
        torch.manual_seed(seed)
        try:
            for layer in layers:
                layer.train()
            yield
        finally:
            for layer in layers:
                layer.eval()


def _rate(layer: nn.Module, adapter: str) -> float:
    drops: Any = getattr(layer, "lora_dropout", None)
    if not isinstance(drops, nn.ModuleDict) or adapter not in drops:
        return 0.0
    return float(getattr(drops[adapter], "p", 0.0))
