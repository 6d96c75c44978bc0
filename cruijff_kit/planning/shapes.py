"""The shape of a transformer, as far as memory depends on it."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.schema.registry import ModelEntry
from cruijff_kit.schema.site import ModelFacts

__all__ = ["Shape", "adapted_layers", "shape_of"]

_SEPARATE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_GATED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
_LAYERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Phi3ForCausalLM": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
        "GlmForCausalLM": _GATED,
        "Glm4ForCausalLM": _GATED,
        "ChatGLMModel": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
        "ChatGLMForConditionalGeneration": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
    }
)
"""Linear layers of a block where an architecture joins some of Llama's seven."""


class Shape(NamedTuple):
    """Dimensions of a decoder."""

    width: int
    """Hidden states."""
    queries: int
    """Query heads times their width."""
    keys: int
    """Key heads times their width; values have as many."""
    head: int
    """Width of one head."""
    inner: int
    """MLP."""
    layers: int
    """Blocks."""
    vocabulary: int
    """Rows of the embedding."""
    parameters: int
    """Weights in all, tied ones counted once."""
    names: tuple[str, ...]
    """Linear layers of a block."""

    def linear(self, name: str) -> tuple[int, int]:
        """Return input and output width of a linear layer of a block; zeros for a name that it lacks."""
        sizes = {
            "q_proj": (self.width, self.queries),
            "k_proj": (self.width, self.keys),
            "v_proj": (self.width, self.keys),
            "qkv_proj": (self.width, self.queries + 2 * self.keys),
            "o_proj": (self.queries, self.width),
            "gate_proj": (self.width, self.inner),
            "up_proj": (self.width, self.inner),
            "gate_up_proj": (self.width, 2 * self.inner),
            "down_proj": (self.inner, self.width),
        }
        return sizes.get(_LLAMA_NAMES.get(name, name), (0, 0))

    @property
    def block(self) -> int:
        """Return the weights of one block's linear layers."""
        return sum(inputs * outputs for inputs, outputs in map(self.linear, self.names))


_LLAMA_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "query_key_value": "qkv_proj",
        "dense": "o_proj",
        "dense_h_to_4h": "gate_up_proj",
        "dense_4h_to_h": "down_proj",
    }
)
"""Names of other architectures for layers of the same shape."""


def shape_of(model: ModelFacts | ModelEntry) -> Shape:
    """Return the shape of a model.

    Facts that say only width, depth and parameters are completed: keys as wide as
    queries, and an MLP as wide as the remaining parameters make it, three matrices a block.
    """
    width, layers = model.hidden_size, model.layers
    heads = model.heads or max(1, width // 64)
    head = model.head_dim or width // heads
    keys = (model.kv_heads or heads) * head
    inner = model.mlp_width or _inner(model, heads * head + keys)
    names = _LAYERS.get(model.architecture, _SEPARATE)
    return Shape(width, heads * head, keys, head, inner, layers, model.vocab_size, model.parameters, names)


def adapted_layers(shape: Shape, targets: Iterable[str] | None) -> tuple[str, ...]:
    """Return the linear layers of a block that are adapted: those named, all where None."""
    return shape.names if targets is None else tuple(name for name in targets if shape.linear(name)[0])


def _inner(model: ModelFacts | ModelEntry, attention: int) -> int:
    width = model.hidden_size
    embeddings = model.vocab_size * width * (1 if model.tied in (True, None) else 2)
    block = (model.parameters - embeddings) / model.layers - 2 * width * attention
    return max(width, round(block / (3 * width)))
