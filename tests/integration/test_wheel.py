"""What is shipped: each file once, nothing with a generic name, every module importable beside torchtune."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.adapters.own_wheel import pack_wheel
from tests.architecture.source import ROOT

LINKED = ("mcp_server", "recipes", "sanity_checks", "tasks")


class Built(NamedTuple):
    """What building the project gives."""

    sdist: Path
    """The source archive."""
    wheel: Path
    """The wheel, built from that archive."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return Built(next(folder.glob("*.tar.gz")), next(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel in it, which borrows every other package from this one."""
    home = tmp_path_factory.mktemp("clean") / "env"
    _run(sys.executable, "-m", "venv", "--without-pip", str(home))
    pip = (sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "--quiet")
    _run(*pip, "install", "--no-index", "--no-deps", str(built.wheel))
    # A path file read from a path file's folder is not followed: the checkout stays out of sight.
    borrowed = next((home / "lib").glob("python*")) / "site-packages" / "borrowed.pth"
    borrowed.write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return home


def test_the_wheel_holds_every_file_once_and_nothing_at_the_top(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cruijff_kit"}
    assert not [name for name, count in Counter(names).items() if count > 1]
    assert {name for name in names if name.startswith("cruijff_kit/")} == _shipped()


def test_the_wheel_packed_from_what_runs_holds_what_the_built_one_does(built: Built, tmp_path: Path) -> None:
    packed = pack_wheel(tmp_path)
    with zipfile.ZipFile(packed) as ours, zipfile.ZipFile(built.wheel) as theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())
        differing = [name for name in ours.namelist() if ours.read(name) != theirs.read(name)]
    assert not [name for name in differing if name.startswith("cruijff_kit/")]
    first = packed.read_bytes()
    assert pack_wheel(tmp_path).read_bytes() == first


def test_the_source_archive_holds_linked_folders_once_under_their_links(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    assert not [name for name, count in Counter(names).items() if count > 1]
    assert not [name for name in names if name.startswith(tuple(f"{folder}/" for folder in LINKED))]
    assert {name for name in names if name.startswith("cruijff_kit/")} == _shipped()


def test_every_module_of_the_wheel_imports_beside_torchtune(environment: Path, tmp_path: Path) -> None:
    probe = Path(__file__).with_name("wheel_probe.py")
    result = subprocess.run(
        [str(environment / "bin" / "python"), "-I", str(probe), str(environment)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "beside torchtune 0.6.1" in result.stdout


@pytest.mark.parametrize("command", ("ck", "cruijff-mcp", "ft"))
def test_the_wheel_brings_its_commands(environment: Path, command: str) -> None:
    assert (environment / "bin" / command).is_file()


def test_the_command_of_the_wheel_says_what_it_can_do(environment: Path, tmp_path: Path) -> None:
    assert "design" in _run(str(environment / "bin" / "ck"), "--help", cwd=tmp_path)


def _shipped() -> set[str]:
    """Return what the package consists of in the checkout, links followed."""
    here = [path for path in (ROOT / "cruijff_kit").rglob("*") if path.is_file()]
    linked = [path for name in LINKED for path in (ROOT / "cruijff_kit" / name).rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in (*here, *linked) if "__pycache__" not in path.parts}


def _run(*command: str, cwd: Path | None = None) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
