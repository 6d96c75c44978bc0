"""What a training minimises beside cross-entropy: losses of tokens, and losses of whole answers.

Both are sums over what they are given, in nats or in the unit of their weights; p is the
probability of a token, or of a whole answer, its end included.

- `label_smoothing`: -(1 - e) ln p_y - e mean_k ln p_k, over options where they are named, else
  over the vocabulary. Source: C. Szegedy et al., CVPR (2016).
- `focal`: -(1 - p_y)^g ln p_y. Source: T.-Y. Lin et al., ICCV (2017); J. Mukhoti et al., NeurIPS (2020).
- `gambler`: -ln(p_y + p_0 / o), p_0 that of the option to abstain, o the payoff. Source: Z. Liu et al., NeurIPS (2019).
- `harm_weighted`: (w_y (-ln p_y) + c sum_k C_yk p_k) / mean w. The first part weighs examples by
  their cost (C. Elkan, IJCAI (2001)); the second is the expected cost of critical errors beside the
  cross-entropy (A. Galdran et al., MICCAI (2020)).
- `abstain_seed`: c_t (-ln p_t) + a max(0, h - c_t) + u H_t, c_t the largest probability and H_t the
  entropy at a token. It has no way to abstain and is no proper scoring rule.
"""

from collections.abc import Callable
from functools import partial
from math import log

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cruijff_kit.schema.losses import LossOptions

__all__ = [
    "abstaining_loss",
    "focal_loss",
    "gambler_loss",
    "harm_weighted_loss",
    "smoothed_answer_loss",
    "smoothed_loss",
    "token_loss",
]


def token_loss(kind: str, options: LossOptions) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of each token, a function of logits (tokens, vocabulary) and labels (tokens,)."""
    made: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "ce": partial(cross_entropy, reduction="none"),
        "label_smoothing": partial(smoothed_loss, smoothing=options.smoothing),
        "focal": partial(focal_loss, gamma=options.gamma),
        "abstain_seed": partial(
            abstaining_loss,
            threshold=options.confidence_threshold,
            penalty=options.abstention_penalty,
            uncertainty=options.uncertainty_weight,
        ),
    }
    return made[kind]


def smoothed_loss(logits: Tensor, labels: Tensor, *, smoothing: float) -> Tensor:
    """Return the loss of each token, part of its target spread over the vocabulary."""
    return cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


def focal_loss(logits: Tensor, labels: Tensor, *, gamma: float) -> Tensor:
    """Return the loss of each token, less of it where it is likely already."""
    said = -cross_entropy(logits, labels, reduction="none")
    # Where rounding makes a probability 1 the root of 0 would have no gradient.
    missing = (-said.expm1()).clamp(min=torch.finfo(said.dtype).tiny)
    return -(missing**gamma) * said


def abstaining_loss(logits: Tensor, labels: Tensor, *, threshold: float, penalty: float, uncertainty: float) -> Tensor:
    """Return the loss of each token that the first system called abstention-aware."""
    said = logits.log_softmax(-1)
    chances = said.exp()
    confidence = chances.amax(-1)
    entropy = -(chances * said).sum(-1)
    given = -said.gather(-1, labels[:, None])[:, 0]
    return given * confidence + penalty * (threshold - confidence).relu() + uncertainty * entropy


def smoothed_answer_loss(said: Tensor, true: Tensor, *, smoothing: float) -> Tensor:
    """Return the loss of each answer, part of its target spread over the options.

    Args:
        said: log-probability of every option, shape (answers, options).
        true: the right one of each, shape (answers,).
        smoothing: the part.
    """
    return -(1 - smoothing) * _own(said, true) - smoothing * said.mean(-1)


def gambler_loss(said: Tensor, true: Tensor, *, payoff: float, abstain: int) -> Tensor:
    """Return the loss of each answer, an abstention counted as a part of the right one; arguments as above.

    Where no option has a chance above 1 / payoff its optimum abstains for certain. An answer
    that is itself an abstention is learnt by cross-entropy.
    """
    own = _own(said, true)
    hedged = torch.logaddexp(own, said[:, abstain] - log(payoff))
    return -torch.where(true == abstain, own, hedged)


def harm_weighted_loss(
    said: Tensor, true: Tensor, *, weights: Tensor, costs: Tensor, cost_weight: float = 1.0
) -> Tensor:
    """Return the loss of each answer, weighed by its harm, and the expected cost of critical errors.

    Args:
        said: as above; only that of the right option and of those with a cost is read.
        true: as above.
        weights: harm of each option, shape (options,).
        costs: of an option answered where another is right, shape (right, answered).
        cost_weight: of the second part.
    """
    paid = costs[true]
    expected = torch.where(paid > 0, paid * said.exp(), torch.zeros_like(said)).sum(-1)
    return -weights[true] * _own(said, true) + cost_weight * expected


def _own(said: Tensor, true: Tensor) -> Tensor:
    return said.gather(-1, true[:, None])[:, 0]
