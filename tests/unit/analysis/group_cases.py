"""Generated answers of two classes, for the tests of figures by group."""

import numpy as np

from cruijff_kit.analysis.group_columns import GroupColumns

__all__ = ["answers_like", "draw_answers"]


def draw_answers(
    rng: np.random.Generator, *, n: int, groups: int, digits: int | None = None, share: float = 0.5
) -> GroupColumns:
    """Return answers of a calibrated model that treats all groups alike.

    Args:
        rng: where chance comes from.
        n: samples.
        groups: groups, drawn with equal chance.
        digits: decimals that probabilities are rounded to, so that there are ties.
        share: chance of class 1.
    """
    probability = rng.beta(4 * share, 4 * (1 - share), n)
    if digits is not None:
        probability = np.round(probability, digits)
    return answers_like(rng, group=rng.integers(0, groups, n), probability=probability, truth=probability)


def answers_like(
    rng: np.random.Generator, *, group: np.ndarray, probability: np.ndarray, truth: np.ndarray
) -> GroupColumns:
    """Return answers whose classes are drawn with the chances `truth`, a twentieth of them abstained or unparsed."""
    n = len(group)
    positive = (rng.random(n) < truth).astype(np.int64)
    abstained, answered = (rng.random(n) < 0.05).astype(np.int64), (rng.random(n) >= 0.05).astype(np.int64)
    told = (answered == 1) & (abstained == 0)
    chosen = np.where(told, (probability >= 0.5).astype(np.int64), -1)
    return GroupColumns(
        levels=tuple(f"g{code}" for code in range(int(group.max()) + 1)),
        group=group.astype(np.int64),
        correct=(chosen == positive).astype(np.int64),
        answered=answered,
        abstained=abstained,
        positive=positive,
        chosen=chosen,
        covered=(rng.random(n) < 0.9).astype(np.int64),
        set_size=np.where(rng.random(n) < 0.3, 2.0, 1.0),
        probability=probability,
        confidence=np.where(told, np.where(chosen == 1, probability, 1 - probability), np.nan),
    )
