"""The training loss: cross-entropy over supervised positions, a slice of the vocabulary's logits at a time."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["LOGITS_AT_ONCE", "linear_cross_entropy", "summed_cross_entropy"]

LOGITS_AT_ONCE = 2**25
"""Logits held at a time, 128 MiB in single precision; the rest of a large batch follows."""


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed loss of logits, shape (tokens, vocabulary), in nats, in single precision."""
    return cross_entropy(logits.float(), labels, reduction="sum")


def linear_cross_entropy(hidden: Tensor, labels: Tensor, *, weight: Tensor) -> Tensor:
    """Return the summed loss of a frozen linear output layer, in nats, without keeping its logits.

    The gradient of the loss by the logits is softmax minus one-hot, known as soon as the
    logits are. So the gradient by the hidden states is computed in the forward pass, slice
    by slice, and neither logits nor their gradient outlive a slice.

    Args:
        hidden: hidden states of supervised positions, shape (tokens, width).
        labels: token ids, shape (tokens,).
        weight: output layer, shape (vocabulary, width); it gets no gradient.
    """
    return _LinearCrossEntropy.apply(hidden, weight, labels)


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and gradient in one pass over the vocabulary."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if wanted else None
        size = max(1, LOGITS_AT_ONCE // weight.shape[0])
        for start in range(0, hidden.shape[0], size):
            part = slice(start, start + size)
            into = gradient[part] if gradient is not None else None
            total += _slice(hidden[part], weight, labels=labels[part, None], gradient=into)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype), None, None


def _slice(hidden: Tensor, weight: Tensor, *, labels: Tensor, gradient: Tensor | None) -> Tensor:
    """Return the summed loss of some tokens and write their gradient; on return their logits are gone.

    Within a loop the logits of one slice would stand beside those of the next.
    """
    logits = torch.mm(hidden, weight.t()).float()
    scale = logits.logsumexp(-1, keepdim=True)
    loss = (scale - logits.gather(-1, labels)).sum()
    if gradient is not None:
        probabilities = logits.sub_(scale).exp_()
        probabilities.scatter_add_(-1, labels, -torch.ones_like(scale))
        torch.mm(probabilities.to(weight.dtype), weight, out=gradient)
    return loss
