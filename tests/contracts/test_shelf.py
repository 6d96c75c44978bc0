"""What every shelf does, the fake one as the real one."""

from pathlib import Path

import pytest

from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Shelf
from tests.fakes.shelf import FakeShelf

PATHS = ("epoch_0/adapter.bin", "epoch_0/merged/model.bin", "recipe_state/step_3/tensors.bin")


@pytest.fixture(params=("fake", "real"))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Shelf, str]:
    folder = tmp_path / "ck-out-x"
    if request.param == "fake":
        return FakeShelf({str(folder): {**dict.fromkeys(PATHS, 4096), "linked@": 0}}), str(folder)
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x" * 4096)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"kept")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    return DiskShelf(), str(folder)


def test_files_are_listed_with_what_they_take_and_links_are_not_followed(made: tuple[Shelf, str]) -> None:
    shelf, folder = made
    found = shelf.files(folder)
    assert tuple(found) == PATHS
    assert all(size >= 4096 for size in found.values())
    assert shelf.files(f"{folder}/nowhere") == {}


def test_what_is_named_is_removed_and_the_rest_stays(made: tuple[Shelf, str]) -> None:
    shelf, folder = made
    assert shelf.remove(folder, PATHS[1:2]) >= 4096
    assert tuple(shelf.files(folder)) == (PATHS[0], PATHS[2])
    # Again, as after a kill: what is gone frees nothing.
    assert shelf.remove(folder, PATHS[1:2]) == 0


@pytest.mark.parametrize("path", ("../other", "/etc/hostname", "epoch_0/../../x", "linked/kept"))
def test_nothing_outside_is_removed(made: tuple[Shelf, str], path: str) -> None:
    shelf, folder = made
    with pytest.raises(SiteError):
        shelf.remove(folder, (path,))
    assert tuple(shelf.files(folder)) == PATHS


def test_directories_that_are_empty_then_go_too(tmp_path: Path) -> None:
    deep = tmp_path / "epoch_0" / "merged"
    deep.mkdir(parents=True)
    (deep / "model.bin").write_bytes(b"x")
    (tmp_path / "epoch_0" / "adapter.bin").write_bytes(b"x")
    DiskShelf().remove(str(tmp_path), ("epoch_0/merged/model.bin",))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["adapter.bin", "epoch_0"]
