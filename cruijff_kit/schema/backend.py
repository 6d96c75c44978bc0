"""Backend nouns: what a machine has to compute with, and which library does."""

from typing import Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["BackendChoice", "Machine"]


class Machine(Noun):
    """What decides which library computes."""

    apple: bool
    """Whether it is a Mac of Apple's own processors."""
    mlx: bool
    """Whether MLX and mlx-lm are installed."""
    cuda: bool
    """Whether torch sees a GPU of CUDA."""
    mps: bool
    """Whether torch sees Apple's GPU."""


class BackendChoice(Noun):
    """The library that computes, where, and why."""

    library: Literal["mlx", "torch"]
    """`mlx` is `tools.preparation: mlx` of a design and `backend: mlx` of an evaluation."""
    device: Literal["gpu", "cuda", "mps", "cpu"]
    """Where; `gpu` is Apple's, by MLX."""
    why: str
    """The reason in words, to be shown beside it."""
