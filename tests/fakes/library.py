"""Experiments in memory."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Stamped

__all__ = ["FakeLibrary"]


class FakeLibrary:
    """Files by absolute path, and one cache; a path that ends in `@` is a link to a folder."""

    def __init__(self, files: Mapping[str, bytes], *, most: int = 1 << 26) -> None:
        self.files = dict(files)
        self.most = most
        self.kept: bytes | None = None

    def survey(self, project: str, files: Sequence[str]) -> tuple[Stamped, ...]:
        below = [path.removeprefix(f"{project}/").split("/") for path in self.files if path.startswith(f"{project}/")]
        names = sorted({parts[0] for parts in below if len(parts) > 1 or parts[0].endswith("@")})
        if not below:
            raise SiteError(f"`{project}` cannot be searched")
        return tuple(self._stamped(project, name, files=files) for name in names)

    def _stamped(self, project: str, name: str, *, files: Sequence[str]) -> Stamped:
        if name.endswith("@"):
            return Stamped(project, name.removesuffix("@"), {}, linked=True)
        found = {path: self.files.get(f"{project}/{name}/{path}") for path in files}
        stamps = {path: sha256(body).hexdigest() for path, body in found.items() if body is not None}
        return Stamped(project, name, stamps)

    def names(self, folder: str, ending: str) -> tuple[str, ...]:
        below = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(f"{folder}/")]
        return tuple(sorted(name for name in below if "/" not in name and name.endswith(ending)))

    def read(self, folder: str, path: str, *, last: int | None = None) -> bytes | None:
        body = self.files.get(f"{folder}/{path}")
        if body is not None and last is None and len(body) > self.most:
            raise SiteError(f"`{path}` is too large")
        return body if body is None or last is None else body[-last:]

    def digest(self, folder: str, path: str) -> str | None:
        body = self.files.get(f"{folder}/{path}")
        return None if body is None else sha256(body).hexdigest()

    def recall(self) -> bytes | None:
        return self.kept

    def keep(self, content: bytes) -> None:
        self.kept = content
