"""Temperature: option log-probabilities become probabilities, sharpened or flattened by one number."""

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.estimates import Estimate, Floats

__all__ = ["fit_temperature", "option_probabilities"]

_COLDEST, _HOTTEST = 0.01, 100.0
_HALVINGS = 60


def option_probabilities(logprobs: ArrayLike, *, temperature: float = 1.0) -> Floats:
    """Return the softmax over options of (n, K) log-probabilities divided by a temperature."""
    scaled = np.asarray(logprobs, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def fit_temperature(*, logprobs: ArrayLike, labels: ArrayLike) -> Estimate:
    """Return the temperature that makes the true options most likely.

    The negative log-likelihood is convex in 1 / T, so that its slope crosses zero once;
    the crossing is found by halving between 0.01 and 100. More than 1 means that the
    model is overconfident. Source: C. Guo et al., ICML (2017).

    Args:
        logprobs: (n, K) log-probabilities of the options.
        labels: index of each sample's true option.
    """
    scores, true = np.asarray(logprobs, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    n = len(true)
    if scores.ndim != 2 or len(scores) != n:
        raise ResultError(f"log-probabilities of shape {scores.shape} and {n} labels do not belong together")
    if n == 0:
        return Estimate(None, 0, "there are no samples")
    given = scores[np.arange(n), true]

    def slope(inverse: float) -> float:
        """Return the derivative of the negative log-likelihood by 1 / T."""
        expected = (option_probabilities(scores, temperature=1 / inverse) * scores).sum(axis=1)
        return float((expected - given).mean())

    cold, hot = 1 / _COLDEST, 1 / _HOTTEST
    if slope(cold) <= 0:
        return Estimate(None, n, "the right options are always the likeliest; the colder the better, without end")
    if slope(hot) >= 0:
        return Estimate(None, n, "the likeliest options are right no more often than others; no temperature helps")
    for _ in range(_HALVINGS):
        middle = np.sqrt(cold * hot)
        cold, hot = (middle, hot) if slope(middle) > 0 else (cold, middle)
    return Estimate(float(1 / np.sqrt(cold * hot)), n)
