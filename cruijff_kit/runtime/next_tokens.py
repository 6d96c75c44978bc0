"""Next tokens of prompts: the most likely ones, or several sampled answers each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.hidden import by_length
from cruijff_kit.runtime.key_values import read_on
from cruijff_kit.runtime.padding import TokenBatch

__all__ = ["Sampling", "get_next_tokens"]


class Sampling(NamedTuple):
    """How answers are drawn."""

    sequences: int = 1
    """Answers to each prompt, R."""
    temperature: float = 1.0
    """Logits are divided by it; above 0."""
    top_p: float = 1.0
    """Least probability of the likeliest tokens that are drawn from, in (0, 1]."""
    seed: int = 0
    """Seed; each answer of each prompt draws by itself, so neighbours in a batch change nothing."""


class _Draws(NamedTuple):
    """The dice of a batch, one for every row."""

    sampling: Sampling
    generators: list[torch.Generator]


def get_next_tokens(
    model: Any,
    tokens: TokenBatch,
    *,
    max_new_tokens: int = 1,
    sampling: Sampling | None = None,
    stop_ids: Sequence[int] | None = None,
    batch_size: int = 32,
) -> Tensor:
    """Return the tokens that follow each prompt, the prompt left out.

    Args:
        model: causal language model.
        tokens: prompts, padded on either side.
        max_new_tokens: longest answer, S at most.
        sampling: how to draw; the most likely token each time where None.
        stop_ids: ids that end an answer; the model's own where None. An ended answer is
            filled up with the id that ended it.
        batch_size: prompts of one forward pass.

    Returns:
        Ids, shape (N, S); (N, R, S) where `sampling` is given.

    Raises:
        PlanError: a prompt has no tokens.
        SpecError: temperature, `top_p` or a count is out of range.
    """
    _check(max_new_tokens, sampling)
    ends = _own_ends(model) if stop_ids is None else tuple(stop_ids)
    prompts = tokens.prompts()
    copies = 1 if sampling is None else sampling.sequences
    repeated = [prompt for prompt in prompts for _ in range(copies)]

    def following(batch: TokenBatch, places: Sequence[int]) -> Tensor:
        draws = None if sampling is None else _Draws(sampling, [_generator(sampling.seed, at) for at in places])
        return _follow(model, batch, most=max_new_tokens, ends=ends, draws=draws)

    found = dict(by_length(repeated, batch_size, take=following, side="left"))
    answers = [found[index] for index in range(len(repeated))]
    width = max(map(len, answers), default=0)
    filled = [torch.cat([each, each[-1:].expand(width - len(each))]) for each in answers]
    whole = torch.stack(filled) if filled else torch.empty(0, 0, dtype=torch.long)
    return whole if sampling is None else whole.reshape(len(prompts), copies, width)


def _follow(model: Any, batch: TokenBatch, *, most: int, ends: Sequence[int], draws: _Draws | None) -> Tensor:
    """Return what follows each prompt of one batch, shape (N, S)."""
    given, cache = batch.to(model.device), None
    mask = given.attention_mask
    stops = torch.tensor(list(ends), device=mask.device)
    ended = torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
    chosen: list[Tensor] = []
    step, positions = given.input_ids, given.positions
    for _ in range(most):
        with torch.inference_mode():
            logits, cache = read_on(model, step, mask=mask, positions=positions, cache=cache)
        scores = logits[:, -1].float()
        token = scores.argmax(-1) if draws is None else _drawn(scores, draws)
        if chosen:
            token = torch.where(ended, chosen[-1], token)
        chosen.append(token)
        ended = torch.isin(token, stops)
        if bool(ended.all()):
            break
        step, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
    return torch.stack(chosen, dim=-1)


def _drawn(scores: Tensor, draws: _Draws) -> Tensor:
    """Return one token a row: temperature first, then the likeliest tokens up to `top_p`."""
    chances = (scores / draws.sampling.temperature).softmax(-1)
    ordered, ids = chances.sort(dim=-1, descending=True)
    # A token stays while those before it are not enough: the likeliest always does.
    kept = ordered.where(ordered.cumsum(-1) - ordered < draws.sampling.top_p, 0).cpu()
    at = [torch.multinomial(row, 1, generator=dice) for row, dice in zip(kept, draws.generators, strict=True)]
    return ids.gather(-1, torch.stack(at).to(ids.device))[:, 0]


def _generator(seed: int, place: int) -> torch.Generator:
    return torch.Generator().manual_seed(hash((seed, place)) & (2**63 - 1))


def _own_ends(model: Any) -> tuple[int, ...]:
    named = getattr(model.generation_config, "eos_token_id", None)
    return tuple(named) if isinstance(named, list | tuple) else () if named is None else (named,)


def _check(most: int, sampling: Sampling | None) -> None:
    if most < 1:
        raise SpecError(f"`max_new_tokens` is `{most}`; it is at least 1")
    if sampling is None:
        return
    if sampling.sequences < 1:
        raise SpecError(f"`sequences` is `{sampling.sequences}`; it is at least 1")
    if not sampling.temperature > 0:
        hint = "leave out `sampling` for the most likely tokens"
        raise SpecError(f"`temperature` is `{sampling.temperature}`; sampling needs one above 0", hint=hint)
    if not 0 < sampling.top_p <= 1:
        raise SpecError(f"`top_p` is `{sampling.top_p}`; it lies above 0 and at most at 1")
