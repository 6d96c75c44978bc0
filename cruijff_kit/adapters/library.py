"""Experiment directories on disk, and the cache of what was told of them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from cruijff_kit.adapters.own_file import written_aside
from cruijff_kit.adapters.safe_paths import opened_file
from cruijff_kit.adapters.state_dir import cache_dir
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Stamped

__all__ = ["DiskLibrary"]

_MOST = 1 << 26
"""Bytes of a file that are read whole."""
_CACHE = "experiments.json"


class DiskLibrary:
    """The `Library` of this machine's file systems; the cache lies in the user's own."""

    def survey(self, project: str, files: Sequence[str]) -> tuple[Stamped, ...]:
        """Return the directories of a project by name, with stamps of these files."""
        try:
            with os.scandir(project) as entries:
                found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as err:
            hint = "name a directory that holds experiments"
            raise SiteError(f"`{project}` cannot be searched: {err.strerror}", hint=hint) from err
        return tuple(_looked_at(project, entry, files=files) for entry in found if _is_folder(entry))

    def names(self, folder: str, ending: str) -> tuple[str, ...]:
        """Return the names of a directory's files that end so, sorted; none where it is not there or unreadable."""
        try:
            with os.scandir(folder) as entries:
                files = [each.name for each in entries if each.is_file(follow_symlinks=False)]
        except OSError:
            return ()
        return tuple(sorted(name for name in files if name.endswith(ending)))

    def read(self, folder: str, path: str, *, last: int | None = None) -> bytes | None:
        """Return a file below a directory, or its last bytes; None where there is none."""
        with _opened(folder, path) as file:
            if file is None:
                return None
            size = os.fstat(file.fileno()).st_size
            if last is not None:
                file.seek(max(0, size - last))
                return file.read(last)
            if size > _MOST:
                hint = f"at most {_MOST >> 20} MiB are read"
                raise SiteError(f"`{path}` is too large: {size} bytes", hint=hint)
            return file.read(_MOST)

    def digest(self, folder: str, path: str) -> str | None:
        """Return the SHA-256 of a file below a directory, streamed; None where there is none."""
        with _opened(folder, path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if file is not None else None

    def recall(self) -> bytes | None:
        """Return what was kept last; None where nothing was, or it cannot be read."""
        try:
            return self.read(str(cache_dir()), _CACHE)
        except (OSError, SiteError):
            return None

    def keep(self, content: bytes) -> None:
        """Keep a text for the next time; only its user may read it."""
        path = cache_dir() / _CACHE
        # A search must not fail for want of a cache: a full disk, a home that is read-only.
        with suppress(SiteError), written_aside(path, content, flushed=False) as aside:
            aside.replace(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _looked_at(project: str, entry: os.DirEntry[str], *, files: Sequence[str]) -> Stamped:
    if entry.is_symlink():
        return Stamped(project, entry.name, {}, linked=True)
    stamps = {path: stamp for path in files if (stamp := _stamp(f"{entry.path}/{path}"))}
    return Stamped(project, entry.name, stamps)


def _stamp(path: str) -> str:
    try:
        facts = os.lstat(path)
    except OSError:
        return ""
    return f"{facts.st_size}-{facts.st_mtime_ns}-{facts.st_ctime_ns}-{facts.st_ino}"


@contextmanager
def _opened(folder: str, path: str) -> Iterator[BufferedReader | None]:
    try:
        with opened_file(Path(folder), path) as file:
            yield file
    except OSError as err:
        hint = "see its owner and mode"
        raise SiteError(f"`{path}` below `{folder}` cannot be read: {err.strerror}", hint=hint) from err
