"""The four splits of generators that know their labels' probabilities: names, sizes, and rows dealt out to them."""

from collections.abc import Sequence
from itertools import accumulate

from cruijff_kit.schema.noun import Noun

__all__ = ["SPLITS", "dealt", "sizes_of"]

SPLITS = ("train", "validation", "calibration", "test")
"""Splits, and arguments that say how large each is."""


def sizes_of(arguments: Noun) -> tuple[int, ...]:
    """Return how large each split is to be."""
    return tuple(getattr(arguments, split) for split in SPLITS)


def dealt(drawn: Sequence[str], sizes: Sequence[int]) -> list[Sequence[str]]:
    """Return what was drawn in parts of these sizes, one behind the other."""
    return [drawn[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]
