"""What all configuration files of clients do, the fake ones as the real ones."""

from pathlib import Path
from typing import get_args

import pytest

from cruijff_kit.adapters.client_files import DiskClientFiles
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import ClientFiles
from cruijff_kit.schema.client import ClientLevel, ClientName
from tests.fakes.client_files import FakeClientFiles

CLIENTS: tuple[ClientName, ...] = get_args(ClientName)
LEVELS: tuple[ClientLevel, ...] = get_args(ClientLevel)


@pytest.fixture(params=("fake", "real"))
def files(request: pytest.FixtureRequest, tmp_path: Path) -> ClientFiles:
    return FakeClientFiles() if request.param == "fake" else DiskClientFiles(tmp_path)


def test_every_client_has_a_file_of_its_own_at_either_level(files: ClientFiles) -> None:
    paths = [files.find(client, level).path for client in CLIENTS for level in LEVELS]
    assert len(set(paths)) == len(paths)
    assert all(Path(path).is_absolute() for path in paths)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_written_is_found_again_as_it_was(files: ClientFiles, client: ClientName, level: ClientLevel) -> None:
    absent = files.find(client, level)
    assert absent.text is None
    files.write(absent, "one\r\n")
    found = files.find(client, level)
    assert (found.path, found.text) == (absent.path, "one\r\n")


def test_a_file_that_was_changed_meanwhile_is_left_alone(files: ClientFiles) -> None:
    before = files.find("claude", "user")
    files.write(before, "theirs")
    with pytest.raises(SiteError, match="changed meanwhile"):
        files.write(before, "ours")
    assert files.find("claude", "user").text == "theirs"


def test_programs_are_told_by_their_absolute_paths(files: ClientFiles) -> None:
    assert Path(files.server()[0]).is_absolute()
    assert Path((files.ssh() or ("/",))[0]).is_absolute()


def test_without_an_ssh_on_the_path_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert DiskClientFiles(tmp_path).ssh() is None


def test_a_file_keeps_its_mode_and_a_link_of_the_users_own_is_followed(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.json"
    kept.write_text("{}", encoding="utf-8")
    kept.chmod(0o640)
    files = DiskClientFiles(tmp_path)
    place = Path(files.find("claude", "user").path)
    place.symlink_to(kept)
    files.write(files.find("claude", "user"), "new")
    assert place.is_symlink()
    assert (kept.read_text(encoding="utf-8"), kept.stat().st_mode & 0o777) == ("new", 0o640)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".dotfiles", ".ck-"))] == []


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside.json"
    project.mkdir()
    outside.write_text("{}", encoding="utf-8")
    (project / ".mcp.json").symlink_to(outside)
    with pytest.raises(SiteError, match="leads out of the project"):
        DiskClientFiles(project).find("claude", "project")
