"""A proposer that decides by nothing but its seed, and keeps what it was asked."""

from collections.abc import Sequence
from random import Random
from typing import Literal

from cruijff_kit.planning.spans import level_at
from cruijff_kit.schema.design_kinds import Level, Space
from cruijff_kit.schema.sweep import Tried

__all__ = ["FakeProposer"]


class FakeProposer:
    """Draws every dimension evenly; the same seed draws the same point."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[Tried, ...]]] = []
        """Seed and history of every question; the test may look."""

    def propose(
        self,
        space: Space,
        tried: Sequence[Tried],
        *,
        sampler: Literal["tpe", "random", "gp"],
        minimise: bool,
        seed: int,
    ) -> dict[str, Level]:
        self.asked.append((seed, tuple(tried)))
        dice = Random(seed)
        return {name: level_at(name, dimension, share=dice.random()) for name, dimension in space.items()}
