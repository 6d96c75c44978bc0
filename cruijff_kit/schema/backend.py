"""Backend nouns: what a machine has to compute with, and which library does."""

from typing import Literal, TypeAlias

from cruijff_kit.schema.noun import Noun

__all__ = ["BackendChoice", "Device", "Library", "Machine"]

Library: TypeAlias = Literal["torch", "mlx"]
"""What answers."""

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
"""Where a job or a served model computes; `mps` is Apple's GPU by torch, `auto` the best there is."""


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
    mps_bf16: bool = False
    """Whether torch computes in bf16 on it, which macOS has since version 14."""
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
