"""Files of a job: written aside and renamed, hashed in a stream, and fenced where its run is held.

Inside `fenced` every change of a name is one `rename` with one end in a staging folder that
only this holder of the run knows. Who takes the run over removes that folder: from then on
no name can be given, taken or replaced by the process that held it before, whenever it was
stopped and for how long. A check before each change could not promise that.
"""

import contextlib
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from cruijff_kit.errors import RunError

__all__ = [
    "Fence",
    "FencedError",
    "aside_of",
    "discard",
    "fenced",
    "file_sha256",
    "make_folder",
    "put_back",
    "replace_folder",
    "sync_file",
    "sync_folder",
    "write_aside",
]

_OLD = ".old"
_count = itertools.count()


class FencedError(RunError):
    """Another process holds the run now: this one may publish nothing more."""


class Fence(NamedTuple):
    """Through which folders alone a process may change the files of its run."""

    run_id: str
    """The run."""
    places: Mapping[Path, Path]
    """Each tree of the run's files, and the staging folder for it, on the same file system."""


_fences: list[Fence] = []


@contextlib.contextmanager
def fenced(fence: Fence) -> Iterator[None]:
    """Change files of these trees through their staging folders while in here."""
    _fences.append(fence)
    try:
        yield
    finally:
        _fences.remove(fence)


def write_aside(path: Path, content: str | bytes) -> None:
    """Write a file aside, flush it to disk and rename it; parents are made.

    Raises:
        FencedError: another process holds the run now.
    """
    with _through_fence(path) as staging:
        _make(path.parent, staging=staging)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part") if staging is None else staging / f"{path.name}.part"
        data = content.encode("utf-8") if isinstance(content, str) else content
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def make_folder(folder: Path) -> None:
    """Make a folder, and its parents; nothing that was made aside is made again once it is gone.

    Raises:
        FencedError: another process holds the run now.
    """
    with _through_fence(folder) as staging:
        _make(folder, staging=staging)


def aside_of(folder: Path) -> Path:
    """Return an empty folder in which to make what `replace_folder` will give a name.

    Raises:
        FencedError: another process holds the run now.
    """
    with _through_fence(folder) as staging:
        if staging is None:
            aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            return aside
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = staging / f"{next(_count)}-{folder.name}"
        aside.mkdir()
        return aside


def replace_folder(aside: Path, folder: Path) -> None:
    """Give a finished folder its name, durably; one of that name before is removed after that.

    Of a kill between the two renames `put_back` knows how to undo the first.

    Raises:
        FencedError: another process holds the run now.
    """
    with _through_fence(folder) as staging:
        sync_folder(aside)
        old = folder.with_name(f".{folder.name}{_OLD}") if staging is None else staging / _told(folder)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
        sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)


def put_back(staging: Path, tree: Path) -> None:
    """Put back what a kill inside `replace_folder` left in a staging folder under another name."""
    for old in staging.glob(f"*{_OLD}"):
        folder = tree / unquote(old.name.removesuffix(_OLD))
        if not folder.exists():
            old.rename(folder)


def discard(path: Path) -> None:
    """Remove a file or folder, where there is one.

    Raises:
        FencedError: another process holds the run now.
    """
    with _through_fence(path) as staging:
        if not path.exists():
            if staging is not None:
                staging.stat()
            return
        if staging is not None:
            path = path.rename(staging / f"{next(_count)}-discarded")
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Flush a file that a library wrote, so that what it holds outlives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush a directory, so that names given or taken in it outlive a power cut."""
    sync_file(folder)


@contextlib.contextmanager
def _through_fence(path: Path) -> Iterator[Path | None]:
    """Yield the staging folder for a path, None where nothing fences it; tell when it is gone."""
    found = [(fence, tree) for fence in _fences for tree in fence.places if path.is_relative_to(tree)]
    if not found:
        yield None
        return
    fence, tree = max(found, key=lambda pair: len(pair[1].parts))
    staging = fence.places[tree]
    try:
        yield staging
    except OSError as err:
        if staging.exists():
            raise
        raise FencedError(
            f"`{path}` was not written: another process has taken run `{fence.run_id}` over",
            run_id=fence.run_id,
            hint="nothing is to be done: that process goes on from the last checkpoint; `ck status` tells where it is",
        ) from err


def _make(folder: Path, *, staging: Path | None) -> None:
    """Make a folder and its parents, but never the staging folder: made anew it would lift the fence."""
    if staging is None or not folder.is_relative_to(staging):
        folder.mkdir(parents=True, exist_ok=True)
        return
    inside = folder.relative_to(staging)
    for part in (*reversed(inside.parents), inside)[1:]:
        (staging / part).mkdir(exist_ok=True)


def _told(folder: Path) -> str:
    """Return the name under which the folder before lies in staging: it says where it belongs."""
    trees = [tree for fence in _fences for tree in fence.places if folder.is_relative_to(tree)]
    tree = max(trees, key=lambda each: len(each.parts))
    return f"{quote(folder.relative_to(tree).as_posix(), safe='')}{_OLD}"
