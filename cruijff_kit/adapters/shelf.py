"""The shelf: files of output directories, which may lie outside the experiment; removal is never through a link."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["DiskShelf"]


class DiskShelf:
    """Output directories on this machine's file systems."""

    def files(self, folder: str) -> dict[str, int]:
        """Return the regular files below a folder and their bytes on disk."""
        return dict(sorted(_files(Path(folder), "")))

    def remove(self, folder: str, paths: Sequence[str]) -> int:
        """Remove files below a folder, and directories that are empty then; return the bytes freed."""
        root, freed = Path(folder), 0
        for path in paths:
            place = _inside(root, path)
            try:
                freed += _bytes(place.lstat())
                place.unlink()
            except FileNotFoundError:
                continue
            except OSError as err:
                hint = "see that it is yours, then repeat the command"
                raise SiteError(f"`{place}` cannot be removed: {err.strerror}", hint=hint) from err
        parents = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}
        for each in sorted(parents, reverse=True):
            _remove_empty(_inside(root, each))
        return freed


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as err:
        raise SiteError(f"`{folder}` cannot be read: {err.strerror}", hint="see its owner and mode") from err
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield f"{prefix}{entry.name}", _bytes(entry.stat(follow_symlinks=False))


def _bytes(found: os.stat_result) -> int:
    """Return what a file takes: its blocks, which are fewer than its length where it has holes."""
    return found.st_blocks * 512


def _inside(root: Path, path: str) -> Path:
    """Return a path below a root.

    Raises:
        SiteError: it leads out of the root, or over a link.
    """
    parts = Path(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise SiteError(f"`{path}` is not below `{root}`", hint="report this as a defect")
    place = root
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise SiteError(f"`{place}` is a link; what it leads to is left alone", hint="remove the link by hand")
    if place.exists() and not stat.S_ISREG(place.lstat().st_mode) and not place.is_dir():
        raise SiteError(f"`{place}` is no file", hint="look at it and remove it by hand")
    return place


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Something else lies in it, or it is gone already.
        return
