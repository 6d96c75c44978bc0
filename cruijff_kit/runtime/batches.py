"""Rows to the tensors of one forward pass: padded on the right, or packed end to end."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.data.tokens import IGNORE, Encoded

if TYPE_CHECKING:
    import torch

__all__ = ["Array", "Batch", "as_torch", "batches", "unsupervised"]

Array = Callable[[Sequence[Any]], Any]
"""Whole numbers, one list or a list of lists, to an array of the library that computes."""


class Batch(NamedTuple):
    """Rows of one forward pass; told as torch's tensors, they are whatever array made them."""

    ids: "torch.Tensor"
    """Token ids: shape (rows, longest row) when padded, (1, all tokens) when packed."""
    labels: "torch.Tensor"
    """Labels shifted to the position that predicts them, same shape; `IGNORE` elsewhere."""
    lengths: tuple[int, ...]
    """Tokens of each row, in order."""
    packed: bool
    """Whether rows lie end to end, each seeing itself alone."""
    supervised: int
    """Tokens with a label."""

    @property
    def tokens(self) -> int:
        """Return the tokens of all rows, padding left out."""
        return sum(self.lengths)

    def label_rows(self) -> "Sequence[torch.Tensor]":
        """Return the labels of each row, `IGNORE` included."""
        return self.labels[0].split(self.lengths) if self.packed else self.labels.unbind()

    def positions(self) -> "torch.Tensor":
        """Return each token's place in its own row, of the shape of `ids`."""
        import torch

        if self.packed:
            return torch.cat([torch.arange(length) for length in self.lengths])[None]
        return torch.arange(self.ids.shape[1]).expand(self.ids.shape)


def as_torch(numbers: Sequence[Any]) -> "torch.Tensor":
    """Return whole numbers as a tensor of torch."""
    import torch

    return torch.tensor(numbers)


def batches(rows: Sequence[Encoded], *, size: int, packed: bool, array: Array = as_torch) -> Iterator[Batch]:
    """Yield batches of up to `size` rows, in order, padded or packed.

    Padding is on the right and unsupervised, so under causal attention no real token
    sees it; its id is therefore of no consequence. For packed rows nothing is padded;
    attention has to keep them apart (`packed_attention`), and then the loss is that of
    the padded form. Within a packed batch the longest row comes first: rows of one
    length are then neighbours, which attention takes together.
    """
    make = _packed if packed else _padded
    for start in range(0, len(rows), size):
        yield make(rows[start : start + size], array)


def unsupervised(row: Encoded, *, packed: bool, array: Array = as_torch) -> Batch:
    """Return a pass over one row without any label, for a process that has no row of its own."""
    make = _packed if packed else _padded
    return make([row._replace(labels=(IGNORE,) * len(row.labels))], array)


def _padded(rows: Sequence[Encoded], array: Array) -> Batch:
    width = max(len(row.ids) for row in rows)
    ids = [[*row.ids, *(0,) * (width - len(row.ids))] for row in rows]
    labels = [[*row.labels[1:], *(IGNORE,) * (width - len(row.labels) + 1)] for row in rows]
    return Batch(array(ids), array(labels), _lengths(rows), packed=False, supervised=_supervised(rows))


def _packed(rows: Sequence[Encoded], array: Array) -> Batch:
    rows = sorted(rows, key=lambda row: -len(row.ids))
    ids = array(list(chain.from_iterable(row.ids for row in rows)))
    labels = array(list(chain.from_iterable((*row.labels[1:], IGNORE) for row in rows)))
    return Batch(ids[None], labels[None], _lengths(rows), packed=True, supervised=_supervised(rows))


def _lengths(rows: Sequence[Encoded]) -> tuple[int, ...]:
    return tuple(len(row.ids) for row in rows)


def _supervised(rows: Sequence[Encoded]) -> int:
    """Count the labels that a loss can be taken on: the first token of a row has no predecessor."""
    return sum(label != IGNORE for row in rows for label in row.labels[1:])
