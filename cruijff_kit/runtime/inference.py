"""Greedy answers to exact prompt ids.

Nothing here knows text on the way in: a prompt is a tuple of ids and is fed as it is.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import Completion, PromptIds, TokenLogprob

__all__ = ["Decoder", "Limits", "Network"]


class _Cache(Protocol):
    def batch_select_indices(self, indices: Tensor) -> None: ...


class _Output(Protocol):
    logits: Tensor
    past_key_values: _Cache


class Network(Protocol):
    """What is used of a causal language model of transformers."""

    @property
    def device(self) -> torch.device:
        """Return where its weights lie."""
        ...

    def __call__(self, **inputs: object) -> _Output:
        """Return logits, of shape (rows, 1, vocabulary), and the key-value cache."""
        ...


class Limits(NamedTuple):
    """How far one call generates."""

    max_tokens: int
    """Longest answer in tokens."""
    top_logprobs: int = 0
    """Candidates kept per generated position; 0 keeps none."""
    batch_size: int = 64
    """Prompts per forward pass."""


class _Step(NamedTuple):
    """The candidates of one generated position, best first."""

    ids: list[int]
    logprobs: list[float]


class Decoder:
    """A network in evaluation mode and the tokenizer that reads its answers."""

    def __init__(
        self, network: Network, tokenizer: Tokenizer, *, vocabulary: int, max_positions: int | None, ends: Sequence[int]
    ) -> None:
        """Take a network as it stands.

        Args:
            network: causal language model, with or without adapters.
            tokenizer: its tokenizer.
            vocabulary: ids the tokenizer knows; the model may have more rows.
            max_positions: longest sequence the model was made for.
            ends: ids that end an answer, whatever the encoding.
        """
        self._network = network
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._max_positions = max_positions
        self._ends = frozenset(ends)
        self._texts: dict[int, str] = {}

    def complete(
        self, prompts: Sequence[PromptIds], limits: Limits, *, stop_ids: Sequence[int] = ()
    ) -> list[Completion]:
        """Return the greedy answer to each prompt, in the order given.

        Prompts of like length share a batch. A batch is padded on its left; the padding
        is masked and not counted in positions, so neighbours change nothing.

        Args:
            prompts: ids as the model reads them, at least one each.
            limits: how far to generate.
            stop_ids: further ids that end an answer.

        Raises:
            PlanError: a prompt is empty, or prompt and answer exceed the model's positions.
            ResultError: the model's logits are not numbers, as after a diverged training.
        """
        self._check(prompts, limits)
        ends = self._ends.union(stop_ids)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        answers: dict[int, Completion] = {}
        with torch.inference_mode():
            for start in range(0, len(order), limits.batch_size):
                chosen = order[start : start + limits.batch_size]
                steps = self._generate([prompts[index] for index in chosen], limits, ends=ends)
                found = (self._completion(row, limits, ends=ends) for row in steps)
                answers.update(zip(chosen, found, strict=True))
        return [answers[index] for index in range(len(prompts))]

    def _check(self, prompts: Sequence[PromptIds], limits: Limits) -> None:
        longest = max(map(len, prompts), default=1)
        if not all(prompts):
            raise PlanError("a prompt has no tokens", hint="give the prompt template text, or use a tokenizer with BOS")
        if self._max_positions is not None and longest + limits.max_tokens > self._max_positions:
            raise PlanError(
                f"a prompt of `{longest}` tokens and an answer of `{limits.max_tokens}` exceed "
                f"the model's `{self._max_positions}` positions",
                hint="lower `evaluation.generation.max_tokens`, or shorten the prompt",
            )

    def _generate(self, prompts: Sequence[PromptIds], limits: Limits, *, ends: frozenset[int]) -> list[list[_Step]]:
        """Return each prompt's steps; rows leave the batch as they end."""
        ids, mask = _left_padded(prompts, self._network.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache: _Cache | None = None
        rows: list[list[_Step]] = [[] for _ in prompts]
        active = list(range(len(prompts)))
        for _ in range(limits.max_tokens):
            output = self._network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            steps = _candidates(output.logits[:, -1], max(1, limits.top_logprobs))
            for index, step in zip(active, steps, strict=True):
                rows[index].append(step)
            keep = [at for at, step in enumerate(steps) if step.ids[0] not in ends]
            if not keep:
                break
            kept = torch.tensor(keep, device=mask.device)
            if len(keep) < len(active):
                cache.batch_select_indices(kept)
                active = [active[at] for at in keep]
            ids = torch.tensor([[steps[at].ids[0]] for at in keep], device=mask.device)
            mask = torch.cat([mask[kept], mask.new_ones(len(keep), 1)], dim=-1)
            positions = positions[kept, -1:] + 1
        return rows

    def _completion(self, steps: list[_Step], limits: Limits, *, ends: frozenset[int]) -> Completion:
        ids = tuple(step.ids[0] for step in steps)
        stopped = bool(ids) and ids[-1] in ends
        spoken = [token for token in (ids[:-1] if stopped else ids) if token < self._vocabulary]
        top = tuple(tuple(self._named(step)) for step in steps) if limits.top_logprobs else ()
        text = self._tokenizer.decode(spoken, skip_special_tokens=True)
        return Completion(token_ids=ids, text=text, stopped=stopped, top=top)

    def _named(self, step: _Step) -> Iterator[TokenLogprob]:
        for token_id, logprob in zip(step.ids, step.logprobs, strict=True):
            # A token that cannot occur has no finite log-probability and is no candidate.
            if logprob > float("-inf"):
                yield TokenLogprob(token_id=token_id, token=self._text(token_id), logprob=logprob)

    def _text(self, token_id: int) -> str:
        """Return one id decoded on its own; rows beyond the tokenizer's have no text."""
        if token_id not in self._texts:
            self._texts[token_id] = self._tokenizer.decode([token_id]) if token_id < self._vocabulary else ""
        return self._texts[token_id]


def _left_padded(prompts: Sequence[PromptIds], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (rows, longest); padding is id 0 and masked."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids.to(device), mask.to(device)


def _candidates(logits: Tensor, count: int) -> list[_Step]:
    """Return the most likely tokens of each row; the greedy one is the first of them."""
    # Normalising in the model's own 16 bits would cost the third digit.
    logprobs = logits.float().log_softmax(-1)
    top = logprobs.topk(min(count, logprobs.shape[-1]), dim=-1)
    if bool(top.values[:, 0].isnan().any()):
        raise ResultError(
            "the model's logits are not numbers: its training diverged",
            hint="look at the loss in `metrics.jsonl`, and lower `controls.lr`",
        )
    return [_Step(ids, values) for ids, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
