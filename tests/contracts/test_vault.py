"""What every vault does, the fake one as the real one."""

import hashlib
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from cruijff_kit.adapters.vault import DiskVault
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import Vault
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault

Made = tuple[Vault, str, str]
FILES = {"run.yaml": b"a: 1\n", "eval/one/logs/x.eval": b"\0" * 3_000_000, "eval/one/DONE": b""}


@pytest.fixture(params=("fake", "real"))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Return a vault, a directory of files, an empty folder and a link, and where else one may be."""
    source, target = tmp_path / "one", tmp_path / "two"
    if request.param == "fake":
        fake = FakeVault()
        for path, content in FILES.items():
            fake.put(str(source), path, content=content, mode=0o640, modified=1_700_000_000_123_456_789)
        fake.folders[f"{source}/empty"] = 0o700
        fake.links[f"{source}/eval/latest"] = "../nowhere"
        return fake, str(source), str(target)
    for path, content in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
        (source / path).chmod(0o640)
        os.utime(source / path, ns=(1, 1_700_000_000_123_456_789))
    (source / "empty").mkdir(mode=0o700)
    (source / "eval" / "latest").symlink_to("../nowhere")
    return DiskVault(FakeClock()), str(source), str(target)


def copied(made: Made) -> Vault:
    vault, source, target = made
    tree = vault.survey(source)
    assert tree is not None
    for path in tree.files:
        vault.copy(source, target, path=path)
    vault.shape(target, tree)
    return vault


def test_a_directory_is_packed_whole_and_the_same_files_give_the_same_bytes(made: Made, tmp_path: Path) -> None:
    vault, source, _ = made
    packed = []
    for name in ("one.zip", "again.zip"):
        vault.pack(source, str(tmp_path / name))
        packed.append(vault.read(str(tmp_path), name) or b"")
    assert packed[0] == packed[1]
    with ZipFile(BytesIO(packed[0])) as file:
        assert {path: file.read(path) for path in file.namelist()} == FILES
        assert file.namelist() == sorted(FILES)
    with pytest.raises(SiteError, match="there already"):
        vault.pack(source, str(tmp_path / "one.zip"))


def test_everything_below_a_directory_is_told(made: Made) -> None:
    vault, source, target = made
    tree = vault.survey(source)
    assert tree is not None
    assert {path: facts.bytes for path, facts in tree.files.items()} == {path: len(it) for path, it in FILES.items()}
    assert {(facts.mode, facts.modified) for facts in tree.files.values()} == {(0o640, 1_700_000_000_123_456_789)}
    assert tree.links == {"eval/latest": "../nowhere"}
    assert set(tree.folders) == {"", "empty", "eval", "eval/one", "eval/one/logs"}
    assert tree.folders["empty"] == 0o700
    assert vault.survey(target) is None


def test_a_copy_is_told_as_what_it_was_made_of(made: Made) -> None:
    vault, source, target = made
    copied(made)
    assert vault.survey(target) == vault.survey(source)
    for path, content in FILES.items():
        assert vault.digest(target, path) == hashlib.sha256(content).hexdigest()
    assert vault.digest(target, "run.yaml", first=2) == hashlib.sha256(b"a:").hexdigest()
    # Again, as after a kill.
    assert copied(made).survey(target) == vault.survey(source)


def test_a_copy_that_was_changed_is_made_again(made: Made) -> None:
    vault, source, target = made
    vault.write(target, "run.yaml", content=b"other")
    copied(made)
    assert vault.read(target, "run.yaml") == FILES["run.yaml"]
    assert vault.read(target, "none") is vault.digest(source + "-gone", "none") is None


def test_a_directory_is_renamed_only_to_where_nothing_lies(made: Made) -> None:
    vault, source, target = made
    with pytest.raises(SiteError, match="is there already"):
        copied(made).settle(source, target)
    vault.settle(source, f"{target}-too")
    assert vault.survey(source) is None
    assert vault.survey(f"{target}-too") == vault.survey(target)


def test_what_is_named_is_removed_and_what_is_empty_then_goes(made: Made) -> None:
    vault, source, _ = made
    vault.remove(source, ("eval/one/DONE", "eval/latest", "gone"))
    vault.sweep(source)
    left = vault.survey(source)
    assert left is not None
    assert (set(left.files), left.links) == ({"run.yaml", "eval/one/logs/x.eval"}, {})
    assert "empty" not in left.folders
    vault.remove(source, left.files)
    vault.sweep(source)
    assert vault.survey(source) is None


@pytest.mark.parametrize("path", ("../other", "/etc/hostname", "eval/../../x"))
def test_no_path_leads_out(made: Made, path: str) -> None:
    vault, source, target = made
    reach: tuple[Callable[[], object], ...] = (
        lambda: vault.read(source, path),
        lambda: vault.write(target, path, content=b""),
        lambda: vault.remove(source, (path,)),
    )
    for each in reach:
        with pytest.raises(SpecError):
            each()


def test_a_link_is_never_read(made: Made) -> None:
    vault, source, _ = made
    with pytest.raises(SiteError):
        vault.read(source, "eval/latest")


def test_the_record_of_a_directory_is_kept_there(made: Made) -> None:
    vault, source, target = made
    actor = Actor(kind="human", name="ada")
    vault.record(source).append(AuditEvent(actor=actor, verb="archive", action=Action.ARCHIVE, subject="one"))
    assert [each.subject for each in vault.record(source).records()] == ["one"]
    assert vault.record(target).head() is None
    assert vault.free(target) > 0


def test_pipes_are_refused_by_name_and_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    vault = DiskVault(FakeClock())
    (tmp_path / "one").mkdir()
    with pytest.raises(SiteError, match="vanished"):
        vault.copy(str(tmp_path / "one"), str(tmp_path / "two"), path="gone")
    os.mkfifo(tmp_path / "one" / "pipe")
    with pytest.raises(SiteError, match="one/pipe` is a pipe"):
        vault.survey(str(tmp_path / "one"))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    vault = DiskVault(FakeClock())
    (tmp_path / "outside").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "runs").symlink_to(tmp_path / "outside")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SiteError):
        vault.write(str(tmp_path / "one"), "runs/file", content=b"")
    with pytest.raises(SiteError):
        vault.remove(str(tmp_path / "one"), ("runs/file",))
    assert not list((tmp_path / "outside").iterdir())
