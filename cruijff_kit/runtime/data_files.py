"""Data sets on disk: a file, or the data files of a folder, read and hashed."""

import os
from pathlib import Path

from cruijff_kit.data.formats import Content, folder_sha256, is_data_file
from cruijff_kit.runtime.files import file_sha256

__all__ = ["data_names", "data_sha256", "read_data"]


def data_names(folder: Path) -> list[str]:
    """Return the data files of a folder, relative to it, in name order."""
    found = (Path(place, name).relative_to(folder) for place, _, names in os.walk(folder) for name in names)
    return sorted(path.as_posix() for path in found if is_data_file(path.as_posix()))


def read_data(path: Path) -> Content:
    """Return the bytes of a data file, or of a folder's data files by name.

    Raises:
        OSError: it is missing or unreadable.
    """
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in data_names(path)}
    return path.read_bytes()


def data_sha256(path: Path) -> str:
    """Return the hash of a data file, or of a folder over its data files; read in a stream.

    Raises:
        OSError: it is missing or unreadable.
    """
    if path.is_dir():
        return folder_sha256({name: file_sha256(path / name) for name in data_names(path)})
    return file_sha256(path)
