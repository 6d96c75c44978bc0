"""A table of a report as text cells, and the labels of the files that its figures come from."""

from typing import Literal, NamedTuple

from cruijff_kit.rendering.numbers import NONE
from cruijff_kit.schema.report import Dossier

__all__ = ["Column", "Place", "Table", "source_labels"]


class Column(NamedTuple):
    """One column and how its cells are set."""

    name: str
    """Heading."""
    kind: Literal["text", "code", "number", "source", "verdict"] = "text"
    """`source` cells hold labels of references, separated by spaces; `verdict` cells one of a few words."""


class Place(NamedTuple):
    """A row or a sentence, and where its numbers come from."""

    key: str
    """Its name, the same in a later report."""
    anchor: str
    """Id of its element in the page."""
    text: dict[str, str]
    """What is printed, by column."""
    labels: tuple[str, ...]
    """Labels of references, the one that its pointer leads into first."""
    pointer: str = ""
    """Which part of the first file; the reference's own where empty."""
    hint: str = ""
    """Told when a pointer rests on it."""


class Table(NamedTuple):
    """One titled table; without rows its note stands alone."""

    key: str
    """Anchor within the report."""
    title: str
    """Heading."""
    columns: tuple[Column, ...]
    """Columns."""
    rows: tuple[tuple[str, ...], ...]
    """Cells as text."""
    note: str = ""
    """How to read it."""
    lines: tuple[str, ...] = ()
    """What stands below the rows as plain text, every character in its place."""
    stamp: str = ""
    """What stands beside the heading where figures do not follow the stated design."""
    places: tuple[Place, ...] = ()
    """Where the numbers of each row come from; none before `with_places` was asked."""


def source_labels(dossier: Dossier, *paths: str) -> str:
    """Return the labels of those files that figures were traced to, separated by spaces."""
    return " ".join(dossier.labels[path] for path in paths if path in dossier.labels) or NONE
