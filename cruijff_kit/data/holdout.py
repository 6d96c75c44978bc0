"""Holding rows out: which of them are validated on instead of learnt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.splits import AUGMENTED_FROM, row_question

__all__ = ["hold_out"]

_Rows = Sequence[Mapping[str, Any]]


def hold_out(rows: _Rows, *, share: float, seed: int) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the rows to learn and those held out, each in file order.

    Rows that ask the same go together, so that none is asked what another one taught; a
    row's place in the file decides nothing. Changed copies are never held out; they go where their origin is.

    Args:
        rows: all rows.
        share: part of them to hold out, at least one where it is above 0 and there are two questions.
        seed: fixes the draw.
    """
    asked = [row_question(row) for row in rows]
    counts = Counter(asked)
    wanted, held = max(1, round(share * len(rows))) if share > 0 else 0, set[str]()
    for question in ordered(counts, seed=seed, label="validation")[: len(counts) - 1]:
        if wanted <= 0:
            break
        held.add(question)
        wanted -= counts[question]
    learnt = [row for row, question in zip(rows, asked, strict=True) if question not in held]
    held_rows = [row for row, question in zip(rows, asked, strict=True) if question in held]
    return learnt, [row for row in held_rows if AUGMENTED_FROM not in row]
