"""Files of a job: written aside and renamed, hashed in a stream."""

import hashlib
import os
import shutil
from pathlib import Path

__all__ = ["file_sha256", "mend_folders", "replace_folder", "sync_folder", "write_aside"]

_OLD = ".old"


def write_aside(path: Path, content: str | bytes) -> None:
    """Write a file aside, flush it to disk and rename it; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = content.encode("utf-8") if isinstance(content, str) else content
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def replace_folder(aside: Path, folder: Path) -> None:
    """Give a finished folder its name, durably; one of that name before is removed after that.

    Of a kill between the two renames `mend_folders` knows how to undo the first.
    """
    sync_folder(aside)
    old = folder.with_name(f".{folder.name}{_OLD}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def mend_folders(parent: Path) -> None:
    """Put back or remove what a kill inside `replace_folder` left under another name."""
    for old in parent.glob(f".*{_OLD}"):
        folder = old.with_name(old.name.removeprefix(".").removesuffix(_OLD))
        if folder.exists():
            shutil.rmtree(old)
        else:
            old.rename(folder)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a directory, so that names given or taken in it outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
