"""Replies about experiments that are put away or brought back."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from cruijff_kit.schema.archive import ArchivePreview, ArchiveReceipt, UnarchivePreview, UnarchiveReceipt
    from cruijff_kit.schema.disk import DiskItem

__all__ = ["ArchiveReply"]

_SURE = "show this to the user; dry_run=false asks them, and then does it"


class ArchiveReply(BaseModel):
    """What was moved, or would be. Quote its sizes, in bytes; compute none."""

    done: bool
    """Whether it was moved; a dry run moves nothing."""
    place: str
    """Where it lies now, or would."""
    bytes: int
    """What it takes on disk; of an archive, what its files hold."""
    files: int | None = None
    """How many files; None before they were counted."""
    moves: dict[str, int] = {}
    """Bytes that would be put away, by kind of file."""
    may_be_dropped: dict[str, int] = {}
    """Those of them that `drop` would remove for good."""
    dropped: dict[str, int] = {}
    """Bytes that are removed for good, or that were when it was put away."""
    note: str = ""
    """What to do next."""

    @classmethod
    def away(cls, seen: "ArchivePreview") -> "ArchiveReply":
        """Tell what putting it away would do."""
        return cls(
            done=False,
            place=seen.archive,
            bytes=seen.bytes,
            moves=_by_kind(seen.moved),
            may_be_dropped=_by_kind(item for item in seen.moved if item.prunable),
            dropped=_by_kind(seen.dropped),
            note=_SURE if seen.moved or seen.begun else "it is archived already; back=true brings it back",
        )

    @classmethod
    def back(cls, seen: "UnarchivePreview") -> "ArchiveReply":
        """Tell what bringing it back would do; every file was held against the manifest."""
        return cls(
            done=False,
            place=seen.origin,
            bytes=seen.bytes,
            files=seen.files,
            dropped=_by_kind(seen.dropped),
            note=f"the archive is as it was put away, by every hash; {_SURE}",
        )

    @classmethod
    def moved(cls, receipt: "ArchiveReceipt") -> "ArchiveReply":
        """Tell of an experiment that was put away."""
        return cls(
            done=True,
            place=receipt.archive,
            bytes=receipt.bytes,
            files=receipt.files,
            dropped=_by_kind(receipt.dropped),
            note=f"manifest {receipt.manifest_sha256[:12]}; `ck -C {receipt.experiment} unarchive`, or back=true, "
            "brings it back",
        )

    @classmethod
    def returned(cls, receipt: "UnarchiveReceipt") -> "ArchiveReply":
        """Tell of an experiment that was brought back."""
        return cls(
            done=True,
            place=receipt.origin,
            bytes=receipt.bytes,
            files=receipt.files,
            dropped=_by_kind(receipt.dropped),
            note="it is as it was, and can be gone on with",
        )


def _by_kind(items: Iterable["DiskItem"]) -> dict[str, int]:
    sizes = Counter[str]()
    for item in items:
        sizes[item.kind] += item.bytes
    return dict(sizes)
