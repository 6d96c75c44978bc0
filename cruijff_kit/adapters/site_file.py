"""The site files: settings of this machine, of the user and of the project."""

import os
import tempfile
from pathlib import Path

from cruijff_kit.adapters.state_dir import config_dir
from cruijff_kit.errors import SiteError
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel, SiteReading

__all__ = ["DiskSiteFiles", "load_site"]

_NAME = "site.yaml"


class DiskSiteFiles:
    """The user's own `site.yaml` and the project's, on disk."""

    def __init__(self, root: Path) -> None:
        """Keep where the project lies; nothing is read yet."""
        self._paths: dict[SiteLevel, Path] = {"user": config_dir() / _NAME, "project": root / _NAME}

    def files(self) -> tuple[SiteFile, ...]:
        """Return both files, the user's first; the project's counts over it."""
        return tuple(SiteFile(level=level, path=str(path), text=_text(path)) for level, path in self._paths.items())

    def read(self) -> SiteReading:
        """Return the site that both files make, each value with its source."""
        return read_sites(self.files())

    def write(self, level: SiteLevel, text: str) -> None:
        """Write one of the files aside, flush it and rename it."""
        path = self._paths[level]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as err:
            raise SiteError(f"`{path}` cannot be written: {err.strerror}", hint="see that it is yours") from err


def load_site(root: Path) -> Site:
    """Return the project's `site.yaml` over the user's own, over the defaults.

    Raises:
        SpecError: a file has unknown keys or values; all problems of both at once.
    """
    return DiskSiteFiles(root).read().site


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SiteError(f"`{path}` cannot be read: {err}", hint="see that it is a text file of yours") from err
