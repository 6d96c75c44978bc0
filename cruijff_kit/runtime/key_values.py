"""Prompts as a network has read them: their keys and values, kept for what follows, branched and shared."""

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from cruijff_kit.schema.prediction import PromptIds

__all__ = [
    "Cache",
    "Network",
    "Prefix",
    "Reading",
    "branch",
    "heeds_positions_alone",
    "is_plain",
    "read_on",
    "read_prompts",
    "shared_prefix",
]

_WORTH = 16
"""Tokens that prompts must share for their keys and values to be worth a pass of their own."""


class Cache(Protocol):
    """What is used of a key-value cache of transformers."""

    layers: list[Any]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of these indices, in their order."""
        ...


class _Output(Protocol):
    logits: Tensor
    past_key_values: Cache


class Network(Protocol):
    """What is used of a causal language model of transformers."""

    @property
    def device(self) -> torch.device:
        """Return where its weights lie."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Return the arithmetic of its weights."""
        ...

    @property
    def config(self) -> Any:
        """Return its shape, as transformers keeps it."""
        ...

    def forward(self, **inputs: Any) -> Any:
        """Return what calling it returns; its parameters tell what the model heeds."""
        ...

    def __call__(self, **inputs: object) -> _Output:
        """Return logits, of shape (rows, tokens kept, vocabulary), and the key-value cache."""
        ...


class Reading(NamedTuple):
    """Where a network stands after it has read a batch of prompts."""

    logits: Tensor
    """What comes next, shape (rows, vocabulary)."""
    cache: Cache
    """Keys and values of all that was read."""
    mask: Tensor
    """1 where a row holds a token and 0 where padding, shape (rows, width)."""
    positions: Tensor
    """Position of each row's last token, shape (rows, 1)."""


class Prefix(NamedTuple):
    """The beginning that all prompts of a call share, read once."""

    ids: PromptIds
    """Its tokens."""
    cache: Cache
    """Keys and values of one row."""


def read_prompts(network: Network, prompts: Sequence[PromptIds], *, prefix: Prefix | None = None) -> Reading:
    """Read prompts side by side, padded on their left; what they share is taken from `prefix`.

    Padding is masked and not counted in positions, so neighbours change nothing.
    """
    known = 0 if prefix is None else len(prefix.ids)
    ids, mask = _left_padded([prompt[known:] for prompt in prompts], network.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0) + known
    cache = None
    if prefix is not None:
        mask = torch.cat([mask.new_ones(len(prompts), known), mask], dim=-1)
        cache = _spread(prefix.cache, len(prompts))
    logits, cache = read_on(network, ids, mask=mask, positions=positions, cache=cache)
    return Reading(logits[:, -1], cache, mask, positions[:, -1:])


def read_on(
    network: Network, ids: Tensor, *, mask: Tensor, positions: Tensor, cache: Cache | None, keep: int = 1
) -> tuple[Tensor, Cache]:
    """Return the logits behind the last `keep` tokens of each row, and the cache that now holds them all."""
    name = _cache_name(network)
    output = network(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=keep,
        **{name: cache},
    )
    return output.logits, getattr(output, name)


def _cache_name(network: Any) -> str:
    """Return what a network calls its keys and values: newer transformers give them another name."""
    inner = network.get_base_model() if hasattr(network, "get_base_model") else network
    return _name_of(getattr(inner.forward, "__func__", inner.forward))


@lru_cache
def _name_of(forward: Callable[..., Any]) -> str:
    known = signature(forward).parameters
    return "cache" if "cache" in known and "past_key_values" not in known else "past_key_values"


def shared_prefix(network: Network, prompts: Sequence[PromptIds]) -> Prefix | None:
    """Read what all prompts begin with; None where that is little, or the model cannot go on from it.

    Behind a shared beginning the padding stands in the middle of a row. Attention to
    everything before a token does not mind. Windows that count slots and states that are
    carried on would take padding for tokens, so models with these read every prompt whole.
    """
    shared = _common(prompts)
    if len(prompts) < 2 or len(shared) < _WORTH or not heeds_positions_alone(network):
        return None
    ids = torch.tensor([shared], device=network.device)
    steps = torch.arange(len(shared), device=network.device)[None]
    _, cache = read_on(network, ids, mask=torch.ones_like(ids), positions=steps, cache=None)
    return Prefix(shared, cache) if is_plain(cache) else None


def heeds_positions_alone(network: Network) -> bool:
    """Return whether the model goes by the positions it is given, and every layer by all of them."""
    config = network.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    windowed = getattr(config, "sliding_window", None) if kinds is None else set(kinds) - {"full_attention"}
    # These turn positions by angles that depend on how long the longest row of a pass is.
    stretched = not _rotations(config).isdisjoint({"dynamic", "longrope"})
    return not windowed and not stretched and "position_ids" in signature(network.forward).parameters


def _rotations(config: Any) -> set[str]:
    """Return the kinds of rotary positions a model has, which may differ from layer to layer."""
    told = getattr(config, "rope_parameters", None) or {}
    return {each["rope_type"] for each in (told, *told.values()) if isinstance(each, dict) and "rope_type" in each}


def is_plain(cache: Cache) -> bool:
    """Return whether a cache holds keys and values of every token and nothing else."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def branch(cache: Cache, rows: Tensor | None = None) -> Cache:
    """Return a cache of these rows, each as often as it is named, or of all; the one given stays as it is."""
    made = copy.copy(cache)
    # Layers of these kinds put new tensors in place of old ones; of others nobody knows.
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    made.layers = [copy.copy(layer) if type(layer) in plain else copy.deepcopy(layer) for layer in cache.layers]
    if rows is not None:
        made.batch_select_indices(rows)
    return made


def _spread(cache: Cache, count: int) -> Cache:
    """Return one row's cache as that of many, without a copy: the next tokens make one anyway."""
    made = copy.copy(cache)
    made.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in made.layers:
        layer.keys = layer.keys.expand(count, -1, -1, -1)
        layer.values = layer.values.expand(count, -1, -1, -1)
    return made


def _common(prompts: Sequence[PromptIds]) -> PromptIds:
    """Return what all prompts begin with, of none everything: each keeps a token of its own."""
    first, last = min(prompts, default=()), max(prompts, default=())
    most = min(map(len, prompts), default=1) - 1
    same = next((at for at in range(most) if first[at] != last[at]), most)
    return first[:same]


def _left_padded(prompts: Sequence[PromptIds], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (rows, longest); padding is id 0 and masked."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids.to(device), mask.to(device)
