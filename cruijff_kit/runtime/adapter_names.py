"""Adapter weights under the names and in the layout of peft, of mlx-lm, and from one to the other.

mlx-lm keeps A as (inputs, rank) and B as (rank, outputs), peft each the other way round;
DoRA's magnitudes are vectors in both. What is adapted keeps its name.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from cruijff_kit.errors import SiteError

__all__ = ["layers_of", "to_mlx_names", "to_peft_names"]

_Array = TypeVar("_Array", bound=Any)
_PREFIX = "base_model.model."
_PARTS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}
_BACK = {theirs: ours for ours, theirs in _PARTS.items()} | {"lora_magnitude_vector.weight": "m"}


def to_peft_names(weights: Mapping[str, _Array]) -> dict[str, _Array]:
    """Return weights as peft saves them.

    Args:
        weights: as mlx-lm saves them.

    Raises:
        SiteError: there is something else than LoRA of linear layers among them.
    """
    found = {}
    for name, tensor in weights.items():
        layer, _, part = name.rpartition(".")
        if part not in _PARTS or tensor.ndim > 2:
            # Whole layers, experts and embeddings have no counterpart of this form.
            raise SiteError(f"the adapter holds `{name}`, which is no LoRA weight of a linear layer")
        found[f"{_PREFIX}{layer}.{_PARTS[part]}"] = _turned(tensor)
    return found


def to_mlx_names(weights: Mapping[str, _Array]) -> dict[str, _Array]:
    """Return weights as mlx-lm saves them.

    Args:
        weights: as peft saves them.

    Raises:
        SiteError: there is something else than LoRA of linear layers among them.
    """
    found = {}
    for name, tensor in weights.items():
        theirs = next((part for part in _BACK if name.endswith(f".{part}")), None)
        if theirs is None or tensor.ndim > 2:
            raise SiteError(f"the adapter holds `{name}`, which is no LoRA weight of a linear layer")
        layer = name.removeprefix(_PREFIX).removesuffix(f".{theirs}")
        found[f"{layer}.{_BACK[theirs]}"] = _turned(tensor)
    return found


def layers_of(weights: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the layers that weights of mlx-lm adapt, by their whole names, each once."""
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in weights))


def _turned(array: _Array) -> _Array:
    """Return a matrix the other way round, a vector as it is, laid out in order: of torch or of NumPy."""
    turned = array.swapaxes(0, 1) if array.ndim == 2 else array
    return turned.contiguous() if hasattr(turned, "contiguous") else turned.copy()
