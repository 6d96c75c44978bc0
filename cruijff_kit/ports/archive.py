"""Whole directories as they are put away and brought back: copied, proven, renamed, removed."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from cruijff_kit.ports.record import AuditLog

__all__ = ["FileFacts", "Tree", "Vault"]


class FileFacts(NamedTuple):
    """What a directory tells of a file."""

    bytes: int
    """Its length."""
    mode: int
    """Its permission bits."""
    modified: int
    """When it was last changed, in nanoseconds since 1970."""


class Tree(NamedTuple):
    """Everything below a directory, by relative path."""

    files: dict[str, FileFacts]
    """Regular files."""
    links: dict[str, str]
    """Links, with what they say; none is followed."""
    folders: dict[str, int]
    """Folders with their permission bits; the directory itself under the empty name."""


class Vault(Protocol):
    """Directories of this machine, named absolutely; paths below them never lead out, by name or by link."""

    def survey(self, folder: str) -> Tree | None:
        """Return what lies below a directory; None where there is none.

        Raises:
            SiteError: it holds what is neither file, folder nor link, or cannot be read.
            SpecError: a name in it cannot be kept.
        """
        ...

    def copy(self, source: str, target: str, *, path: str) -> None:
        """Copy a file with its bits and times; one that is there already with the same bytes is left alone.

        Raises:
            SiteError: it cannot be read or written.
        """
        ...

    def shape(self, folder: str, tree: Tree) -> None:
        """Make the folders and links of a tree, with their bits, and flush all that was written there.

        Raises:
            SiteError: something else lies in the way, or cannot be written.
        """
        ...

    def read(self, folder: str, path: str) -> bytes | None:
        """Return a file's bytes; None where there is none. SiteError where it is a link or unreadable."""
        ...

    def digest(self, folder: str, path: str, *, first: int | None = None) -> str | None:
        """Return the SHA-256 of a file, or of its first bytes, read from the disk; None where there is none."""
        ...

    def write(self, folder: str, path: str, *, content: bytes) -> None:
        """Write a file aside, flush and rename it; folders are made. SiteError where that cannot be."""
        ...

    def settle(self, staged: str, target: str) -> None:
        """Rename a directory to its place, durably.

        Raises:
            SiteError: something lies there, or it cannot be renamed.
        """
        ...

    def pack(self, folder: str, target: str) -> None:
        """Write the regular files below a directory into one zip file, durably: the same files give the same bytes.

        Raises:
            SiteError: something lies there, or a file cannot be read or written.
        """
        ...

    def remove(self, folder: str, paths: Iterable[str]) -> None:
        """Remove files and links below a directory; what is gone is passed over. SiteError where one cannot go."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove a directory and those below it as far as they are empty; others stay."""
        ...

    def free(self, folder: str) -> int:
        """Return the bytes free where a directory is, or would be."""
        ...

    def record(self, folder: str) -> AuditLog:
        """Return the record of the experiment in a directory."""
        ...
