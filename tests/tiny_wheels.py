"""Wheels of a few bytes: packages that carry a name and a version, so that pip has something to choose."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["stand_ins", "tiny_wheel"]


def tiny_wheel(folder: Path, name: str, release: str, *, requires: Sequence[str] = (), text: str = "") -> Path:
    """Write a wheel of one module into a folder and return it."""
    module = name.replace("-", "_")
    info = f"{module}-{release}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files = {
        f"{module}/__init__.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},{_digest(content)},{len(content.encode())}" for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join((*rows, f"{info}/RECORD,,", ""))
    wheel = folder / f"{module}-{release}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


def stand_ins(folder: Path, *names: str, releases: Mapping[str, str] | None = None) -> Path:
    """Fill a folder with wheels that stand for packages, in the versions that are here unless others are said."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        tiny_wheel(folder, name, (releases or {}).get(name) or version(name).partition("+")[0])
    return folder


def _digest(content: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
