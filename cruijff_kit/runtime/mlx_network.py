"""A model of MLX behind the calls that answering makes of a network, so that answers are found in one place."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import copy
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import torch
from mlx_lm.models.cache import BatchKVCache, KVCache
from torch import Tensor

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.key_values import Cache
from cruijff_kit.runtime.mlx_lora import as_tensor
from cruijff_kit.runtime.mlx_model import Base

__all__ = ["MlxNetwork"]


class _Keys:
    """Keys and values of one layer, for every row, padded on the left."""

    def __init__(self, padding: list[int]) -> None:
        self.held = BatchKVCache(padding)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Keys":
        # Both may write to one buffer: each reads up to its own last place, and writes anew behind it.
        made = _Keys([])
        made.held = copy.copy(self.held)
        return made


class _Cache:
    """Keys and values of all layers."""

    def __init__(self, layers: list[_Keys]) -> None:
        self.layers: list[Any] = layers

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of these indices, in their order."""
        for layer in self.layers:
            layer.held.filter(mx.array(indices.tolist()))


@dataclass(slots=True)
class _Output:
    logits: Tensor
    past_key_values: Cache


class MlxNetwork:
    """A loaded model as the decoder calls it: tensors of torch go in and come out, MLX computes."""

    def __init__(self, base: Base, config: Any) -> None:
        """Take a loaded model and its configuration as transformers reads it.

        Raises:
            SiteError: its layers keep something else than the keys and values of every token.
        """
        self._model = base.model
        self.config = config
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        kept = base.model.make_cache() if hasattr(base.model, "make_cache") else []
        strange = [type(layer).__name__ for layer in kept if type(layer) is not KVCache]
        if strange:
            fact = f"layers of this `{base.kind}` model keep a `{strange[0]}`, which is not read in batches here"
            raise SiteError(fact, hint="evaluate it with `tools.preparation: peft`")

    def forward(self, **inputs: Any) -> _Output:
        """Return logits behind the last tokens of each row, and keys and values of all that was read.

        Positions are those of each row's own tokens, and a row's padding is known to its
        keys and values, so that of what may be given only these are looked at:
        `input_ids`, `attention_mask`, `past_key_values` and `logits_to_keep`.
        """
        ids, mask, cache = inputs["input_ids"], inputs["attention_mask"], inputs["past_key_values"]
        if cache is None:
            padding = (ids.shape[1] - mask.sum(-1)).tolist()
            cache = _Cache([_Keys(padding) for _ in self._model.layers])
        logits = self._model(mx.array(ids.numpy()), cache=[layer.held for layer in cache.layers])
        return _Output(as_tensor(logits[:, -inputs["logits_to_keep"] :].astype(mx.float32)), cache)

    def __call__(self, **inputs: Any) -> _Output:
        """Return what `forward` returns."""
        return self.forward(**inputs)
