"""Several continuations of every prompt, read in one pass over its keys and values."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cruijff_kit.runtime.key_values import (
    Network,
    Reading,
    branch,
    heeds_positions_alone,
    is_plain,
    read_on,
)
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["read_branches", "repeats_rows"]

_Place = Mapping[tuple[int, int], tuple[int, int]]
"""For every (row, node) the line and step of the logits behind it."""


class _Pass(NamedTuple):
    """What one pass reads."""

    rows: list[int]
    """For each line the prompt it goes on from."""
    ids: Tensor
    """Tokens, shape (lines, steps)."""
    depths: Tensor
    """How far behind its prompt each of them stands, from 1, shape (lines, steps)."""
    mask: Tensor
    """What each sees, as the model takes it."""
    place: _Place
    """Where each node stands."""


def repeats_rows(network: Network) -> bool:
    """Return whether a model needs a row of its own for every continuation."""
    return not heeds_positions_alone(network)


def read_branches(network: Network, reading: Reading, *, nodes: Sequence[Sequence[PromptIds]]) -> tuple[Tensor, _Place]:
    """Return logits of shape (lines, steps, vocabulary), and where each continuation ends among them.

    Where a model goes by the positions and masks it is given, the continuations of a prompt
    lie side by side in its row, each token seeing the prompt and what it goes on from. With
    other models every continuation that is no beginning of another gets a copy of the row.

    Args:
        network: the model.
        reading: where it stands behind the prompts; it stays as it is.
        nodes: for each prompt the continuations, shorter ones first, all their beginnings among them.
    """
    made = _repeated(reading, nodes) if repeats_rows(network) or not is_plain(reading.cache) else None
    chosen = made or _side_by_side(network, reading, nodes=nodes)
    device = reading.mask.device
    everyone = chosen.rows == list(range(len(nodes)))
    rows = torch.tensor(chosen.rows, device=device)
    logits, _ = read_on(
        network,
        chosen.ids.to(device),
        mask=chosen.mask,
        positions=reading.positions[rows] + chosen.depths.to(device),
        cache=branch(reading.cache, None if everyone else rows),
        keep=chosen.ids.shape[1],
    )
    return logits, chosen.place


def _side_by_side(network: Network, reading: Reading, *, nodes: Sequence[Sequence[PromptIds]]) -> _Pass:
    rows = [row for row, each in enumerate(nodes) if each]
    width = max(map(len, nodes))
    drawn = {own: _tree(own, width) for own in {tuple(nodes[row]) for row in rows}}
    ids, depths, sees = (torch.stack(each) for each in zip(*(drawn[tuple(nodes[row])] for row in rows), strict=True))
    before = reading.mask[rows].bool()[:, None].expand(-1, width, -1)
    seen = torch.cat([before, sees.to(before.device)], dim=-1)[:, None]
    # Added to the scores, which every kind of attention takes.
    hidden = torch.finfo(network.dtype).min
    mask = torch.zeros(seen.shape, dtype=network.dtype, device=seen.device).masked_fill_(~seen, hidden)
    place = {(row, node): (line, node) for line, row in enumerate(rows) for node in range(len(nodes[row]))}
    return _Pass(rows, ids, depths, mask, place)


def _tree(nodes: Sequence[PromptIds], width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, depths and what sees what of one prompt's continuations, padded to a width."""
    ids, depths = torch.zeros(width, dtype=torch.long), torch.ones(width, dtype=torch.long)
    sees = torch.eye(width, dtype=torch.bool)
    for at, node in enumerate(nodes):
        ids[at], depths[at] = node[-1], len(node)
        for other, earlier in enumerate(nodes[:at]):
            sees[at, other] = node[: len(earlier)] == earlier
    return ids, depths, sees


def _repeated(reading: Reading, nodes: Sequence[Sequence[PromptIds]]) -> _Pass:
    whole = [
        (row, node)
        for row, each in enumerate(nodes)
        for node in each
        if not any(len(other) > len(node) and other[: len(node)] == node for other in each)
    ]
    width = max(len(node) for _, node in whole)
    rows = [row for row, _ in whole]
    ids = torch.tensor([[*node, *[0] * (width - len(node))] for _, node in whole])
    real = torch.tensor([[1] * len(node) + [0] * (width - len(node)) for _, node in whole])
    mask = torch.cat([reading.mask[rows], real.to(reading.mask)], dim=-1)
    place = {
        (row, at): (line, len(each) - 1)
        for line, (row, node) in enumerate(whole)
        for at, each in enumerate(nodes[row])
        if node[: len(each)] == each
    }
    return _Pass(rows, ids, torch.arange(1, width + 1).expand(len(whole), -1), mask, place)
