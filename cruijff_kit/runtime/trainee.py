"""A model with an adapter in training, as the loop sees it; each backend makes one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from cruijff_kit.runtime.batches import Batch
    from cruijff_kit.runtime.ranks import Ranks

__all__ = ["Adapter", "Trainee", "learning", "whole_adapter", "whole_weights"]

# What recomputation puts around a block shows in the names of what is inside.
_WRAPPER = "_checkpoint_wrapped_module."


def learning(network: "torch.nn.Module") -> "dict[str, torch.nn.Parameter]":
    """Return the weights that learn, by names that do not depend on how blocks are computed."""
    named = network.named_parameters()
    return {name.replace(_WRAPPER, ""): weight for name, weight in named if weight.requires_grad}


def whole_weights(weights: "Mapping[str, torch.nn.Parameter]", ranks: "Ranks") -> "dict[str, torch.Tensor]":
    """Return weights whole and on the CPU; every process has to call it."""
    return {name: ranks.whole(weight.detach()).cpu() for name, weight in weights.items()}


class Adapter(NamedTuple):
    """An adapter as it is written, whichever library trained it."""

    weights: "dict[str, torch.Tensor] | dict[str, np.ndarray]"
    """Weights under peft's names, whole and on the CPU."""
    settings: dict[str, Any]
    """The entries of `adapter_config.json` that the backend decides on."""


def whole_adapter(trainee: "Trainee", ranks: "Ranks") -> Adapter:
    """Return a model's adapter as it is written; every process has to call it."""
    return Adapter(trainee.adapter(whole_weights(learning(trainee.network), ranks)), trainee.settings())


class Trainee(Protocol):
    """What a backend has to offer: hidden states, a loss, and the adapter in peft's names."""

    @property
    def network(self) -> "torch.nn.Module":
        """Return everything with parameters; only those of the adapter ask for a gradient."""
        ...

    @property
    def device(self) -> "torch.device":
        """Return where it computes."""
        ...

    def blocks(self) -> "Sequence[torch.nn.Module]":
        """Return the decoder blocks in order; several processes may share their frozen weights out."""
        ...

    def hidden(self, batch: "Batch") -> "torch.Tensor":
        """Return the last hidden states where `batch.labels` has one, shape (supervised, width)."""
        ...

    def loss(self, hidden: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Return the summed loss of hidden states and their labels, in nats."""
        ...

    def logits(self, hidden: "torch.Tensor") -> "torch.Tensor":
        """Return logits over the vocabulary in single precision, for metrics that need them."""
        ...

    def adapter(self, weights: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
        """Return trainable weights, given by the network's names, under peft's names.

        Args:
            weights: what `network.named_parameters()` calls them, whole and on the CPU.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """Return the entries of `adapter_config.json` that this backend decides on."""
        ...
