"""Rows of a data set beside the table they were told from: what a model of tables needs to be asked the same."""

from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

__all__ = ["Openers", "TableRows"]

Openers = Mapping[str, Callable[[], IO[bytes]]]
"""Argument to what opens its file anew; whoever gives it closes what it opened."""


class TableRows(NamedTuple):
    """Rows and their cells."""

    splits: dict[str, list[dict[str, Any]]]
    """Rows by split, as they are told."""
    features: tuple[str, ...]
    """Columns told."""
    numeric: frozenset[str]
    """Those of them that are numbers; the others are codes."""
    cells: dict[str, list[tuple[str, ...]]]
    """Cells of each row by split, in the order of the columns; empty where there is none."""
    options: tuple[str, ...] = ()
    """How no and yes are written; empty where numbers are asked for."""
