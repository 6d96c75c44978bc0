"""The next token of every row: the most likely one, one drawn, or one given; and what else was likely."""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cruijff_kit.errors import ResultError
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["Step", "given_tokens", "next_tokens", "uniforms"]


class Step(NamedTuple):
    """One generated position."""

    token: int
    """The token given."""
    logprob: float
    """Its natural log-probability, whatever the temperature."""
    ids: list[int]
    """The most likely tokens, best first."""
    logprobs: list[float]
    """Their natural log-probabilities."""


def next_tokens(
    logits: Tensor,
    count: int,
    *,
    draws: Sequence[float] | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    allowed: Tensor | None = None,
) -> list[Step]:
    """Return the next token of each row: the most likely where nothing is drawn.

    Log-probabilities and candidates are the model's own, also where not all tokens are allowed.

    Args:
        logits: shape (rows, vocabulary).
        count: candidates to return.
        draws: a number in [0, 1) for every row; it decides which token of the tempered nucleus is given.
        temperature: divides the logits before drawing.
        top_p: mass of the most likely tokens that are drawn from (Holtzman et al. 2020).
        allowed: shape (rows, vocabulary), true where a token may be given, somewhere in every row; all where None.

    Raises:
        ResultError: logits are not numbers, or the first candidate is not the most likely token.
    """
    # Normalising in the model's own 16 bits would cost the third digit.
    logits = logits.float()
    ids, logprobs, total = _ranked(logits, count)
    if draws is None and allowed is None:
        return [Step(each[0], own[0], each, own) for each, own in zip(ids, logprobs, strict=True)]
    open_ = logits if allowed is None else logits.masked_fill(~allowed, -torch.inf)
    drawn = open_.argmax(-1, keepdim=True) if draws is None else _drawn(open_ / temperature, draws, top_p=top_p)
    own = (logits.gather(-1, drawn) - total)[:, 0].tolist()
    return [Step(*each) for each in zip(drawn[:, 0].tolist(), own, ids, logprobs, strict=True)]


def given_tokens(logits: Tensor, tokens: Sequence[int], *, count: int) -> list[Step]:
    """Return the token given in each row, and what else was likely there.

    Args:
        logits: shape (rows, vocabulary).
        tokens: one of each row.
        count: candidates to return.

    Raises:
        ResultError: logits are not numbers.
    """
    logits = logits.float()
    ids, logprobs, total = _ranked(logits, count)
    own = logits.gather(-1, torch.tensor(tokens, device=logits.device)[:, None]) - total
    return [Step(*each) for each in zip(tokens, own[:, 0].tolist(), ids, logprobs, strict=True)]


def uniforms(prompt: PromptIds, count: int, *, seed: int) -> list[float]:
    """Return numbers in [0, 1) that depend on a prompt and a seed, and on nothing else."""
    said = struct.pack(f"<q{len(prompt)}I", seed, *prompt)
    key = int.from_bytes(blake2b(said, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key)).random(count).tolist()


def _ranked(logits: Tensor, count: int) -> tuple[list[list[int]], list[list[float]], Tensor]:
    """Return the most likely tokens of each row, their log-probabilities, and what normalises a row."""
    top = logits.topk(min(count, logits.shape[-1]), dim=-1)
    total = logits.logsumexp(-1, keepdim=True)
    # Not-a-number equals nothing, itself included.
    if bool((top.values[:, 0] != logits.amax(-1)).any()) or not bool(total.isfinite().all()):
        raise ResultError(
            "the model's logits are not numbers: its training diverged",
            hint="look at the loss in `metrics.jsonl`, and lower `controls.lr`",
        )
    return top.indices.tolist(), (top.values - total).tolist(), total


def _drawn(logits: Tensor, draws: Sequence[float], *, top_p: float) -> Tensor:
    """Return one token a row, shape (rows, 1), by inverting the distribution of the nucleus."""
    # Apple's GPU has no doubles; whoever asked goes on where the logits were.
    exact = logits.cpu() if logits.device.type == "mps" else logits
    ranked = exact.double().softmax(-1).sort(dim=-1, descending=True, stable=True)
    reached = ranked.values.cumsum(-1)
    # The nucleus holds the first token that reaches the mass asked for.
    kept = ((reached - ranked.values) < top_p).sum(-1, keepdim=True) - 1
    mass = reached.gather(-1, kept)
    wanted = torch.tensor(draws, dtype=torch.float64, device=exact.device)[:, None] * mass
    at = torch.searchsorted(reached, wanted, right=True).minimum(kept)
    return ranked.indices.gather(-1, at).to(logits.device)
