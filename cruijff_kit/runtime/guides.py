"""Guides: what an answer may hold, asked before each token and told it afterwards."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Guide", "allowed_tokens"]


class Guide(Protocol):
    """Holds one answer to a form."""

    @property
    def finished(self) -> bool:
        """Return whether the answer is whole, so that nothing may follow."""
        ...

    def begin(self, logprobs: Sequence[float]) -> None:
        """Begin anew behind the prompt, told the log-probability of each option scored there; none where none was.

        A batch that is tried again begins again.
        """
        ...

    def allowed(self, left: int) -> NDArray[np.intp]:
        """Return the ids of the tokens that may come next; one at least.

        Args:
            left: tokens that may still be given, the next one with them.
        """
        ...

    def take(self, token: int) -> None:
        """Take the token that was given."""
        ...


def allowed_tokens(guides: Sequence[Guide | None], logits: Tensor, *, left: int) -> Tensor | None:
    """Return which tokens may come next in each row, shape (rows, vocabulary); None where all may.

    Args:
        guides: one for each row; None for a row that is held to nothing.
        logits: shape (rows, vocabulary); the vocabulary may have more rows than the tokenizer.
        left: tokens that may still be given.
    """
    if not any(guide is not None for guide in guides):
        return None
    mask = np.ones(tuple(logits.shape), dtype=bool)
    for row, guide in zip(mask, guides, strict=True):
        if guide is not None:
            row[:] = False
            row[guide.allowed(left)] = True
    return torch.from_numpy(mask).to(logits.device)
