"""The experiments of a project and of others, as they are looked through together."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

__all__ = ["Library", "Stamped"]


class Stamped(NamedTuple):
    """A directory that may be an experiment, and what tells whether its files have changed."""

    project: str
    """Absolute directory that it lies in."""
    name: str
    """Its name there, as the file system has it."""
    stamps: Mapping[str, str]
    """Relative path to a stamp of size, times and identity, for the files that are there."""
    linked: bool = False
    """Whether it is a link, which nobody follows."""


class Library(Protocol):
    """Experiment directories, which it only reads, and a cache of what was told of them."""

    def survey(self, project: str, files: Sequence[str]) -> tuple[Stamped, ...]:
        """Return the directories of a project by name, with stamps of these files.

        Raises:
            SiteError: the project is no directory, or cannot be read.
        """
        ...

    def names(self, folder: str, ending: str) -> tuple[str, ...]:
        """Return the names of a directory's files that end so, sorted; none where it is not there or unreadable."""
        ...

    def read(self, folder: str, path: str, *, last: int | None = None) -> bytes | None:
        """Return a file below a directory, or its last bytes; None where there is none.

        Raises:
            SiteError: it is a link, a folder or a pipe, unreadable, or too large to be read whole.
        """
        ...

    def digest(self, folder: str, path: str) -> str | None:
        """Return the SHA-256 of a file below a directory, streamed; None where there is none.

        Raises:
            SiteError: it is a link, a folder or a pipe, or unreadable.
        """
        ...

    def recall(self) -> bytes | None:
        """Return what was kept last; None where nothing was, or it cannot be read."""
        ...

    def keep(self, content: bytes) -> None:
        """Keep a text for the next time, in place of the last; where that cannot be, nothing is kept."""
        ...
