"""Causal attention over rows laid end to end, each row seeing itself alone.

On a GPU in bf16 the kernel for ragged rows of torch does it. Elsewhere neighbours of
one length are attended to together, and nothing is padded or moved.
"""

from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["USUAL", "Layout", "Scores", "attend", "layout"]


class Layout(NamedTuple):
    """Where the rows of a packed batch lie; worked out once, used by every block."""

    runs: tuple[tuple[int, int], ...]
    """Neighbouring rows of one length: how many, and how long."""
    ends: Tensor
    """Cumulative row ends from 0, shape (rows + 1,), 32-bit."""
    longest: int
    """Tokens of the longest row."""


def layout(lengths: Sequence[int], *, device: torch.device) -> Layout:
    """Return the layout of rows of these lengths, in the order packed."""
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    runs = tuple((sum(1 for _ in same), length) for length, same in groupby(lengths))
    return Layout(runs, ends.to(device), max(lengths))


class Scores(NamedTuple):
    """How scores are made and thinned out; the usual way where nothing is said."""

    dropout: float = 0.0
    """Share of attention weights dropped."""
    scale: float | None = None
    """Factor of the scores; one over the root of the width where None."""
    window: int | None = None
    """Tokens that each one sees, itself included; all before it where None."""


USUAL = Scores()
"""All before it, scaled by the width, none dropped."""


def attend(query: Tensor, key: Tensor, *, value: Tensor, rows: Layout, scores: Scores = USUAL) -> Tensor:
    """Return causal attention within each row.

    Args:
        query: shape (1, heads, tokens, width).
        key: shape (1, heads or fewer, tokens, width); fewer heads serve several queries each.
        value: shape as `key`.
        rows: where the rows lie.
        scores: how scores are made.
    """
    half = query.dtype in (torch.bfloat16, torch.float16)
    if query.device.type == "cuda" and half and not scores.dropout:
        return _ragged(query, key, value=value, rows=rows, scores=scores)
    shared = key.shape[1] != query.shape[1]
    tokens = [count * length for count, length in rows.runs]
    parts = []
    for (count, length), *heads in zip(
        rows.runs, *(each[0].split(tokens, dim=1) for each in (query, key, value)), strict=True
    ):
        seen = _window(length, scores.window, device=query.device)
        found = scaled_dot_product_attention(
            *(each.unflatten(1, (count, length)).transpose(0, 1) for each in heads),
            attn_mask=seen,
            dropout_p=scores.dropout,
            is_causal=seen is None,
            scale=scores.scale,
            enable_gqa=shared,
        )
        parts.append(found.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).transpose(0, 1)[None]


def _window(length: int, window: int | None, *, device: torch.device) -> Tensor | None:
    """Return which positions each one sees, shape (length, length); None where that is all before it."""
    if window is None or window >= length:
        return None
    steps = torch.arange(length, device=device)
    behind = steps[:, None] - steps
    return (behind >= 0) & (behind < window)


def _ragged(query: Tensor, key: Tensor, *, value: Tensor, rows: Layout, scores: Scores) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
    shared = key.shape[1] != query.shape[1]
    longest = rows.longest
    back = -1 if scores.window is None else scores.window - 1
    found: Any = varlen_attn(
        query,
        key,
        value,
        rows.ends,
        rows.ends,
        longest,
        longest,
        scale=scores.scale,
        window_size=(back, 0),
        enable_gqa=shared,
    )
    return found.transpose(0, 1)[None]
