"""Files of a job: written aside and renamed, hashed in a stream."""

import hashlib
import os
from pathlib import Path

__all__ = ["file_sha256", "write_aside"]


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


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
