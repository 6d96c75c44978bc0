"""Backend nouns: what a machine has to compute with, and which library does."""

from typing import Literal, TypeAlias

from cruijff_kit.schema.noun import Noun

__all__ = ["BackendChoice", "Library", "Machine"]

Library: TypeAlias = Literal["torch", "mlx"]
"""What answers."""


class Machine(Noun):
    """What decides which library computes."""

    apple: bool
    """Whether it is a Mac of Apple's own processors."""
    mlx: bool
    """Whether MLX and mlx-lm are installed."""
    cuda: bool
    """Whether there is a GPU of CUDA, and torch to use it."""
    mps: bool
    """Whether there is Apple's GPU, and torch to use it."""
    peft: bool
    """Whether peft is installed, which trains by torch."""
    torchtune: bool
    """Whether torchtune is installed, which trains Llamas by torch."""


class BackendChoice(Noun):
    """The library that computes, where, and why."""

    library: Library
    """What answers; `backend` of an evaluation and of a served model."""
    engine: Literal["mlx", "peft", "torchtune"]
    """What trains; `tools.preparation` of a design."""
    device: Literal["gpu", "cuda", "mps", "cpu"]
    """Where; `gpu` is Apple's, by MLX."""
    why: str
    """The reason in words, to be shown beside it."""
