"""What every maker of environments promises: whole or not there, and nothing of anybody else's is touched."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.adapters.environments import DiskEnvironments
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Environments
from cruijff_kit.rendering.lock_text import parse_lock
from cruijff_kit.schema.environment import LOCK_FILE, BuildOrder
from tests.fakes.environments import FakeEnvironments
from tests.tiny_wheels import stand_ins

MADE = datetime(2026, 11, 27, 4, tzinfo=UTC)
NEEDED = ("click", "numpy", "pydantic", "pyyaml", "regex")


class Bench(NamedTuple):
    """A maker, a place to build at, and a folder of somebody else's."""

    environments: Environments
    """The maker."""
    order: BuildOrder
    """What it is to build."""
    foreign: str
    """A folder that was not made by it."""


@pytest.fixture(params=("fake", "real"), scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("made here")
    foreign = folder / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work", encoding="utf-8")
    real = DiskEnvironments()
    environments = real if request.param == "real" else FakeEnvironments(foreign=(str(foreign),))
    wheels = stand_ins(folder / "wheels", *NEEDED)
    pins = {name: version for name, version in real.own().pins.items() if name in NEEDED}
    order = BuildOrder(
        folder=str(folder / "env"),
        key="0123abcd",
        kind="venv",
        python=real.own().python,
        version=real.own().version,
        extras=(),
        pins=pins,
        wheels=str(wheels),
    )
    return Bench(environments, order, str(foreign))


def test_an_environment_is_absent_then_whole_and_its_lock_says_what_is_in_it(bench: Bench) -> None:
    steps: list[str] = []
    assert bench.environments.state(bench.order.folder) == "absent"
    made = bench.environments.build(bench.order, made=MADE, progress=lambda done, total, label: steps.append(label))
    assert bench.environments.state(bench.order.folder) == "whole"
    text = bench.environments.read_lock(f"{bench.order.folder}/{LOCK_FILE}")
    assert text is not None
    assert parse_lock(text, name="lock") == made
    assert {each.name: each.version for each in made.packages}.items() >= bench.order.pins.items()
    assert all(each.sha256 for each in made.packages)
    assert (made.key, made.made) == (bench.order.key, MADE)
    assert steps


def test_what_was_not_made_here_is_refused_and_left_alone(bench: Bench) -> None:
    assert bench.environments.state(bench.foreign) == "foreign"
    with pytest.raises(SiteError, match="was not made by this command"):
        bench.environments.build(bench.order.model_copy(update={"folder": bench.foreign}), made=MADE)
    assert [path.name for path in Path(bench.foreign).iterdir()] == ["thesis.txt"]


def test_a_lock_is_written_and_read_back_and_an_absent_one_is_none(bench: Bench, tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / LOCK_FILE)
    assert bench.environments.read_lock(path) is None
    bench.environments.write_lock(path, "# said\n")
    assert bench.environments.read_lock(path) == "# said\n"


def test_an_interpreter_tells_its_version_and_one_that_is_not_there_is_an_error(bench: Bench) -> None:
    assert bench.environments.version(sys.executable) == ".".join(map(str, sys.version_info[:3]))
    with pytest.raises(SiteError, match="cannot be run"):
        bench.environments.version("no-such-python")


def test_what_runs_here_is_told_with_versions_that_an_index_knows(bench: Bench) -> None:
    own = bench.environments.own()
    assert "cruijff-kit" not in own.pins
    assert not [version for version in own.pins.values() if "+" in version]
    assert set(own.extras) <= set(own.offered)
    assert not {"all", "dev", "test"} & set(own.extras)


def test_modules_are_loaded_before_an_interpreter_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASH_FUNC_module%%", '() { [ "$*" = "load python/3.12 cuda" ] && export LOADED=1; }')
    assert DiskEnvironments().version(sys.executable, modules=("python/3.12", "cuda")).startswith("3.")
    with pytest.raises(SiteError, match="failed"):
        DiskEnvironments().version(sys.executable, modules=("other",))


def test_conda_makes_the_environment_where_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in: it makes what `conda create -p` makes, an interpreter with pip below a folder.
    real, conda = DiskEnvironments(), tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    kept = f'[ "$1 $5" = "create -p" ] || exit 2\necho "$@" > "{tmp_path}/asked"\n'
    conda.write_text(f'#!/bin/sh\n{kept}exec {real.own().python} -m venv "$6"\n', encoding="utf-8")
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", f"{conda.parent}:/usr/bin:/bin")
    wheels = stand_ins(tmp_path / "wheels", *NEEDED)
    order = BuildOrder(
        folder=str(tmp_path / "env"), key="0123abcd", kind="conda", python="3.11", version="3.11", extras=(), pins={},
        wheels=str(wheels),
    )  # fmt: skip
    lock = real.build(order, made=MADE)
    assert {each.name for each in lock.packages} == {*NEEDED, "cruijff-kit"}
    asked = f"create --yes --quiet --offline -p {tmp_path}/env python=3.11 pip\n"
    assert (tmp_path / "asked").read_text(encoding="utf-8") == asked


def test_an_interpreter_that_prints_lines_of_its_own_is_understood_and_no_password_is_left_behind(
    tmp_path: Path,
) -> None:
    real, python = DiskEnvironments(), tmp_path / "python"
    line = 'import atexit; atexit.register(print, "good", "bye")'
    packages = '"$(echo "$3"/lib/python3*/site-packages)"'
    python.write_text(f"#!/bin/sh\n{real.own().python} \"$@\" && echo '{line}' > {packages}/chatty.pth\n")
    python.chmod(0o755)
    wheels = stand_ins(tmp_path / "wheels", *NEEDED)
    order = BuildOrder(
        folder=str(tmp_path / "env"), key="0123abcd", kind="venv", python=str(python), version="3.11", extras=(),
        pins={}, wheels=str(wheels), indexes=("https://ada:enigma@index.example/simple",),
    )  # fmt: skip
    lock = real.build(order, made=MADE)
    assert {each.name for each in lock.packages} == {*NEEDED, "cruijff-kit"}
    texts = b"".join(path.read_bytes() for path in Path(order.folder).iterdir() if path.is_file())
    assert b"index.example" in texts
    assert b"enigma" not in texts


def test_a_place_that_no_file_system_takes_is_told(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be used: File name too long"):
        DiskEnvironments().state(str(tmp_path / ("x" * 300)))
