"""Mirror nouns: what went to a login host and what came from there."""

from typing import Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["Fetched", "MirrorMark", "MirrorReceipt"]


class MirrorMark(Noun):
    """`.mirror.json`: whose copy a folder is; only copying writes into it."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    site: str | None
    """The one of several sites; None where there is only one."""
    host: str
    """Login host, as `ssh` knows it."""
    dir: str
    """Directory of the experiment there."""

    @property
    def words(self) -> str:
        """Return where that is, as messages say it."""
        return f"{self.host}:{self.dir}"


class Fetched(Noun):
    """What one copy brought."""

    files: tuple[str, ...]
    """Files that are new or other than before, relative to the experiment."""
    left: tuple[str, ...] = ()
    """Files that were too large to come by themselves."""


class MirrorReceipt(Noun):
    """What became of a copy in both directions."""

    home: str
    """Where the experiment lies."""
    sent: tuple[str, ...]
    """Inputs that went there, new or other than before."""
    fetched: tuple[str, ...]
    """Files that came from there."""
    left: tuple[str, ...]
    """Files that stayed there for their size."""
    verified: int
    """Files here of which a finished job says the hash, and have it."""
    lines: int
    """Lines of the audit log, whose chain holds."""
