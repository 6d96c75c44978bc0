"""Hidden states of any layer, by a forward pass that never makes logits."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.runtime.padding import TokenBatch, pad_prompts
from cruijff_kit.schema.embedding import Layers, Padding
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["by_length", "forward", "hidden_states", "layer_places"]


def forward(model: Any, tokens: TokenBatch, **options: object) -> Any:
    """Return a model's output for one batch, whichever side is padded; nothing is learnt from it."""
    given = tokens.to(model.device)
    with torch.inference_mode():
        return model(
            input_ids=given.input_ids, attention_mask=given.attention_mask, position_ids=given.positions, **options
        )


def hidden_states(model: Any, tokens: TokenBatch, *, layers: Layers = "last") -> Tensor:
    """Return hidden states of one batch, shape (N, L, W, H), on the model's device.

    Args:
        model: causal language model of transformers, adapters on it or not.
        tokens: the batch.
        layers: `last`, `all`, or numbers: 0 is what enters the first block, -1 what leaves the last, normalised.

    Raises:
        PlanError: the model has no such layer.
    """
    body = _body(model)
    if layers == "last":
        return forward(body, tokens, use_cache=False).last_hidden_state[:, None]
    states = forward(body, tokens, use_cache=False, output_hidden_states=True).hidden_states
    return torch.stack([states[at] for at in layer_places(layers, len(states))], dim=1)


def layer_places(layers: Layers, count: int) -> list[int]:
    """Return layers as numbers from 0, of a model that has so many hidden states.

    Raises:
        PlanError: the model has no such layer.
    """
    if layers == "last":
        return [count - 1]
    if layers == "all":
        return list(range(count))
    wrong = [layer for layer in layers if not -count <= layer < count]
    if wrong:
        fact = f"the model has no layer `{wrong[0]}`: they go from 0 to {count - 1}, or from -1 back to -{count}"
        raise PlanError(fact, hint="0 is what enters the first block, -1 what leaves the last")
    return [layer % count for layer in layers]


def by_length(
    prompts: Sequence[PromptIds],
    batch_size: int,
    *,
    take: Callable[[TokenBatch, Sequence[int]], Tensor],
    side: Padding = "right",
) -> Iterator[tuple[int, Tensor]]:
    """Yield each prompt's place and its part of what is taken of a batch, texts of like length together.

    Args:
        prompts: the prompts.
        batch_size: prompts of one forward pass.
        take: gives what is wanted of a batch and the places of its prompts; its first dimension is theirs.
        side: where shorter prompts of a batch are padded.

    Raises:
        PlanError: a prompt has no tokens.
        ResultError: the model gave what is not a number.
    """
    if not all(prompts):
        raise PlanError("a prompt has no tokens", hint="give it text, or use a tokenizer with BOS")
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        taken = take(pad_prompts([prompts[index] for index in chosen], side=side), chosen)
        if taken.is_floating_point() and not bool(taken.isfinite().all()):
            hint = "look at the loss in the `metrics.jsonl` of its training"
            raise ResultError("what the model computes is not finite: its training diverged", hint=hint)
        yield from zip(chosen, taken.cpu(), strict=True)


def _body(model: Any) -> Any:
    """Return a model without its output layer, adapters on it or not."""
    inner = model.get_base_model() if hasattr(model, "peft_config") and hasattr(model, "get_base_model") else model
    return inner.base_model
