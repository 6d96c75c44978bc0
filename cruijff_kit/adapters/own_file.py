"""Files of the user's own beside any experiment: written aside, flushed, renamed."""

import os
import tempfile
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["write_own"]


def write_own(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a text file whole or not at all, its folder made where it is missing.

    Raises:
        SiteError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(mode)
        Path(file.name).replace(path)
    except OSError as err:
        raise SiteError(f"`{path}` cannot be written: {err.strerror}", hint="see that it is yours") from err
