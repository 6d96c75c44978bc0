"""Pooling: the hidden states of a text's tokens to one vector."""

import torch
from torch import Tensor

from cruijff_kit.schema.embedding import Pool

__all__ = ["COUNTS_PADDING", "pool_hidden_states"]

COUNTS_PADDING: frozenset[Pool] = frozenset({"mean", "last"})
"""Pools that take every position for what it is, padding too; all others see a text's own tokens alone."""


def pool_hidden_states(hidden: Tensor, attention_mask: Tensor, *, pool: Pool) -> Tensor:
    """Return one vector a text and layer, or every token's where nothing is pooled.

    | pool | of the tokens of a text |
    | --- | --- |
    | `none` | all of them, zeros at padding |
    | `mean_non_padding`, `median` | mean; median, the lower of two middle values |
    | `first`, `last_non_padding` | the first; the last |
    | `mean`, `last` | mean over all W positions; position W - 1, **padding or not** |

    Args:
        hidden: hidden states, shape (N, L, W, H).
        attention_mask: 1 at tokens, 0 at padding on either side, shape (N, W); at least one 1 a text.
        pool: how to pool.

    Returns:
        Shape (N, L, H); (N, L, W, H) where `pool` is `none`. Means and medians are taken in fp32.
    """
    if pool == "last":
        return hidden[:, :, -1]
    if pool == "mean":
        return hidden.float().mean(2)
    mask = attention_mask.to(hidden.device).bool()
    tokens = mask[:, None, :, None]
    if pool == "none":
        return hidden.masked_fill(~tokens, 0)
    if pool == "mean_non_padding":
        return hidden.float().masked_fill(~tokens, 0).sum(2) / tokens.sum(2)
    if pool == "median":
        middle = hidden.float().masked_fill(~tokens, torch.nan).nanmedian(2).values
        # Padding is left out as no number; a token that is none itself must not be left out with it.
        return middle.masked_fill((hidden.isnan() & tokens).any(2), torch.nan)
    counted = mask.long()
    at = counted.argmax(-1) if pool == "first" else counted.shape[-1] - 1 - counted.flip(-1).argmax(-1)
    return hidden[torch.arange(len(hidden), device=hidden.device), :, at]
