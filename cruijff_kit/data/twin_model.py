"""Twins by the ACE model: what their correlations are, how likely a pair is identical, and how often that can be told.

A trait of unit variance is the sum of additive genes (a²), what a family shares (c²) and the
rest (e² = 1 - a² - c²). Identical twins share all genes, others half of them on average:

    correlation, identical  a² + c²
    correlation, fraternal  a²/2 + c²        so that 2 (r_identical - r_fraternal) = a²   (Falconer)

The likelihood ratio of the two is exact. Sum and difference of a pair are independent, so its
logarithm is a weighted sum of squared normal variables, whose distribution Imhof's integral
gives (Biometrika 48, 1961): the accuracy of the best rule there is, without simulation.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["Form", "Kin", "best_accuracy", "chance_identical", "kin_of"]

Form = Literal["pair", "difference"]
"""What is told of a trait: both values, or how far apart they are."""


class Kin(NamedTuple):
    """How alike twins are in a trait."""

    identical: float
    """Correlation of identical twins."""
    fraternal: float
    """Correlation of fraternal twins."""


def kin_of(a2: float, c2: float) -> Kin:
    """Return the correlations that shares of variance make."""
    return Kin(a2 + c2, a2 / 2 + c2)


def chance_identical(
    traits: Sequence[tuple[float, float]], kins: Sequence[Kin], *, share: float, form: Form = "pair"
) -> float:
    """Return the probability that a pair is identical, given its traits.

    Args:
        traits: values of the two, by trait.
        kins: correlations, by trait.
        share: share of identical pairs among all, strictly between 0 and 1.
        form: what is known of a trait.
    """
    logit = math.log(share / (1 - share))
    for (first, second), kin in zip(traits, kins, strict=True):
        logit += _ratio((first - second) / math.sqrt(2), one=1 - kin.identical, other=1 - kin.fraternal)
        if form == "pair":
            logit += _ratio((first + second) / math.sqrt(2), one=1 + kin.identical, other=1 + kin.fraternal)
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def best_accuracy(kins: Sequence[Kin], *, share: float, form: Form = "pair") -> float:
    """Return the accuracy of the best rule there is, for values that are not rounded.

    Args:
        kins: correlations, by trait.
        share: share of identical pairs among all, strictly between 0 and 1.
        form: what is known of a trait.
    """
    variances = [(1 - kin.identical, 1 - kin.fraternal) for kin in kins]
    variances += [(1 + kin.identical, 1 + kin.fraternal) for kin in kins] if form == "pair" else []
    variances = [(one, other) for one, other in variances if one != other]
    if not variances:
        return max(share, 1 - share)
    start = math.log(share / (1 - share)) + sum(math.log(other / one) / 2 for one, other in variances)
    weights = [(1 / other - 1 / one) / 2 for one, other in variances]
    as_identical = [weight * one for weight, (one, _) in zip(weights, variances, strict=True)]
    as_fraternal = [weight * other for weight, (_, other) in zip(weights, variances, strict=True)]
    return share * _above(as_identical, -start) + (1 - share) * (1 - _above(as_fraternal, -start))


def _ratio(value: float, *, one: float, other: float) -> float:
    """Return the logarithm of how much likelier a value is with one variance than with another."""
    return (math.log(other / one) + value * value * (1 / other - 1 / one)) / 2


def _above(weights: Sequence[float], bound: float) -> float:
    """Return the probability that a weighted sum of squared normal variables exceeds a bound, by Imhof's integral."""
    import numpy as np

    scale = max(map(abs, weights))
    scaled, bound = np.array(weights) / scale, bound / scale
    # The integrand falls at least as u**-(1 + n/2); substituting u = exp(t) spreads its start and its tail evenly.
    steps = np.linspace(-22.0, 22.0 if len(scaled) == 1 else 16.0, 200_001)
    points = np.exp(steps)
    angle = -bound * points / 2
    size = np.zeros_like(points)
    for weight in scaled:
        angle += np.arctan(weight * points) / 2
        size += np.log1p((weight * points) ** 2) / 4
    return float(0.5 + np.trapezoid(np.sin(angle) * np.exp(-size), steps) / math.pi)
