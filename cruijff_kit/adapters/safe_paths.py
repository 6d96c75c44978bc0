"""Paths below a root that nobody can lead out of it, by name or by link."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath

from cruijff_kit.errors import SiteError, SpecError

__all__ = ["checked_parts", "create_file", "flush_content", "open_file", "opened_file", "opened_folder"]

_LONGEST_NAME = 255
_BLOCK = 1 << 16
# Nearly every path is of this form, which needs no closer look.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|%(?:2e|2f|5c|00)", re.IGNORECASE)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a named pipe would wait for its writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def checked_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a relative POSIX path that stays where it starts.

    Raises:
        SpecError: it is absolute, climbs, is not in its shortest form or has a name no file may have.
    """
    if _PLAIN.fullmatch(path) and len(path) <= _LONGEST_NAME:
        return tuple(path.split("/"))
    pure = PurePosixPath(path)
    unsafe = pure.is_absolute() or ".." in pure.parts or path.startswith("~") or _FORBIDDEN.search(path)
    if (
        unsafe
        or not pure.parts
        or str(pure) != path
        or any(len(os.fsencode(part)) > _LONGEST_NAME for part in pure.parts)
    ):
        raise SpecError(
            f"path `{path[:120]}` is not a plain relative path inside the experiment",
            hint="write it from the experiment's directory (`ck -C DIR`) downwards, such as `data/rows.json`",
        )
    return pure.parts


@contextmanager
def opened_folder(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Open a folder below the root, step by step and following no link; yield its descriptor.

    The root itself is resolved once, by whoever keeps it: that it is a link now means that somebody swapped it since.

    Raises:
        FileNotFoundError: it is not there and is not to be created.
        SiteError: a part of the way is a link or a file.
    """
    if create:
        root.mkdir(parents=True, exist_ok=True)
    try:
        folder = os.open(root, _FOLDER)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise _refused(root.name, err.strerror) from err
    try:
        for part in parts:
            inner = _step(folder, part, create=create)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def open_file(folder: int, name: str) -> int:
    """Open a regular file of a folder for reading; follow no link.

    Raises:
        FileNotFoundError: it is not there.
        SiteError: it is a link, a folder, a pipe or unreadable.
    """
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise _refused(name, err.strerror) from err
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _refused(name, "it is not a file")


@contextmanager
def opened_file(root: Path, path: str) -> Iterator[BufferedReader | None]:
    """Open a regular file below the root for reading, following no link; None where there is none.

    Raises:
        SiteError: a part of the way is a link or a file, or it is no file or unreadable.
        SpecError: no file may have this path.
    """
    *folders, name = checked_parts(path)
    try:
        with opened_folder(root, folders) as folder:
            descriptor = open_file(folder, name)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(descriptor, "rb") as file:
        yield file


def create_file(folder: int, name: str, *, content: bytes | Iterable[bytes], flush: bool = True) -> None:
    """Create a file that is not there yet and write it whole, at once or part by part; or leave none."""
    descriptor = os.open(name, _NEW, 0o666, dir_fd=folder)
    try:
        for block in [content] if isinstance(content, bytes) else _blocks(content):
            left = memoryview(block)
            while left:
                left = left[os.write(descriptor, left) :]
        if flush:
            os.fsync(descriptor)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts joined to blocks that are worth a system call."""
    block = bytearray()
    for part in parts:
        block += part
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def flush_content(descriptor: int) -> None:
    """Flush what a file holds and what is needed to find it again, not its times."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _step(folder: int, part: str, *, create: bool) -> int:
    if create:
        try:
            os.mkdir(part, dir_fd=folder)
        except FileExistsError:
            pass
        else:
            os.fsync(folder)
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise _refused(part, err.strerror) from err


def _refused(name: str, why: str | None) -> SiteError:
    return SiteError(
        f"`{name}` cannot be opened inside the experiment: {why}",
        hint="an experiment holds plain files and folders, no links; replace the link by what it points to",
    )
