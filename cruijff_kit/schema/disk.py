"""Disk nouns: what an experiment takes, and what may go."""

from typing import Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["DiskItem", "DiskKind", "DiskReport", "PruneReceipt"]

DiskKind = Literal["adapters", "merged", "checkpoints", "unfinished", "tracking", "data", "records", "results", "other"]
"""What a file is: adapters, records, logs and results are never removed."""


class DiskItem(Noun):
    """All files of one kind of one run."""

    run_id: str
    """The run; empty for the experiment's own files."""
    kind: DiskKind
    """What they are."""
    folder: str
    """Where they lie."""
    files: int
    """How many."""
    bytes: int
    """What they take on disk."""
    prunable: str
    """Why they may go; empty where they may not."""


class DiskReport(Noun):
    """What an experiment takes on disk."""

    items: tuple[DiskItem, ...]
    """Kind by kind, run by run."""
    bytes: int
    """All of it."""
    prunable: int
    """What of it may go."""


class PruneReceipt(Noun):
    """What was removed."""

    files: int
    """How many files."""
    bytes: int
    """What they took."""
