"""Answers of a model that is fair to two groups, and of its twin that takes something off the scores of one."""

import numpy as np

from cruijff_kit.scoring.figures import Answers

__all__ = ["OPTIONS", "planted", "sites"]

OPTIONS = ("deny", "grant")


def planted(seed: int, n: int, *, bias: float) -> Answers:
    """Return answers to n samples whose true probabilities the model knows, but takes `bias` off every second one."""
    chance = np.random.default_rng(seed)
    true = chance.beta(2, 2, n)
    labels = (chance.random(n) < true).astype(np.int64)
    told = np.clip(true - bias * (np.arange(n) % 2), 1e-3, 1 - 1e-3)
    rows = np.column_stack([1 - told, told])
    never, nothing = np.zeros(n, dtype=bool), np.full(n, np.nan)
    return Answers(
        options=OPTIONS, true=labels, chosen=rows.argmax(axis=1), abstained=never, failed=never, parsed=~never,
        rows=rows, sure=nothing, right=nothing, numbers=nothing, targets=nothing, costs=1 - np.eye(2),
    )  # fmt: skip


def sites(n: int) -> dict[str, list[str]]:
    """Return the group of each sample: every second one is of the south."""
    return {"site": ["north" if at % 2 == 0 else "south" for at in range(n)]}
