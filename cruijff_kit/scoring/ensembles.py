"""Several sets of probabilities for one sample: their mean, and how much of the doubt is disagreement.

    predictive entropy  H(mean p)   =   expected entropy  mean H(p)   +   mutual information

Source: Y. Gal, Z. Ghahramani, ICML (2016); B. Lakshminarayanan et al., NeurIPS (2017).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.errors import ResultError
from cruijff_kit.schema.verdict import DoubtSource, Uncertainty
from cruijff_kit.scoring.estimates import Floats
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["Pooled", "entropies", "mean_logprobs", "pool_members"]


class Pooled(NamedTuple):
    """What members say together of one sample."""

    probabilities: Floats
    """(K,) mean probability of each option."""
    uncertainty: Uncertainty
    """Entropies, in nats, and how far members differ."""


def pool_members(logprobs: ArrayLike, *, source: DoubtSource, temperature: float = 1.0) -> Pooled:
    """Return the mean of the members' probabilities, and their disagreement.

    Args:
        logprobs: (members, K) log-probabilities of the options.
        source: what the members are.
        temperature: what each member's log-probabilities are divided by.

    Raises:
        ResultError: there are fewer than two members.
    """
    given = np.asarray(logprobs, dtype=np.float64)
    if given.ndim != 2 or len(given) < 2:
        raise ResultError(f"log-probabilities have shape {given.shape}; two members at least are needed to disagree")
    rows = option_probabilities(given, temperature=temperature)
    mean = rows.mean(axis=0)
    total, own = entropies(mean[None])[0], float(entropies(rows).mean())
    return Pooled(
        mean,
        Uncertainty(
            source=source,
            members=len(rows),
            predictive_entropy=float(total),
            expected_entropy=own,
            # Jensen's inequality keeps it from falling below 0, and rounding does not.
            mutual_information=max(0.0, float(total) - own),
            deviations=tuple(map(float, rows.std(axis=0))),
        ),
    )


def mean_logprobs(probabilities: ArrayLike) -> tuple[float, ...]:
    """Return the logarithms of probabilities, as files hold them: what cannot be is merely very unlikely."""
    shares = np.asarray(probabilities, dtype=np.float64)
    return tuple(map(float, np.log(np.maximum(shares, np.finfo(np.float64).tiny))))


def entropies(rows: Floats) -> Floats:
    """Return the entropy of each row of probabilities, in nats; what cannot be adds nothing."""
    return -(rows * np.log(np.where(rows > 0, rows, 1.0))).sum(axis=1)
