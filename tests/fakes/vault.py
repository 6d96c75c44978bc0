"""Directories in memory that are put away and brought back."""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import ZipFile, ZipInfo

from cruijff_kit.adapters.safe_paths import checked_parts
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import FileFacts, Tree
from tests.fakes.audit_log import FakeAuditLog

__all__ = ["FakeVault"]


class FakeVault:
    """Files by absolute path with bits and times, links, and folders with bits."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int, int]] = {}
        self.links: dict[str, str] = {}
        self.folders: dict[str, int] = {}
        self.pipes: set[str] = set()
        self.records: dict[str, FakeAuditLog] = {}

    def put(self, folder: str, path: str, *, content: bytes, mode: int = 0o644, modified: int = 5) -> None:
        self._make(folder, PurePosixPath(path).parent.as_posix())
        self.files[f"{folder}/{path}"] = (content, mode, modified)

    def survey(self, folder: str) -> Tree | None:
        if folder not in self.folders:
            return None
        if piped := [path for path in self.pipes if path.startswith(f"{folder}/")]:
            raise SiteError(f"`{piped[0]}` is a pipe")
        start = f"{folder}/"
        held = {path: FileFacts(len(it[0]), *it[1:]) for path, it in self.files.items() if path.startswith(start)}
        files = {path.removeprefix(start): facts for path, facts in held.items()}
        links = {path.removeprefix(start): said for path, said in self.links.items() if path.startswith(start)}
        folders = {path.removeprefix(start): mode for path, mode in self.folders.items() if path.startswith(start)}
        for path in (*files, *links, *folders):
            checked_parts(path)
        return Tree(dict(sorted(files.items())), links, {"": self.folders[folder], **folders})

    def copy(self, source: str, target: str, *, path: str) -> None:
        if f"{source}/{path}" not in self.files:
            raise SiteError(f"`{path}` vanished")
        content, mode, modified = self.files[f"{source}/{path}"]
        self.put(target, path, content=content, mode=mode, modified=modified)

    def shape(self, folder: str, tree: Tree) -> None:
        for path, mode in tree.folders.items():
            self._make(folder, path)
            self.folders[f"{folder}/{path}".rstrip("/")] = mode
        for path, said in tree.links.items():
            if self.links.setdefault(f"{folder}/{path}", said) != said:
                raise SiteError(f"`{path}` is there")

    def read(self, folder: str, path: str) -> bytes | None:
        if f"{folder}/{path}" in self.links:
            raise SiteError(f"`{path}` is a link")
        found = self.files.get("/".join((folder, *checked_parts(path))))
        return found and found[0]

    def digest(self, folder: str, path: str, *, first: int | None = None) -> str | None:
        content = self.read(folder, path)
        return None if content is None else hashlib.sha256(content[:first]).hexdigest()

    def write(self, folder: str, path: str, *, content: bytes) -> None:
        self.put(folder, "/".join(checked_parts(path)), content=content)

    def settle(self, staged: str, target: str) -> None:
        if target in self.folders or target in self.files:
            raise SiteError(f"`{target}` is there already")
        self.files = {_moved(path, staged, target=target): each for path, each in self.files.items()}
        self.links = {_moved(path, staged, target=target): each for path, each in self.links.items()}
        self.folders = {_moved(path, staged, target=target): each for path, each in self.folders.items()}

    def pack(self, folder: str, target: str) -> None:
        if target in self.folders or target in self.files:
            raise SiteError(f"`{target}` is there already")
        tree, packed = self.survey(folder), BytesIO()
        with ZipFile(packed, "w") as file:
            for path in sorted(tree.files if tree else ()):
                file.writestr(ZipInfo(path), self.read(folder, path) or b"")
        self.put(str(PurePosixPath(target).parent), PurePosixPath(target).name, content=packed.getvalue())

    def remove(self, folder: str, paths: Iterable[str]) -> None:
        for path in paths:
            place = "/".join((folder, *checked_parts(path)))
            self.files.pop(place, None)
            self.links.pop(place, None)

    def sweep(self, folder: str) -> None:
        for each in sorted(self.folders, key=len, reverse=True):
            held = any(path.startswith(f"{each}/") for path in (*self.files, *self.links, *self.folders))
            if not held and (each == folder or each.startswith(f"{folder}/")):
                del self.folders[each]

    def free(self, folder: str) -> int:
        return 10**12

    def record(self, folder: str) -> FakeAuditLog:
        return self.records.setdefault(folder, FakeAuditLog())

    def _make(self, folder: str, path: str) -> None:
        self.folders.setdefault(folder, 0o755)
        parts = [] if path in {"", "."} else path.split("/")
        for depth in range(len(parts)):
            self.folders.setdefault("/".join((folder, *parts[: depth + 1])), 0o755)


def _moved(path: str, staged: str, *, target: str) -> str:
    return target + path.removeprefix(staged) if path == staged or path.startswith(f"{staged}/") else path
