"""Many files published as one: staged, flushed once, renamed folder by folder."""

import ctypes
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cruijff_kit.adapters.safe_paths import create_file, opened_folder
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress

__all__ = ["STAGING", "flush_all", "publish_files", "write_file"]

STAGING = ".staging"
"""Hidden folder of an experiment in which files are written before they appear."""

_STALE_AFTER = 3600.0
"""Seconds; a lone file set aside longer ago was left by a writer that died."""
_STEP = 100
"""Files between two reports of progress."""
_TRIES = 100
_count = itertools.count()


def write_file(root: Path, parts: tuple[str, ...], *, content: bytes | Iterable[bytes]) -> None:
    """Write one file aside, flush it and rename it into its place."""
    *folders, name = parts
    with opened_folder(root, folders, create=True) as folder:
        with _set_aside(root, content) as (staging, aside):
            os.rename(aside, name, src_dir_fd=staging, dst_dir_fd=folder)
        os.fsync(folder)
    _tidy(root)


def publish_files(root: Path, files: Mapping[str, bytes], *, progress: Progress | None) -> None:
    """Publish files so that none is ever seen half written; folders that are new appear whole.

    The caller holds a lock: whatever another publication left behind is removed.
    """
    with opened_folder(root, (), create=True) as target, _stage(root) as stage:
        _write_all(stage, files, progress=progress)
        flush_all(target)
        _move(stage, target)
        # The renames too must be on disk before the manifest says that all is done.
        flush_all(target)


def flush_all(descriptor: int) -> None:
    """Flush the file system of a descriptor in one call, or all of them where that is not offered."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor):
        code = ctypes.get_errno()
        raise SiteError(f"the file system could not be flushed: {os.strerror(code)}", hint="see whether it is full")


@contextmanager
def _set_aside(root: Path, content: bytes | Iterable[bytes]) -> Iterator[tuple[int, str]]:
    name = f"aside-{os.getpid()}-{next(_count)}-{time.time_ns()}"
    with ExitStack() as stack:
        staging = _started(root, stack, start=lambda staging: create_file(staging, name, content=content))
        try:
            yield staging, name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=staging)


@contextmanager
def _stage(root: Path) -> Iterator[int]:
    name = f"publish-{os.getpid()}"
    with ExitStack() as stack:
        _started(root, stack, start=lambda staging: _sweep_and_make(staging, root / STAGING, name=name))
        try:
            yield stack.enter_context(opened_folder(root, (STAGING, name)))
        finally:
            shutil.rmtree(root / STAGING / name)
    _tidy(root)


def _started(root: Path, stack: ExitStack, *, start: Callable[[int], None]) -> int:
    """Return the staging folder with something in it; while empty, another writer may remove it."""
    for _ in range(_TRIES):
        with suppress(FileExistsError):
            (root / STAGING).mkdir()
        with suppress(FileNotFoundError):
            staging = stack.enter_context(opened_folder(root, (STAGING,)))
            start(staging)
            return staging
    raise SiteError(f"`{STAGING}` is removed as often as it is made", hint="see which program cleans the experiment")


def _sweep_and_make(staging: int, folder: Path, *, name: str) -> None:
    _sweep(folder)
    os.mkdir(name, 0o700, dir_fd=staging)


def _tidy(root: Path) -> None:
    # Not empty: another writer is at work.
    with suppress(OSError):
        (root / STAGING).rmdir()


def _sweep(staging: Path) -> None:
    for entry in os.scandir(staging):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        elif entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE_AFTER:
            Path(entry.path).unlink(missing_ok=True)


def _write_all(stage: int, files: Mapping[str, bytes], *, progress: Progress | None) -> None:
    made: set[str] = set()
    for number, (path, content) in enumerate(files.items(), 1):
        folder = path.rpartition("/")[0]
        if folder and folder not in made:
            _make_folders(stage, folder, made=made)
        create_file(stage, path, content=content, flush=False)
        if progress and (number % _STEP == 0 or number == len(files)):
            progress(number, len(files), "files written")


def _make_folders(stage: int, folder: str, *, made: set[str]) -> None:
    parts = folder.split("/")
    for depth in range(1, len(parts) + 1):
        prefix = "/".join(parts[:depth])
        if prefix not in made:
            os.mkdir(prefix, dir_fd=stage)
            made.add(prefix)


def _move(source: int, target: int) -> None:
    for entry in list(os.scandir(source)):
        if not (entry.is_dir(follow_symlinks=False) and _merged(source, target, name=entry.name)):
            os.rename(entry.name, entry.name, src_dir_fd=source, dst_dir_fd=target)


def _merged(source: int, target: int, *, name: str) -> bool:
    """Move a folder's content into the folder that is there; False where none is."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        there = os.open(name, flags, dir_fd=target)
    except FileNotFoundError:
        return False
    here = os.open(name, flags, dir_fd=source)
    try:
        _move(here, there)
    finally:
        os.close(here)
        os.close(there)
    return True
