"""Verification nouns: where each number of a report comes from, and what no longer follows from the raw files."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, Sha256
from cruijff_kit.schema.report import AuditState

__all__ = ["Difference", "Origin", "Printed", "References", "Verification"]


class Origin(Noun):
    """A place in a file, by hash, that numbers were computed from."""

    label: str = ""
    """Label of the file in the documents, such as `e3`; empty where they name it not."""
    file: str
    """File, relative to the experiment."""
    sha256: Sha256 | None = None
    """Hash of its bytes; None where the file is missing, or it is the hashes in it that count."""
    pointer: str = ""
    """Which part of the file."""


class Printed(Noun):
    """A place of the documents at which numbers stand: a row of a table, or a sentence."""

    key: str
    """Its name, such as `accuracy/<run>/<task>/<epoch>/<scorer>`; the same for the same row of a later report."""
    documents: tuple[str, ...]
    """Documents that show it."""
    anchor: str
    """Id of its element in the page; of the section around a sentence."""
    text: dict[str, str]
    """What is printed, by column; a sentence stands under `text`."""
    origins: tuple[Origin, ...]
    """Where its numbers come from."""


class References(Noun):
    """`report/references.json`: every number of a report and where it comes from."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    version: str
    """Version of this package that wrote the report."""
    audit: AuditState
    """The record as it stood when the results were in."""
    files: dict[str, Sha256 | None]
    """Every file of the runs that the report rests on, and its hash; None for one that was not there."""
    printed: tuple[Printed, ...]
    """Every place at which numbers stand, in the order of `summary.md`."""


class Difference(Noun):
    """Something that is not as it was recorded, or does not follow from the raw files."""

    kind: Literal["record", "file", "value", "number", "text", "uncited"]
    """The audit log, a file by hash, a value of a table, a number or text of a document, a number of prose."""
    path: str
    """File that it was found in."""
    place: str = ""
    """Where in it, such as `line 23` or `row 4, column value`."""
    shown: str = ""
    """What stands there."""
    made: str = ""
    """What follows from the raw files."""
    origins: tuple[Origin, ...] = ()
    """What it should follow from."""
    words: str
    """What is wrong, in words."""


class Verification(Noun):
    """What checking a report against the raw files of its experiment found."""

    experiment: str
    """Name of the experiment."""
    version: str
    """Version of this package that wrote the report; empty where the record tells none."""
    files: int
    """Files whose hashes were compared."""
    adapters: int = 0
    """Adapters whose files were compared with what trainings wrote and evaluations say they were of."""
    values: int
    """Values of result tables computed anew and compared."""
    figures: int
    """Figures computed anew and compared."""
    numbers: int
    """Numbers of the documents that were compared."""
    differences: tuple[Difference, ...]
    """What does not hold, causes before what follows from them."""
    notes: tuple[str, ...] = ()
    """What a reader should know although nothing is wrong."""

    @property
    def ok(self) -> bool:
        """Return whether nothing differs."""
        return not self.differences
