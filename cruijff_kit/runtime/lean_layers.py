"""Layers whose weights are frozen, computed with less: fewer passes over memory, and less of it kept for the gradient.

Each is equal to the plain form in value and gradient, and knows that its base weights
take no gradient. What the plain forms keep and these compute again is cheap: a scaled
row, a sigmoid. All of them compute in the type of their input but for sums over a row.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["gated", "lora_linear", "rms_norm", "rotated"]


def lora_linear(inputs: Tensor, weight: Tensor, *, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Return a frozen linear layer's output with its low-rank update added in place.

    Args:
        inputs: shape (..., in).
        weight: frozen weight, shape (out, in).
        down: first matrix of the update, shape (rank, in).
        up: second matrix of the update, shape (out, rank).
        scale: factor of the update.
    """
    return _LoraLinear.apply(inputs, weight, down, up, scale)


def gated(gate: Tensor, value: Tensor) -> Tensor:
    """Return `silu(gate) * value`; only the two are kept."""
    return _Gated.apply(gate, value)


def rms_norm(inputs: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """Return inputs divided by the root of their mean square, times a frozen weight.

    Args:
        inputs: shape (..., width); they and one number a row are kept.
        weight: frozen weight, shape (width,).
        eps: added to the mean square.
    """
    return _RmsNorm.apply(inputs, weight, eps)


def rotated(heads: Tensor, turns: Tensor) -> Tensor:
    """Return heads turned by their positions, neighbouring elements as one complex number (Su 2021).

    Args:
        heads: shape (rows, length, heads, width).
        turns: complex numbers of size one, shape (rows or 1, length, 1, width / 2).
    """
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(heads.dtype)


class _LoraLinear(torch.autograd.Function):
    """One product with the base, one small one with the update, added where the first lies."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands its inputs over by position
        ctx: Any, inputs: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        flat = inputs.flatten(0, -2)
        low = torch.mm(flat, down.t())
        out = torch.mm(flat, weight.t()).addmm_(low, up.t(), alpha=scale)
        ctx.save_for_backward(inputs, weight, down, up, low)
        ctx.scale = scale
        return out.unflatten(0, inputs.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor, None]:
        inputs, weight, down, up, low = ctx.saved_tensors
        gradient = outer[0].flatten(0, -2)
        below = torch.mm(gradient, up).mul_(ctx.scale)
        of_up = torch.mm(gradient.t(), low).mul_(ctx.scale)
        of_down = torch.mm(below.t(), inputs.flatten(0, -2))
        if not ctx.needs_input_grad[0]:
            return None, None, of_down, of_up, None
        of_inputs = torch.mm(gradient, weight).addmm_(below, down)
        return of_inputs.unflatten(0, inputs.shape[:-1]), None, of_down, of_up, None


class _Gated(torch.autograd.Function):
    """The gate's activation is computed again rather than kept."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(gate, value)
        return torch.nn.functional.silu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor]:
        gate, value = ctx.saved_tensors
        of_value = torch.nn.functional.silu(gate).mul_(outer[0])
        of_gate = torch.ops.aten.silu_backward(outer[0] * value, gate)
        return of_gate, of_value


class _RmsNorm(torch.autograd.Function):
    """The scaled row is computed again rather than kept."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = inputs.float()
        root = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(wide.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(inputs, weight, root)
        return (wide * root).mul_(weight).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        inputs, weight, root = ctx.saved_tensors
        scaled = inputs.float() * root
        gradient = outer[0].float() * weight
        along = torch.linalg.vecdot(gradient, scaled).unsqueeze_(-1).div_(scaled.shape[-1])
        return gradient.addcmul_(scaled, along, value=-1).mul_(root).to(inputs.dtype), None, None
