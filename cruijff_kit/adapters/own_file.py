"""Files of the user's own beside any experiment: written aside, flushed, renamed."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["file_aside", "write_own"]


def write_own(path: Path, text: str, *, mode: int = 0o600, check: Callable[[], None] = lambda: None) -> None:
    """Write a text file whole or not at all, its folder made where it is missing.

    Args:
        path: the file.
        text: what it is to say.
        mode: who may read it.
        check: called just before it takes its name; what that raises leaves everything as it was.

    Raises:
        SiteError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_aside(path.parent) as aside:
            with aside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.chmod(mode)
            check()
            aside.replace(path)
    except OSError as err:
        raise SiteError(f"`{path}` cannot be written: {err.strerror}", hint="see that it is yours") from err


@contextmanager
def file_aside(folder: Path) -> Iterator[Path]:
    """Have a new file that nobody else can read; whatever happens, nothing of it stays under its own name."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".ck-")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
