"""A model with an adapter in training, as the loop sees it; each backend makes one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.batches import Batch

__all__ = ["Trainee"]


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

    def blocks(self) -> "list[torch.nn.Module]":
        """Return the decoder's blocks, first to last, as they lie in `network`."""
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
