"""Archive nouns: what is put away, the manifest that proves it, and the mark left in its place."""

from collections import Counter
from typing import Literal

from cruijff_kit.schema.audit import Anchor
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.disk import DiskItem
from cruijff_kit.schema.noun import Noun, Sha256, Timestamp

__all__ = [
    "ArchiveManifest",
    "ArchiveMark",
    "ArchivePreview",
    "ArchiveReceipt",
    "ArchivedFile",
    "Drop",
    "UnarchivePreview",
    "UnarchiveReceipt",
]


Drop = Literal["merged", "caches"]
"""What may be dropped when an experiment is put away, once somebody says so."""


class ArchivedFile(Noun):
    """One file as it was when it was put away."""

    sha256: Sha256
    """Hash of its bytes."""
    bytes: int
    """Its length."""
    mode: int
    """Its permission bits."""
    modified: int
    """When it was last changed, in nanoseconds since 1970."""


class ArchiveManifest(Noun):
    """`archive.json`, written last into an archive: what is in it, by hash, and where it came from."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    experiment: str
    """Name of the experiment's directory."""
    origin: str
    """Absolute directory it came from, and goes back to."""
    archived: Timestamp
    """When it was put away."""
    tier: Tier
    """How freely its contents might be shown then; it counts from now on, too."""
    head: Anchor | None
    """Last line of its record at that moment; later lines tell of the archive alone."""
    files: dict[str, ArchivedFile]
    """Path in the archive to the file."""
    links: dict[str, str]
    """Path in the archive to what the link there says; links are kept and never followed."""
    folders: dict[str, int]
    """Path in the archive to the permission bits of the folder there; empty for the archive itself."""
    places: dict[str, str]
    """Folder in the archive to the absolute directory outside the experiment that it came from."""
    dropped: tuple[DiskItem, ...]
    """What was removed before, because somebody said so; it does not come back."""


class ArchiveMark(Noun):
    """`archive/<name>.json` of the project: where an experiment went, and how far its move has come."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    experiment: str
    """Name of the experiment's directory."""
    state: Literal["copying", "archived", "restoring"]
    """How far the move has come: `archived` once the manifest is written."""
    archive: str
    """Where the archive lies: below the project, or absolute where it is outside."""
    since: Timestamp
    """When that began."""
    reason: str
    """Why, in the words of whoever decided."""
    files: int
    """Files in the archive; 0 while they are copied."""
    bytes: int
    """What they hold."""
    manifest_sha256: Sha256 | None
    """Hash of the manifest, kept apart from it; None while files are copied."""
    dropped: tuple[DiskItem, ...]
    """What was, or is to be, removed before."""


class ArchivePreview(Noun):
    """What would be put away, and what would be dropped."""

    experiment: str
    """Name of the experiment's directory."""
    origin: str
    """Where it lies."""
    archive: str
    """Where it would go."""
    moved: tuple[DiskItem, ...]
    """What would move, kind by kind, run by run."""
    dropped: tuple[DiskItem, ...]
    """What would be removed for good."""
    bytes: int
    """What moves, on disk."""
    dropped_bytes: int
    """What is removed, on disk."""
    free: int
    """Bytes free where it would go."""
    begun: bool
    """Whether an interrupted move is gone on with."""

    @property
    def question(self) -> str:
        """Return the question put to the user; it depends on what lies there alone."""
        if not self.moved:
            return f"Go on putting {self.experiment} away in {self.archive}, whose copy there is whole?"
        gone = Counter(item.kind for item in self.dropped)
        kinds = ", ".join(f"{kind} of {count} runs" for kind, count in sorted(gone.items()))
        lost = f"{_size(self.dropped_bytes)} are removed for good ({kinds})" if gone else "nothing is dropped"
        return (
            f"Move {self.experiment} to {self.archive} ({_size(self.bytes)}; {lost})? It leaves its place once every "
            "copy is verified by hash, and can be brought back."
        )


class ArchiveReceipt(Noun):
    """An experiment that was put away."""

    experiment: str
    """Name of the experiment's directory."""
    archive: str
    """Absolute directory it lies in now."""
    files: int
    """Files in it, each verified by hash."""
    bytes: int
    """What they hold."""
    manifest_sha256: Sha256
    """Hash of `archive.json`."""
    dropped: tuple[DiskItem, ...]
    """What was removed for good."""


class UnarchivePreview(Noun):
    """What would come back; every file was held against the manifest."""

    experiment: str
    """Name of the experiment's directory."""
    archive: str
    """Where it lies."""
    origin: str
    """Where it would go back to."""
    places: tuple[str, ...]
    """Directories outside the experiment that would come back, too."""
    files: int
    """Files that would come back."""
    bytes: int
    """What they hold."""
    archived: Timestamp
    """When it was put away."""
    dropped: tuple[DiskItem, ...]
    """What was removed when it was put away, and does not come back."""

    @property
    def question(self) -> str:
        """Return the question put to the user; it depends on the archive's manifest alone."""
        return (
            f"Bring {self.experiment} back from {self.archive} to {self.origin} ({self.files} files, "
            f"{_size(self.bytes)})? The archive is removed once every file is verified."
        )


class UnarchiveReceipt(Noun):
    """An experiment that was brought back."""

    experiment: str
    """Name of the experiment's directory."""
    origin: str
    """Where it lies again."""
    files: int
    """Files that came back, each verified by hash."""
    bytes: int
    """What they hold."""
    dropped: tuple[DiskItem, ...]
    """What was removed when it was put away, and did not come back."""


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
