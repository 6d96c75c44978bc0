"""Causal attention over rows laid end to end, each row seeing itself alone.

On a GPU in bf16 the kernel for ragged rows of torch does it. Elsewhere rows of like
length are gathered into small padded groups, so that short rows are not computed at
the length of the longest; what stands in the padding is computed and thrown away.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["USUAL", "Layout", "Scores", "attend", "layout"]

# A row joins a group whose longest row is at most this much longer: beyond it padding costs more than one more call.
_STRETCH = 1.25


class Layout(NamedTuple):
    """Where the rows of a packed batch lie; worked out once, used by every block."""

    groups: tuple[Tensor, ...]
    """Token positions of like-long rows, each of shape (rows, longest row); padding repeats a row's first token."""
    order: Tensor
    """Where each token is found in the groups laid end to end, shape (tokens,)."""
    ends: Tensor
    """Cumulative row ends from 0, shape (rows + 1,), 32-bit."""
    longest: int
    """Tokens of the longest row."""


def layout(lengths: Sequence[int], *, device: torch.device) -> Layout:
    """Return the layout of rows of these lengths, in the order packed."""
    starts, total = [], 0
    for length in lengths:
        starts.append(total)
        total += length
    groups, order, offset = [], torch.empty(total, dtype=torch.long), 0
    for members in _grouped(lengths):
        width = lengths[members[0]]
        index = torch.tensor([starts[row] for row in members])[:, None].expand(-1, width).clone()
        for line, row in enumerate(members):
            steps = torch.arange(lengths[row])
            index[line, : lengths[row]] += steps
            order[starts[row] : starts[row] + lengths[row]] = offset + line * width + steps
        groups.append(index.to(device))
        offset += index.numel()
    ends = torch.tensor([*starts, total], dtype=torch.int32)
    return Layout(tuple(groups), order.to(device), ends.to(device), max(lengths))


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
    parts = []
    for index in rows.groups:
        asked, keys, values = (_taken(tensor, index) for tensor in (query, key, value))
        seen = _window(index.shape[1], scores.window, device=index.device)
        found = scaled_dot_product_attention(
            asked,
            keys,
            values,
            attn_mask=seen,
            dropout_p=scores.dropout,
            is_causal=seen is None,
            scale=scores.scale,
            enable_gqa=shared,
        )
        parts.append(found.transpose(0, 1).flatten(1, 2))
    return torch.cat(parts, dim=1)[None].index_select(2, rows.order)


def _grouped(lengths: Sequence[int]) -> list[list[int]]:
    """Return positions of rows, longest first, in groups of like length."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if groups and lengths[groups[-1][0]] <= _STRETCH * lengths[row]:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _taken(tensor: Tensor, index: Tensor) -> Tensor:
    """Return the rows of one group, shape (rows, heads, longest row, width)."""
    return tensor[0].index_select(1, index.flatten()).unflatten(1, index.shape).transpose(0, 1)


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
