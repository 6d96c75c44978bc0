"""What one pass of a training computes with, and how many weights it trains: what its memory is added up from."""

from typing import NamedTuple

from cruijff_kit.planning.shapes import Shape, adapted_layers

__all__ = ["Work", "adapter_size"]

_ELEMENT = {"fp32": 4, "bf16": 2}


class Work(NamedTuple):
    """What one forward and backward pass computes with."""

    rank: int
    """Rank of the update."""
    tokens: int
    """Tokens of a pass, padding included."""
    supervised: int
    """Tokens of them that a loss is taken on."""
    rows: int = 1
    """Rows of a pass."""
    targets: tuple[str, ...] | None = None
    """Linear layers adapted; all of a block where None."""
    dora: bool = False
    """Whether magnitudes are learnt apart."""
    dropout: bool = False
    """Whether the update's input is dropped in part."""
    dtype: str = "fp32"
    """Arithmetic of weights and activations: `fp32` or `bf16`."""
    packed: bool = False
    """Whether rows lie end to end."""
    checkpointing: bool = False
    """Whether blocks keep their input alone and are computed again."""
    accumulation: int = 1
    """Passes per optimiser step."""
    quantized: bool = False
    """Whether the frozen linear layers are held in 4 bits."""
    gpu: bool = False
    """Whether it runs on a GPU."""
    sharded: int = 1
    """Processes that share the weights (`fsdp`)."""
    lean: bool = False
    """Whether norms, gates and updates keep only what cannot be computed again (`runtime/lean_layers.py`)."""
    mlx: bool = False
    """Whether MLX computes, in memory that processor and GPU share."""

    @property
    def element(self) -> int:
        """Return the bytes of one element."""
        return _ELEMENT[self.dtype]


def adapter_size(shape: Shape, rank: int, *, targets: tuple[str, ...] | None = None, dora: bool = False) -> int:
    """Return how many weights are trained: rank x (inputs + outputs) a layer, and with DoRA its outputs once more."""
    layers = map(shape.linear, adapted_layers(shape, targets))
    return shape.layers * sum(rank * (inputs + outputs) + outputs * dora for inputs, outputs in layers)
