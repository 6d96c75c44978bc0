"""Metrics of counts by group, and their bootstrap drawn from the cells instead of the rows.

A metric that depends on counts alone does not see which rows were drawn, only how many of
each kind. Drawing n rows with replacement gives multinomial counts of the kinds; so drawing
those counts is the same bootstrap, exactly, at a cost that does not grow with n.
Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 5.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cruijff_kit.analysis.group_columns import Floats, GroupColumns, Ints

__all__ = [
    "COUNTED",
    "PROPORTIONS",
    "CountCells",
    "Resamples",
    "count_cells",
    "drawn_counts",
    "metric_values",
    "resample_counts",
]

COUNTED = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "precision",
    "recall",
    "false_positive_rate",
    "selection_rate",
    "abstention",
    "selective_accuracy",
    "parse_rate",
    "coverage",
)
"""Metrics that depend on counts alone."""
PROPORTIONS = tuple(name for name in COUNTED if name not in {"balanced_accuracy", "f1"})
"""Those that are one count divided by another."""

# How many values each column of a kind takes; -1 counts as 2.
_RADIX = (2, 2, 2, 3, 3, 3)
# Numbers held at once while drawing: 32 MB.
_BLOCK = 4_000_000


class CountCells(NamedTuple):
    """How many samples of each kind each group has."""

    counts: Ints
    """Shape (groups, kinds)."""
    upper: Floats
    """Shape (kinds, terms): what counts towards each numerator."""
    lower: Floats
    """Shape (kinds, terms): what counts towards each denominator."""


class Resamples(NamedTuple):
    """Bootstrap values of several metrics."""

    groups: Floats
    """Shape (resamples, groups, metrics)."""
    overall: Floats
    """Shape (resamples, metrics)."""


def count_cells(columns: GroupColumns) -> CountCells:
    """Return the counts of each kind of sample by group; kinds that never occur are left out."""
    parts = (
        columns.correct, columns.answered, columns.abstained,
        columns.positive % 3, columns.chosen % 3, columns.covered % 3,
    )  # fmt: skip
    code = np.zeros(len(columns.group), dtype=np.int64)
    for part, radix in zip(parts, _RADIX, strict=True):
        code = code * radix + part
    kinds = int(np.prod(_RADIX))
    counts = np.bincount(columns.group * kinds + code, minlength=kinds * len(columns.levels))
    counts = counts.reshape(len(columns.levels), kinds)
    present = np.flatnonzero(counts.sum(axis=0))
    upper, lower = _terms(present)
    return CountCells(counts[:, present], upper, lower)


def metric_values(cells: CountCells, counts: Ints | Floats) -> Floats:
    """Return every metric of counts of shape (…, kinds) as shape (…, metrics); 0 / 0 is not a number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = (counts @ cells.upper) / (counts @ cells.lower)
    # The last term is the recall of class 0, the second half of balanced accuracy.
    ratios[..., 1] = (ratios[..., COUNTED.index("recall")] + ratios[..., -1]) / 2
    return ratios[..., :-1]


def resample_counts(cells: CountCells, *, resamples: int, rng: np.random.Generator) -> Resamples:
    """Return bootstrap values of every metric of counts.

    Args:
        cells: counts by group.
        resamples: how many.
        rng: where chance comes from.
    """
    blocks = [
        (metric_values(cells, counts), metric_values(cells, counts.sum(axis=1)))
        for counts in drawn_counts(cells.counts, resamples=resamples, rng=rng)
    ]
    return Resamples(np.concatenate([by for by, _ in blocks]), np.concatenate([whole for _, whole in blocks]))


def drawn_counts(counts: Ints, *, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield blocks of resampled counts, of shape (some resamples, *counts.shape).

    All samples are drawn together, so that the sizes of the groups vary too, as they
    would in another sample of as many.
    """
    flat = counts.ravel()
    present, total = np.flatnonzero(flat), int(flat.sum())
    shares = flat[present] / total
    size = max(1, _BLOCK // flat.size)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = np.zeros((rows, flat.size))
        drawn[:, present] = rng.multinomial(total, shares, size=rows)
        yield drawn.reshape(rows, *counts.shape)


def _terms(kinds: Ints) -> tuple[Floats, Floats]:
    """Return what each kind adds to numerator and denominator of each metric, and of recall of class 0."""
    correct, answered, abstained, positive, chosen, covered = np.unravel_index(kinds, _RADIX)
    every = np.ones(len(kinds))
    yes, no = positive == 1, positive == 0
    found, claimed = yes & (chosen == 1), chosen == 1
    labelled = positive != 2
    terms = {
        "accuracy": (correct, every),
        "balanced_accuracy": (every, every),
        "f1": (2 * found, 1 * (claimed & labelled) + 1 * yes),
        "precision": (found, claimed & labelled),
        "recall": (found, yes),
        "false_positive_rate": (no & claimed, no),
        "selection_rate": (claimed & labelled, labelled),
        "abstention": (abstained, every),
        "selective_accuracy": (correct * (1 - abstained), 1 - abstained),
        "parse_rate": (answered, every),
        "coverage": (covered == 1, covered != 2),
        "recall of class 0": (no & (chosen == 0), no),
    }
    uppers, lowers = zip(*terms.values(), strict=True)
    return np.column_stack(uppers).astype(np.float64), np.column_stack(lowers).astype(np.float64)
