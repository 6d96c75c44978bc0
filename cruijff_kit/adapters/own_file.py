"""Files of the user's own beside any experiment: written aside, flushed, renamed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["write_own", "written_aside"]


def write_own(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a text file whole or not at all, its folder made where it is missing.

    Raises:
        SiteError: it cannot be written.
    """
    with written_aside(path, text.encode()) as aside:
        aside.chmod(mode)
        aside.replace(path)


@contextmanager
def written_aside(path: Path, content: bytes, *, flushed: bool = True) -> Iterator[Path]:
    """Have what a file is to hold in a new one beside it; whatever happens, nothing stays under that one's name.

    Only its user may read it. The folder is made where it is missing.

    Raises:
        SiteError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".ck-")
        try:
            _put(descriptor, content, flushed=flushed)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as err:
        raise SiteError(f"`{path}` cannot be written: {err.strerror}", hint="see that it is yours") from err


def _put(descriptor: int, content: bytes, *, flushed: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if flushed:
            file.flush()
            os.fsync(file.fileno())
