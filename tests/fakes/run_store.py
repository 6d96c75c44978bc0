"""The files of one experiment, in memory."""

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from cruijff_kit.adapters.safe_paths import checked_parts
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.site import DiskSpace

__all__ = ["FakeRunStore"]


class FakeRunStore:
    """A `RunStore` that keeps bytes by path; `files` may be read and set by a test."""

    def __init__(self, root: Path = Path("/nowhere/experiment")) -> None:
        """Begin empty."""
        self.root = root
        self.files: dict[str, bytes] = {}
        self.several_machines = False
        self._held: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""
        return self.files.get(_checked(path))

    def read_from(self, path: str, start: int) -> bytes | None:
        """Return a file's bytes from a position on; None where there is no file."""
        content = self.read(path)
        return content[start:] if content is not None else None

    def read_text(self, path: str) -> str | None:
        """Return a file's text (UTF-8), or None where there is none."""
        content = self.read(path)
        try:
            return content.decode("utf-8") if content is not None else None
        except UnicodeDecodeError as err:
            raise SiteError(f"`{path}` is not UTF-8 text") from err

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file, or None where there is none; absolute paths are those of this machine."""
        outside = Path(path) if path.startswith("/") else None
        if outside is not None:
            return data_sha256(outside) if outside.exists() else None
        content = self.read(path)
        return hashlib.sha256(content).hexdigest() if content is not None else None

    def glob(self, folder: str, pattern: str = "*") -> list[str]:
        """Return sorted relative paths, files and folders, that match; hidden ones do not."""
        parts = () if folder in {"", "."} else checked_parts(folder)
        wanted = checked_parts(pattern)
        prefixes = {key[:depth] for key in map(checked_parts, self.files) for depth in range(1, len(key) + 1)}
        inside = (key for key in prefixes if key[: len(parts)] == parts)
        return sorted("/".join(key) for key in inside if _matches(key[len(parts) :], wanted))

    def write(self, path: str, content: bytes | str) -> None:
        """Keep a file's bytes."""
        self.files[_checked(path)] = content.encode("utf-8") if isinstance(content, str) else content

    def write_parts(self, path: str, parts: Iterable[bytes]) -> tuple[str, int]:
        """Keep a file's bytes once all its parts are made."""
        content = b"".join(parts)
        self.files[_checked(path)] = content
        return hashlib.sha256(content).hexdigest(), len(content)

    def publish(self, files: Mapping[str, bytes], *, manifest: str, progress: Progress | None = None) -> None:
        """Keep many files, `manifest` last."""
        if manifest not in files:
            raise ValueError(f"manifest `{manifest}` is not among the files to be published")
        for path in files:
            _checked(path)
        with self.lock("publish"):
            changed = [path for path in files if path != manifest and self.files.get(path) != files[path]]
            for number, path in enumerate(changed, 1):
                self.files[path] = files[path]
                if progress:
                    progress(number, len(changed), "files written")
            self.files[manifest] = files[manifest]

    def tail(self, path: str, lines: int) -> list[str]:
        """Return the last lines of a text file; empty where absent."""
        text = (self.read(path) or b"").decode("utf-8", "replace")
        wanted = text.removesuffix("\n").split("\n")[-lines:] if text and lines > 0 else []
        return [line.removesuffix("\r") for line in wanted]

    @contextmanager
    def lock(self, name: str, *, wait: float = 30.0) -> Generator[None, None, None]:
        """Hold a named lock; whoever else wants it is refused at once."""
        if not name.replace("-", "").isalnum() or not name.islower():
            raise ValueError(f"lock name `{name}` is not lower-case letters, digits and hyphens")
        if name in self._held:
            raise SiteError(f"the `{name}` lock of this experiment is held by this test for more than {wait:g} s")
        self._held.add(name)
        try:
            yield
        finally:
            self._held.remove(name)

    def disk(self) -> DiskSpace:
        """Return a roomy disk."""
        return DiskSpace(free=500_000_000_000, total=1_000_000_000_000)

    def shared(self) -> bool:
        """Return what the test says."""
        return self.several_machines


def _checked(path: str) -> str:
    return "/".join(checked_parts(path))


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not parts:
        return not pattern and not parts
    first, *rest = pattern
    if first == "**" and rest and _matches(parts, rest):
        return True
    if parts[0].startswith(".") or not fnmatchcase(parts[0], first):
        return False
    return _matches(parts[1:], rest) or (first == "**" and _matches(parts[1:], pattern))
