"""An experiment that lies on another machine, and its copy here."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from cruijff_kit.ports.record import AuditLog, RunStore
from cruijff_kit.schema.mirror import Fetched

__all__ = ["Home", "Mirror"]


class Home(Protocol):
    """Where a mirrored experiment lies: inputs go there, verbs run there, results come from there.

    Every method raises SiteError where the host cannot be reached, and where the folder here
    is no mirror of it.
    """

    words: str
    """Where that is, as messages say it."""

    def send(self) -> tuple[str, ...]:
        """Copy the project's inputs there, by content; return those that were new or other. Nothing is deleted."""
        ...

    def inputs(self) -> tuple[Path, ...]:
        """Return the files that `send` copies, where they lie here."""
        ...

    def fetch(self, *, adapters: bool = False, again: bool = False, texts: bool = True) -> Fetched:
        """Copy the experiment's files here, each whole or not at all. Nothing is deleted.

        Args:
            adapters: what trainings made too, whatever its size.
            again: compare the content of every file instead of size and time.
            texts: whether files may come that hold text of the data; else those of `WITHOUT_TEXTS` alone.
        """
        ...

    def call(self, words: Sequence[str]) -> int:
        """Run `ck` there with these words, on this process's input and output; return its exit code."""
        ...


class Mirror(NamedTuple):
    """An experiment that lies elsewhere, and its copy here."""

    home: Home
    """Where it lies."""
    copy: RunStore
    """What of it is here; only copying writes there."""
    audit: AuditLog
    """Its record, as far as it is here."""
    project: AuditLog | None = None
    """Record of the project here, which keeps consent to its inputs; None where there is none."""
