"""This package as a wheel, packed from the files that run here, whether they were installed or are a checkout."""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import cruijff_kit
from cruijff_kit.errors import SiteError

__all__ = ["own_distribution", "pack_wheel"]

_NAME = "cruijff-kit"
_KEPT = ("METADATA", "entry_points.txt")
_LICENSES = "licenses/"
_WHEEL = "Wheel-Version: 1.0\nGenerator: cruijff-kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# The same files make the same wheel: 1980 is where the dates of archives begin.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16


def own_distribution() -> Distribution:
    """Return what was said of this package when it was installed.

    Raises:
        SiteError: it runs from files that were never installed, or says another version than they do.
    """
    again = "install it again: pip install -e . in a checkout"
    try:
        found = distribution(_NAME)
    except PackageNotFoundError as err:
        raise SiteError(f"`{_NAME}` is not installed here, so nothing says what it needs", hint=again) from err
    if found.version != cruijff_kit.__version__:
        fact = f"`{_NAME}` was installed as {found.version}, and its files say {cruijff_kit.__version__}"
        raise SiteError(fact, hint=again)
    return found


def pack_wheel(into: Path) -> Path:
    """Write the wheel into a folder and return it; equal files give equal bytes."""
    about = own_distribution()
    stem = f"cruijff_kit-{about.version}"
    files = dict(_files(about, f"{stem}.dist-info"))
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{name},{_digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join((*rows, f"{record},,", "")).encode()
    wheel = into / f"{stem}-py3-none-any.whl"
    aside = wheel.with_name(f".{wheel.name}.part")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=_DATE)
            entry.external_attr = _MODE
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    aside.replace(wheel)
    return wheel


def _files(about: Distribution, info: str) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the package, linked folders under their links, then what is said of it."""
    home = Path(cruijff_kit.__file__).parent
    for name, path in sorted(_package(home)):
        yield name, path.read_bytes()
    for name in _KEPT:
        text = about.read_text(name)
        if text is not None:
            yield f"{info}/{name}", text.encode()
    for each in about.files or ():
        _, found, rest = each.as_posix().partition(f".dist-info/{_LICENSES}")
        if found:
            yield f"{info}/{_LICENSES}{rest}", Path(str(each.locate())).read_bytes()
    yield f"{info}/WHEEL", _WHEEL.encode()


def _package(home: Path) -> Iterator[tuple[str, Path]]:
    for parent, folders, files in os.walk(home, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for file in files:
            if not file.endswith(".pyc"):
                path = Path(parent, file)
                yield f"{home.name}/{path.relative_to(home).as_posix()}", path


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
