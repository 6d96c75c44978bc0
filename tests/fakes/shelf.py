"""Output directories in memory."""

from collections.abc import Mapping, Sequence

from cruijff_kit.errors import SiteError

__all__ = ["FakeShelf"]


class FakeShelf:
    """Folders of files, each with its bytes; a name that ends in `@` is a link."""

    def __init__(self, folders: Mapping[str, Mapping[str, int]]) -> None:
        self.folders = {folder: dict(files) for folder, files in folders.items()}

    def files(self, folder: str) -> dict[str, int]:
        found = self.folders.get(folder, {})
        return {path: size for path, size in sorted(found.items()) if not _link(path)}

    def remove(self, folder: str, paths: Sequence[str]) -> int:
        found = self.folders.get(folder, {})
        for path in paths:
            if path.startswith("/") or ".." in path.split("/"):
                raise SiteError(f"`{path}` is not below `{folder}`")
            if f"{path.split('/')[0]}@" in found:
                raise SiteError(f"`{path}` is a link")
        return sum(found.pop(path, 0) for path in paths)


def _link(path: str) -> bool:
    return path.endswith("@")
