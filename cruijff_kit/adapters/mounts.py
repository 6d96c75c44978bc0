"""Which file system a folder lies on, and whether other machines may write to it too."""

import re
from pathlib import Path

__all__ = ["is_shared", "kind_of"]

_TABLE = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
# All others count as shared: a name that nobody knows here is some site's own.
_OWN = frozenset(
    ("btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "xfs", "zfs")
)


def is_shared(folder: Path, *, table: str | None = None) -> bool:
    """Return whether a folder lies where machines share files; False where the system does not tell.

    Args:
        folder: an absolute folder, which need not exist yet.
        table: the mounts as `/proc/self/mountinfo` lists them; read there where None.
    """
    kind = kind_of(folder, table=table)
    return kind is not None and kind not in _OWN


def kind_of(folder: Path, *, table: str | None = None) -> str | None:
    """Return the kind of file system that a folder lies on, such as `nfs4`."""
    if table is None:
        if not _TABLE.exists():
            return None
        table = _TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    found: tuple[int, str] | None = None
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        # Of two at one place the later one covers the other.
        if folder.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), after.split(" ")[0]
    return found[1] if found else None
