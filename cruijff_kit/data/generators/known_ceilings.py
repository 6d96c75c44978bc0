"""Ceilings of generated splits: from a rule that is known, or from true probabilities that rows hold."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cruijff_kit.data.known_chances import CHANCE
from cruijff_kit.data.splits import Splits
from cruijff_kit.schema.ceiling import Ceiling

__all__ = ["LEARNT", "ceilings_of_chances", "entropy_of", "ruled_ceiling", "told_ceilings"]

LEARNT = frozenset({"train"})
"""Splits whose rows are trained on."""


def ruled_ceiling(
    rows: Sequence[Mapping[str, Any]], best: Iterable[str], *, accuracy: float, entropy: float, seen: bool
) -> Ceiling:
    """Return what can be known of a split whose rule is known.

    Args:
        rows: its rows, one at least.
        best: the likeliest answer to each.
        accuracy: how often that is right.
        entropy: mean entropy of an answer, in nats.
        seen: whether its rows are trained on.
    """
    right = sum(row["output"] == answer for row, answer in zip(rows, best, strict=True))
    return Ceiling(
        bayes_accuracy=accuracy,
        on_rows=round(right / len(rows), 9),
        commonest=round(max(Counter(row["output"] for row in rows).values()) / len(rows), 9),
        # Machines may differ in the last digit of a logarithm.
        entropy=round(entropy, 9),
        seen=seen,
    )


def told_ceilings(_: Any, splits: Splits) -> dict[str, Ceiling]:
    """Return what can be known of each split all of whose rows hold the true probability of each answer."""
    return ceilings_of_chances(splits)


def ceilings_of_chances(splits: Splits, *, bound: float | None = None) -> dict[str, Ceiling]:
    """Return what can be known of each split all of whose rows hold the true probability of each answer.

    Args:
        splits: the rows.
        bound: accuracy that nothing surpasses, where the mean over the rows is not exact.
    """
    found = {}
    for split, rows in splits.items():
        known = [_chances(row) for row in rows]
        if not known or not all(known):
            continue
        shares = [share for row in known for share in row.values()]
        ceiling = ruled_ceiling(
            rows,
            (max(row, key=row.__getitem__) for row in known),
            accuracy=round(math.fsum(max(row.values()) for row in known) / len(rows), 9) if bound is None else bound,
            entropy=entropy_of(shares) / len(rows),
            seen=split in LEARNT,
        )
        found[split] = ceiling if bound is None else ceiling.model_copy(update={"upper": True})
    return found


def entropy_of(chances: Iterable[float]) -> float:
    """Return the entropy of an answer with these probabilities, in nats; of several answers its sum."""
    return math.fsum(-chance * math.log(chance) for chance in chances if chance)


def _chances(row: Mapping[str, Any]) -> dict[str, float]:
    return {name.removeprefix(CHANCE): float(cell) for name, cell in row.items() if name.startswith(CHANCE)}
