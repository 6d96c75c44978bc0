"""What every library of experiments does, the fake one as the real one."""

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from cruijff_kit.adapters.library import DiskLibrary
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Library
from tests.fakes.library import FakeLibrary

FILES = {"one/plan.json": b"{}", "one/report/trace.json": b"figures", "two/plan.json": b"[]"}


@pytest.fixture(params=("fake", "real"))
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Library, str]:
    project = tmp_path / "project"
    if request.param == "fake":
        files = {f"{project}/{path}": body for path, body in FILES.items()}
        return FakeLibrary({**files, f"{project}/far@": b""}), str(project)
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "cache"))
    for path, body in FILES.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(body)
    (project / "far").symlink_to(project / "one")
    return DiskLibrary(), str(project)


def test_directories_are_found_by_name_with_stamps_of_what_is_there_and_links_are_told(
    made: tuple[Library, str],
) -> None:
    library, project = made
    far, one, two = library.survey(project, ("plan.json", "report/trace.json"))
    assert (far.name, far.linked, dict(far.stamps)) == ("far", True, {})
    assert (one.name, one.linked, set(one.stamps)) == ("one", False, {"plan.json", "report/trace.json"})
    assert (two.name, set(two.stamps)) == ("two", {"plan.json"})


def test_a_place_that_is_not_there_is_refused(made: tuple[Library, str]) -> None:
    library, project = made
    with pytest.raises(SiteError, match="cannot be searched"):
        library.survey(f"{project}-gone", ("plan.json",))


def test_files_of_a_directory_are_named_by_how_their_names_end(made: tuple[Library, str]) -> None:
    library, project = made
    assert library.names(f"{project}/one", ".json") == ("plan.json",)
    assert library.names(f"{project}/one", ".txt") == library.names(f"{project}/gone", ".json") == ()


def test_files_are_read_whole_or_from_their_end_and_hashed(made: tuple[Library, str]) -> None:
    library, project = made
    assert library.read(f"{project}/one", "report/trace.json") == b"figures"
    assert library.read(f"{project}/one", "report/trace.json", last=4) == b"ures"
    assert library.digest(f"{project}/one", "report/trace.json") == sha256(b"figures").hexdigest()
    assert library.read(f"{project}/one", "none") is library.digest(f"{project}/gone", "none") is None


def test_what_is_kept_is_recalled_and_replaced(made: tuple[Library, str]) -> None:
    library, _ = made
    assert library.recall() is None
    library.keep(b"first")
    library.keep(b"second")
    assert library.recall() == b"second"


def test_a_link_a_pipe_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("secret")
    (tmp_path / "linked").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    for name in ("linked", "pipe", "huge"):
        with pytest.raises(SiteError):
            DiskLibrary().read(str(tmp_path), name)


def test_the_cache_is_its_users_alone_and_a_search_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "cache"))
    DiskLibrary().keep(b"cards")
    (kept,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "file" / "below"))
    DiskLibrary().keep(b"cards")
    assert DiskLibrary().recall() is None
