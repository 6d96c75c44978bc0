"""What errors cost: harm weights of labels and critical confusions, as a matrix whose rows are truth."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from cruijff_kit.schema.losses import CriticalError
from cruijff_kit.scoring.estimates import Floats

__all__ = ["harm_costs", "harm_of"]

_NONE: Mapping[str, float] = MappingProxyType({})


def harm_of(options: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """Return the harm of getting each option wrong; 1 where nobody says."""
    return np.array([weights.get(each, 1.0) for each in options], dtype=np.float64)


def harm_costs(
    options: Sequence[str],
    *,
    weights: Mapping[str, float] = _NONE,
    errors: Sequence[CriticalError] = (),
    plain: float | None = None,
) -> Floats:
    """Return (true, answered) costs: 0 where right, a critical error's own weight, else the true label's harm.

    Args:
        options: the labels.
        weights: label to the harm of getting it wrong.
        errors: confusions with costs of their own.
        plain: what other errors cost instead of their label's harm.
    """
    size = len(options)
    harm = harm_of(options, weights) if plain is None else np.full(size, plain)
    costs = np.repeat(harm[:, None], size, axis=1)
    np.fill_diagonal(costs, 0.0)
    places = {name: at for at, name in enumerate(options)}
    for each in errors:
        if each.true in places and each.predicted in places:
            costs[places[each.true], places[each.predicted]] = each.weight
    return costs
