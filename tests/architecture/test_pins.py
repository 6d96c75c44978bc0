"""The pinned versions install on every Python the project says it runs on."""

import tomllib
from importlib.metadata import PackageNotFoundError, metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.architecture.source import ROOT


def test_every_pin_takes_the_oldest_python_of_each_promised_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    marks = [mark.rpartition(" ")[2] for mark in project["classifiers"] if mark.startswith("Programming Language")]
    promised = [f"{mark}.0" for mark in marks if mark.count(".") == 1]
    assert promised[0] == "3.11.0"
    refused = [
        f"{name} needs Python {wanted}, which {python} is not"
        for name in _pinned()
        if (wanted := _python_of(name))
        for python in promised
        if not SpecifierSet(wanted).contains(python)
    ]
    assert not refused, "\n".join(refused)


def _pinned() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line).name for line in lines if line and not line.startswith("#")]


def _python_of(name: str) -> str | None:
    try:
        found = metadata(name)
    except PackageNotFoundError:
        # Pinned for another platform, and so not installed here.
        return None
    return (found.get_all("Requires-Python") or [None])[0]
