"""Splits: named lists of rows that share no content, and their text on disk."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from cruijff_kit.data.items import item_question
from cruijff_kit.data.turns import question_turns

__all__ = ["AUGMENTED_FROM", "Overlap", "Splits", "overlaps", "row_question", "row_text", "split_lines", "write_splits"]

AUGMENTED_FROM = "augmented_from"
"""Column of a copy that augmentation made: the text that it is a change of."""

Splits = Mapping[str, Sequence[Mapping[str, Any]]]
"""Split name to rows; a row is column name to text or number."""


class Overlap(NamedTuple):
    """Rows that two splits share."""

    first: str
    """Split named first."""
    second: str
    """Split named later."""
    rows: tuple[int, ...]
    """Positions in the second split, from 0."""
    example: str
    """The first question found in both."""


def overlaps(splits: Splits, *, column: str | None = "input") -> list[Overlap]:
    """Return every pair of splits that share questions, in file order.

    Two rows are the same question when the column holds the same text, blanks at
    either end aside, whatever the answer; of a conversation the turns before its last answer count.
    Without a column each row is read by its own form (`data/items.py`).
    """
    asked = {
        name: [row_question(row) if column is None else _question(row.get(column, "")) for row in rows]
        for name, rows in splits.items()
    }
    names = list(asked)
    found = []
    for at, second in enumerate(names):
        for first in names[:at]:
            seen = set(asked[first])
            rows = tuple(index for index, question in enumerate(asked[second]) if question in seen)
            if rows:
                found.append(Overlap(first, second, rows, asked[second][rows[0]]))
    return found


def row_question(row: Mapping[str, Any]) -> str:
    """Return what tells the question of a row apart, seen from its own form; a changed copy asks as its origin."""
    if AUGMENTED_FROM in row:
        return str(row[AUGMENTED_FROM]).strip()
    asked = item_question(row)
    return f"{asked.text.strip()}\n{asked.input.strip()}".strip()


def _question(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(question_turns(value), ensure_ascii=False, default=str)
    return str(value).strip()


def row_text(row: Mapping[str, Any]) -> str:
    """Return a row as JSON in one line; what is no JSON, as a date of a table, as its text."""
    return json.dumps(dict(row), ensure_ascii=False, default=str)


def write_splits(splits: Splits) -> bytes:
    """Return a data set as JSON, one row a line, the same bytes for the same rows."""
    parts = []
    for name, rows in splits.items():
        lines = ",\n".join(f"  {row_text(row)}" for row in rows)
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]" if lines else f"{json.dumps(name)}: []")
    return ("{" + ",\n".join(parts) + "}\n").encode()


def split_lines(names: Sequence[str], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    """Yield a data set as `write_splits` writes it, one row after the other.

    Args:
        names: its splits, in order; one without rows is empty.
        rows: split and row, those of one split together and in the order of `names`.
    """
    groups = groupby(rows, key=itemgetter(0))
    name, group = next(groups, (None, iter(())))
    for at, wanted in enumerate(names):
        yield f"{',' + chr(10) if at else '{'}{json.dumps(wanted)}: ".encode()
        if name != wanted:
            yield b"[]"
            continue
        for index, (_, row) in enumerate(group):
            yield f"{',' if index else '['}\n  {row_text(row)}".encode()
        yield b"\n]"
        name, group = next(groups, (None, iter(())))
    yield b"}\n" if names else b"{}\n"
