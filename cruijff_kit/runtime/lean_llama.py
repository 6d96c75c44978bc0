"""torchtune's Llama components, computed by `lean_layers` where their settings allow it."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchtune.models.llama3_1 import Llama3ScaledRoPE
from torchtune.modules import FeedForward, RMSNorm
from torchtune.modules.peft import LoRALinear

from cruijff_kit.runtime.lean_layers import gated, lora_linear, rms_norm, rotated

__all__ = ["make_lean"]


def make_lean(network: torch.nn.Module) -> None:
    """Let the layers of a network whose base is frozen compute with less; their weights and names stay."""
    for module in network.modules():
        forward: Any = _FORWARD.get(type(module))
        if forward is not None and _fits(module):
            module.forward = forward(module) if forward is _Rotation else partial(forward, module)


def _fits(module: Any) -> bool:
    if type(module) is LoRALinear:
        # Dropout takes its own share of the input, and a base in 4 bits its own product.
        return type(module.dropout) is torch.nn.Identity and module.bias is None and not module._quantize_base
    return type(module) is not FeedForward or (type(module.activation) is torch.nn.SiLU and module.w3 is not None)


def _lora(module: Any, x: Tensor) -> Tensor:
    down, up = module.lora_a.weight, module.lora_b.weight
    return lora_linear(x, module.weight, down=down, up=up, scale=module.alpha / module.rank)


def _feed_forward(module: Any, x: Tensor) -> Tensor:
    return module.w2(gated(module.w1(x), module.w3(x)))


def _norm(module: Any, x: Tensor) -> Tensor:
    return rms_norm(x, module.scale, eps=module.eps)


class _Rotation:
    """Rotary positions whose numbers are looked up once a pass instead of once a block."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._positions: Tensor | None = None
        self._turns: Tensor | None = None

    def __call__(self, x: Tensor, *, input_pos: Tensor | None = None) -> Tensor:
        if input_pos is None:
            return rotated(x, torch.view_as_complex(self._module.cache[: x.shape[1]].float())[None, :, None])
        if self._turns is None or self._positions is not input_pos:
            self._positions = input_pos
            self._turns = torch.view_as_complex(self._module.cache[input_pos].float()).unsqueeze(-2)
        return rotated(x, self._turns)


_FORWARD = {LoRALinear: _lora, FeedForward: _feed_forward, RMSNorm: _norm, Llama3ScaledRoPE: _Rotation}
