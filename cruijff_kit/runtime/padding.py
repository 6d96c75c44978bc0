"""Prompts of different lengths as one tensor, padded on either side, and back."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cruijff_kit.schema.embedding import Padding
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["TokenBatch", "pad_prompts"]


class TokenBatch(NamedTuple):
    """Prompts as a model reads them."""

    input_ids: Tensor
    """Token ids, shape (N, W); id 0 at padding, which the mask leaves out: no pad token is needed."""
    attention_mask: Tensor
    """1 at tokens and 0 at padding, shape (N, W)."""

    @property
    def positions(self) -> Tensor:
        """Return each token's place in its own prompt, shape (N, W), whatever side is padded."""
        return (self.attention_mask.cumsum(-1) - 1).clamp(min=0)

    def prompts(self) -> list[PromptIds]:
        """Return the prompts without their padding, in order."""
        kept = self.attention_mask.bool()
        return [tuple(row[mask].tolist()) for row, mask in zip(self.input_ids, kept, strict=True)]

    def to(self, device: torch.device) -> "TokenBatch":
        """Return the same on another device."""
        return TokenBatch(self.input_ids.to(device), self.attention_mask.to(device))


def pad_prompts(prompts: Sequence[PromptIds], *, side: Padding = "right") -> TokenBatch:
    """Return prompts as one tensor as wide as the longest of them."""
    width = max(map(len, prompts), default=0)
    gaps = [(0,) * (width - len(prompt)) for prompt in prompts]
    ones = [(1,) * len(prompt) for prompt in prompts]
    joined = (lambda gap, own: (*gap, *own)) if side == "left" else (lambda gap, own: (*own, *gap))
    ids = torch.tensor([joined(gap, prompt) for gap, prompt in zip(gaps, prompts, strict=True)], dtype=torch.long)
    mask = torch.tensor([joined(gap, one) for gap, one in zip(gaps, ones, strict=True)], dtype=torch.long)
    return TokenBatch(ids.reshape(len(prompts), width), mask.reshape(len(prompts), width))
