"""The files of one experiment, on disk."""

import errno
import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from cruijff_kit.adapters.archive_place import refuse_change
from cruijff_kit.adapters.file_lock import hold_lock
from cruijff_kit.adapters.mounts import is_shared
from cruijff_kit.adapters.safe_paths import checked_parts, open_file, opened_file, opened_folder
from cruijff_kit.adapters.staging import publish_files, write_file
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.site import DiskSpace

__all__ = ["DiskRunStore"]

_BLOCK = 1 << 16
_MOST_TAIL = 1 << 22
"""Bytes that `tail` reads at most, however long the lines are."""
_MOST_DIGESTS = 10_000
_REOPENED = 10
"""Times that a file is opened anew because another machine replaced it while it was read."""
_Read = TypeVar("_Read")
_LOCK_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


class DiskRunStore:
    """The `RunStore` of an experiment directory; it may not exist yet."""

    def __init__(self, root: Path) -> None:
        """Keep the directory, links in the way to it resolved once."""
        self.root = root.resolve()
        self._digests: dict[tuple[str, int, int, int], str] = {}

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""

        def whole() -> bytes | None:
            with self._opened(path) as file:
                return file.read() if file else None

        return _unless_stale(whole)

    def read_from(self, path: str, start: int) -> bytes | None:
        """Return a file's bytes from a position on, none beyond its end; None where there is no file."""

        def rest() -> bytes | None:
            with self._opened(path) as file:
                if file is None:
                    return None
                file.seek(start)
                return file.read()

        return _unless_stale(rest)

    def read_text(self, path: str) -> str | None:
        """Return a file's text (UTF-8), or None where there is none."""
        content = self.read(path)
        try:
            return content.decode("utf-8") if content is not None else None
        except UnicodeDecodeError as err:
            raise SiteError(
                f"`{path}` is not UTF-8 text: byte {err.start} is {err.object[err.start]:#04x}",
                hint="save it as UTF-8, or restore it from a copy",
            ) from err

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file, streamed, or None where there is none.

        An absolute path may lie elsewhere: models, data of the user's, checkpoints on scratch;
        of a folder there it is the hash of the data set in it.
        """
        if path.startswith("/") and Path(path).is_dir():
            with _translated(path):
                return data_sha256(Path(path))
        return _unless_stale(lambda: self._digest(path))

    def _digest(self, path: str) -> str | None:
        with _outside(path) if path.startswith("/") else self._opened(path) as file:
            if file is None:
                return None
            facts = os.fstat(file.fileno())
            key = (path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
            if key not in self._digests:
                if len(self._digests) >= _MOST_DIGESTS:
                    self._digests.clear()
                self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._digests[key]

    def glob(self, folder: str, pattern: str = "*") -> list[str]:
        """Return sorted relative paths, files and folders, that match; hidden ones and links do not.

        `*` stays within a name; `**` stands for any number of folders.
        """
        parts = () if folder in {"", "."} else checked_parts(folder)
        try:
            with opened_folder(self.root, parts) as opened:
                found = set(_matching(opened, checked_parts(pattern)))
        except FileNotFoundError:
            return []
        return sorted("/".join((*parts, *match)) for match in found)

    def write(self, path: str, content: bytes | str) -> None:
        """Write aside, fsync and rename; parents are made."""
        parts = checked_parts(path)
        refuse_change(self.root)
        with _translated(path):
            write_file(self.root, parts, content=content.encode("utf-8") if isinstance(content, str) else content)

    def write_parts(self, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        """Write a file part by part, aside, fsync and rename; return its SHA-256 and size.

        Where making a part fails, nothing is left and what was there stays.
        """
        checked, sha, size = checked_parts(path), hashlib.sha256(), 0
        refuse_change(self.root)

        def counted() -> Iterator[bytes]:
            nonlocal size
            # What is missing where parts come from is no fault of the staging folder, and is not tried again.
            with _missing_told(path):
                for part in parts:
                    sha.update(part)
                    size += len(part)
                    yield part

        with _translated(path):
            write_file(self.root, checked, content=counted())
        return sha.hexdigest(), size

    def publish(self, files: Mapping[str, bytes], *, manifest: str, progress: Progress | None = None) -> None:
        """Publish many files as one: staged, flushed once, renamed folder by folder, `manifest` last.

        Existing files not named are kept, and those that are the same already are left
        alone. A crash leaves the manifest as it was, and a repeat finishes the work.
        """
        if manifest not in files:
            raise ValueError(f"manifest `{manifest}` is not among the files to be published")
        for path in files:
            checked_parts(path)
        refuse_change(self.root)
        with self.lock("publish"), _translated(str(self.root)):
            changed = self._changed(files)
            if changed:
                last = changed.pop(manifest, None)
                # Even with nothing left to write: whoever was killed may not have flushed what is there.
                publish_files(self.root, changed, progress=progress)
                if last is not None:
                    write_file(self.root, checked_parts(manifest), content=last)

    def tail(self, path: str, lines: int) -> list[str]:
        """Return the last lines of a text file, read from its end; empty where absent.

        At most 4 MiB are read, so of a longer line only its end is returned.
        """

        def end() -> list[str]:
            with self._opened(path) as file:
                return _last_lines(file, lines) if file and lines > 0 else []

        return _unless_stale(end)

    def lock(self, name: str, *, wait: float = 30.0) -> AbstractContextManager[None]:
        """Hold a named lock between processes; it dies with its holder.

        Raises:
            SiteError: another process held it for longer than `wait` seconds.
        """
        if not _LOCK_NAME.fullmatch(name):
            raise ValueError(f"lock name `{name}` is not lower-case letters, digits and hyphens")
        experiment = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return hold_lock(state_dir() / "locks" / f"{experiment}-{name}.lock", name=name, wait=wait)

    def disk(self) -> DiskSpace:
        """Return free and total bytes where the experiment lives."""
        place = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        usage = shutil.disk_usage(place)
        return DiskSpace(free=usage.free, total=usage.total)

    def shared(self) -> bool:
        """Return whether the experiment lies on a file system that other machines may write to."""
        return is_shared(self.root)

    @contextmanager
    def _opened(self, path: str) -> Iterator[BufferedReader | None]:
        with opened_file(self.root, path) as file, _translated(path):
            yield file

    def _changed(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the files that are not on disk as they should be, folder by folder."""
        changed: dict[str, bytes] = {}
        for folder, group in groupby(files.items(), key=lambda item: item[0].rpartition("/")[0]):
            here = dict(group)
            try:
                with opened_folder(self.root, checked_parts(folder) if folder else ()) as opened:
                    changed |= {path: each for path, each in here.items() if not _holds(opened, path, content=each)}
            except FileNotFoundError:
                changed |= here
        return changed


def _holds(folder: int, path: str, *, content: bytes) -> bool:
    try:
        descriptor = open_file(folder, path.rpartition("/")[2])
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        return os.fstat(descriptor).st_size == len(content) and file.read() == content


def _unless_stale(look: Callable[[], _Read]) -> _Read:
    """Look at a file, anew by its name where the one that was opened is gone from its server.

    Jobs replace their files by a rename; over a network that takes the old one away from who reads it.
    """
    for _ in range(_REOPENED):
        try:
            return look()
        except (OSError, SiteError) as err:
            if errno.ESTALE not in (getattr(err, "errno", None), getattr(err.__cause__, "errno", None)):
                raise
    return look()


@contextmanager
def _outside(path: str) -> Iterator[BufferedReader | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    with _translated(path), os.fdopen(descriptor, "rb") as file:
        yield file


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise SiteError(
            f"`{err.filename or path}` cannot be used: {err.strerror}",
            hint="see that it is a plain file or folder of yours and that the disk is not full",
        ) from err


@contextmanager
def _missing_told(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as err:
        hint = "bring it back and try again; nothing was written"
        raise SiteError(f"`{err.filename}` vanished while `{path}` was written from it", hint=hint) from err


def _matching(folder: int, pattern: Sequence[str]) -> Iterator[tuple[str, ...]]:
    first, *rest = pattern
    if first == "**" and rest:
        yield from _matching(folder, rest)
    for entry in list(os.scandir(folder)):
        if entry.name.startswith(".") or entry.is_symlink() or not fnmatch.fnmatchcase(entry.name, first):
            continue
        if not rest:
            yield (entry.name,)
        following = pattern if first == "**" else rest
        if following and entry.is_dir(follow_symlinks=False):
            yield from _below(folder, entry.name, pattern=following)


def _below(folder: int, name: str, *, pattern: Sequence[str]) -> Iterator[tuple[str, ...]]:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for match in _matching(inner, pattern):
            yield (name, *match)
    finally:
        os.close(inner)


def _last_lines(file: BufferedReader, lines: int) -> list[str]:
    start = file.seek(0, os.SEEK_END)
    lowest = max(start - _MOST_TAIL, 0)
    read: list[bytes] = []
    breaks = 0
    while start > lowest and breaks <= lines:
        step = min(_BLOCK, start - lowest)
        start = file.seek(start - step)
        read.append(file.read(step))
        breaks += read[-1].count(b"\n")
    text = b"".join(reversed(read)).decode("utf-8", "replace")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")[-lines:]] if text else []
