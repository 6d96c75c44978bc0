"""The site files: settings of this machine, of the user and of the project."""

import json
import os
import re
from pathlib import Path

from cruijff_kit.adapters.own_file import write_own
from cruijff_kit.adapters.state_dir import config_dir
from cruijff_kit.errors import SiteError
from cruijff_kit.planning.local_site import LOCAL, on_this_machine
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.site_reading import SiteFile, SiteLevel, SiteReading

__all__ = ["DiskSiteFiles", "chosen_site", "load_site"]

_FILE = "site.yaml"
_SITES = "sites"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class DiskSiteFiles:
    """The user's own `site.yaml` and the project's, and over them those of a named site, on disk."""

    def __init__(self, root: Path, name: str | None = None) -> None:
        """Keep where the project lies and which site is meant; nothing is read yet.

        Raises:
            SiteError: no site can be called so.
        """
        if name is not None and not _NAME.fullmatch(name):
            raise SiteError(f"`{name}` cannot be the name of a site", hint="use letters, digits, `.`, `_` and `-`")
        self._folders: dict[SiteLevel, Path] = {"user": config_dir(), "project": root}
        self.name = name

    def files(self) -> tuple[SiteFile, ...]:
        """Return both files, the user's first; the project's counts over it, and a named site's over both."""
        names = (_FILE, f"{_SITES}/{self.name}.yaml") if self.name else (_FILE,)
        return tuple(_read(level, folder / each) for each in names for level, folder in self._folders.items())

    def names(self) -> tuple[str, ...]:
        """Return the names of the sites that have a file of their own."""
        found = (path.stem for folder in self._folders.values() for path in (folder / _SITES).glob("*.yaml"))
        return tuple(sorted({name for name in found if _NAME.fullmatch(name)}))

    def read(self) -> SiteReading:
        """Return the site that the files make, each value with its source.

        Raises:
            SiteError: a site is named that no file tells of.
        """
        if self.name == LOCAL and LOCAL not in self.names():
            plain = DiskSiteFiles(self._folders["project"]).read()
            return plain.model_copy(update={"site": on_this_machine(plain.site)})
        if self.name is not None and self.name not in self.names():
            known = ", ".join(f"`{name}`" for name in self.names()) or "none"
            hint = f"`ck --site {self.name} site setup` writes `{_SITES}/{self.name}.yaml`; there are: {known}"
            raise SiteError(f"there is no site `{self.name}`", hint=hint)
        return read_sites(self.files())

    def write(self, level: SiteLevel, text: str) -> None:
        """Write one of the files, that of the named site where one is meant, aside, flush it and rename it."""
        path = self._folders[level] / (f"{_SITES}/{self.name}.yaml" if self.name else _FILE)
        write_own(path, text)


def load_site(root: Path) -> Site:
    """Return the project's `site.yaml` over the user's own, over the defaults.

    Raises:
        SpecError: a file has unknown keys or values; all problems of both at once.
    """
    return DiskSiteFiles(root).read().site


def chosen_site(experiment: Path, *, root: Path, name: str | None) -> DiskSiteFiles:
    """Return the files of the site that is asked for, else of the experiment's own, else of `CRUIJFF_SITE`.

    Its own is that whose mirror it is, or which it was sealed for; it may be the one without a name.
    """
    if name is None:
        # The seal of a mirror was made on the other side, where sites are called otherwise.
        own = [_site_in(experiment / each) for each in (ExperimentLayout.mirror, ExperimentLayout.lock)]
        known = next((each for each in own if each is not None), None)
        name = os.environ.get("CRUIJFF_SITE") if known is None else known
    return DiskSiteFiles(root, name or None)


def _read(level: SiteLevel, path: Path) -> SiteFile:
    return SiteFile(level=level, path=str(path), text=_text(path))


def _site_in(path: Path) -> str | None:
    """Return the site that a record names, empty for the one without a name; None where nothing is recorded."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return str(told.get("site") or "")
    except (OSError, ValueError, AttributeError):
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SiteError(f"`{path}` cannot be read: {err}", hint="see that it is a text file of yours") from err
