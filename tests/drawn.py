"""A world whose true probabilities are known: option scores, and answers drawn from them."""

import numpy as np
from numpy.typing import NDArray

from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["drawn_answers"]


def drawn_answers(
    n: int, *, seed: int, options: int = 5, spread: float = 1.0, tilt: tuple[float, ...] = (0.0,)
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (n, options) logits, those of each option lifted by its tilt, and labels drawn from their softmax."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, spread, (n, options)) + np.array(tilt)
    passed = chance.random((n, 1)) > option_probabilities(logits).cumsum(axis=1)
    return logits, passed.sum(axis=1).clip(0, options - 1)
