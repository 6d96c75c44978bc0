"""What every run store promises; run on the one in memory and on the one on disk."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.adapters.safe_paths import checked_parts
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import RunStore
from tests.fakes.run_store import FakeRunStore

OUTSIDE = (
    "",
    ".",
    "..",
    "../sibling",
    "runs/../../other",
    "/etc/passwd",
    "~/notes",
    "~",
    "file:///etc/passwd",
    "%2e%2e/secret",
    "runs/%2E%2e%2Fsecret",
    r"\\host\share",
    r"runs\..\x",
    "runs//x",
    "runs/./x",
    "runs/x/",
    "runs/nul\0",
    "runs/new\nline",
    "runs/" + "n" * 300,
)
FILES = {
    "runs/a/run.yaml": b"a: 1\n",
    "runs/a/eval/one/eval.yaml": b"e: 1\n",
    "runs/b/run.yaml": b"b: 1\n",
    "design.lock.json": b"{}\n",
}


@pytest.fixture(params=["fake", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    return FakeRunStore() if request.param == "fake" else DiskRunStore(tmp_path / "experiment")


def test_a_file_reads_back_as_it_was_written(store: RunStore) -> None:
    store.write("runs/a/status.json", "ünï\n")
    assert store.read("runs/a/status.json") == "ünï\n".encode()
    assert store.read_text("runs/a/status.json") == "ünï\n"


def test_a_later_write_replaces_an_earlier_one(store: RunStore) -> None:
    store.write("DONE", "first, and longer")
    store.write("DONE", b"second")
    assert store.read("DONE") == b"second"


def test_a_file_is_read_from_a_position_on_and_holds_nothing_beyond_its_end(store: RunStore) -> None:
    store.write("runs/a/metrics.jsonl", "one\ntwo\n")
    assert store.read_from("runs/a/metrics.jsonl", 4) == b"two\n"
    assert store.read_from("runs/a/metrics.jsonl", 8) == b""
    assert store.read_from("runs/a/metrics.jsonl", 80) == b""
    assert store.read_from("runs/b/metrics.jsonl", 0) is None


def test_what_is_not_there_is_none_or_empty_and_never_an_error(store: RunStore) -> None:
    assert store.read("runs/a/DONE") is None
    assert store.read_text("DONE") is None
    assert store.digest("DONE") is None
    assert store.tail("slurm-1.out", 5) == []
    assert store.glob("runs", "*/run.yaml") == []


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leaves_the_experiment_is_refused_by_every_operation(store: RunStore, path: str) -> None:
    # What lies elsewhere may be hashed, and nothing more.
    hashing = () if path.startswith("/") else (store.digest,)
    for operation in (store.read, store.read_text, *hashing, lambda name: store.tail(name, 1)):
        with pytest.raises(SpecError, match="is not a plain relative path"):
            operation(path)
    with pytest.raises(SpecError):
        store.write(path, "x")
    with pytest.raises(SpecError):
        store.publish({path: b"x", "manifest": b""}, manifest="manifest")
    assert store.read("manifest") is None


def test_parts_become_one_file_and_what_fails_midway_changes_nothing(store: RunStore) -> None:
    parts = [b"a" * 70_000, b"", b"\xff\n"] * 3
    content = b"".join(parts)
    assert store.write_parts("data/big.json", iter(parts)) == (hashlib.sha256(content).hexdigest(), len(content))
    assert store.read("data/big.json") == content

    def failing() -> Iterator[bytes]:
        yield b"b" * 200_000
        raise SpecError("a row cannot be told")

    with pytest.raises(SpecError, match="a row cannot be told"):
        store.write_parts("data/big.json", failing())
    with pytest.raises(SpecError, match="is not a plain relative path"):
        store.write_parts("../big.json", iter(parts))
    assert store.read("data/big.json") == content
    assert store.glob("", "*") == ["data"]


@given(st.text(alphabet="ab./~%2eF\\\0\n", max_size=12))
def test_no_accepted_path_climbs_or_is_absolute(path: str) -> None:
    try:
        parts = checked_parts(path)
    except SpecError:
        return
    assert ".." not in parts
    assert not path.startswith("/")


def test_a_digest_follows_the_content(store: RunStore) -> None:
    store.write("data/words.json", "one")
    first = store.digest("data/words.json")
    store.write("data/words.json", "two")
    assert first == hashlib.sha256(b"one").hexdigest()
    assert store.digest("data/words.json") == hashlib.sha256(b"two").hexdigest()


def test_glob_finds_files_and_folders_sorted_and_nothing_hidden(store: RunStore) -> None:
    for path in (*FILES, "runs/.hidden/run.yaml", "runs/b/.aside"):
        store.write(path, b"x")
    assert store.glob("runs") == ["runs/a", "runs/b"]
    assert store.glob("runs", "*/run.yaml") == ["runs/a/run.yaml", "runs/b/run.yaml"]
    assert store.glob("", "*.json") == ["design.lock.json"]
    assert store.glob("runs/b") == ["runs/b/run.yaml"]


def test_glob_crosses_folders_with_two_stars_only(store: RunStore) -> None:
    for path in FILES:
        store.write(path, b"x")
    assert store.glob("runs", "*.yaml") == []
    assert store.glob("runs", "**/*.yaml") == [
        "runs/a/eval/one/eval.yaml",
        "runs/a/run.yaml",
        "runs/b/run.yaml",
    ]


def test_publishing_makes_all_files_and_keeps_others(store: RunStore) -> None:
    store.write("runs/a/notes.txt", "mine")
    store.publish(FILES, manifest="design.lock.json")
    assert {path: store.read(path) for path in FILES} == FILES
    assert store.read_text("runs/a/notes.txt") == "mine"


def test_publishing_again_replaces_what_changed(store: RunStore) -> None:
    store.publish(FILES, manifest="design.lock.json")
    changed = {**FILES, "runs/a/run.yaml": b"a: 2\n", "runs/c/run.yaml": b"c: 1\n"}
    store.publish(changed, manifest="design.lock.json")
    assert {path: store.read(path) for path in changed} == changed


def test_publishing_tells_how_far_it_is(store: RunStore) -> None:
    told: list[tuple[int, int, str]] = []
    store.publish(FILES, manifest="design.lock.json", progress=lambda *progress: told.append(progress))
    assert told[-1] == (3, 3, "files written")


def test_publishing_without_its_manifest_is_refused(store: RunStore) -> None:
    with pytest.raises(ValueError, match=r"`design\.lock.json` is not among the files"):
        store.publish({"runs/a/run.yaml": b""}, manifest="design.lock.json")


@pytest.mark.parametrize(
    "text,lines,expected",
    (
        ("one\ntwo\nthree\n", 2, ["two", "three"]),
        ("one\ntwo\nthr", 2, ["two", "thr"]),
        ("one\r\ntwo\r\n", 5, ["one", "two"]),
        ("one\n\n", 2, ["one", ""]),
        ("one\n", 0, []),
        ("", 3, []),
    ),
)
def test_the_tail_is_the_last_lines(store: RunStore, text: str, lines: int, expected: list[str]) -> None:
    store.write("slurm-1.out", text)
    assert store.tail("slurm-1.out", lines) == expected


def test_a_held_lock_refuses_a_second_holder_and_names_the_first(store: RunStore) -> None:
    with store.lock("submit"):
        with pytest.raises(SiteError, match=r"`submit` lock .* is held by"), store.lock("submit", wait=0):
            pass
        with store.lock("publish"):
            pass
    with store.lock("submit", wait=0):
        pass


@pytest.mark.parametrize("name", ("", "../x", "a b", "Submit"))
def test_a_lock_is_named_by_a_plain_word(store: RunStore, name: str) -> None:
    with pytest.raises(ValueError, match="is not lower-case letters"), store.lock(name):
        pass


def test_the_disk_has_no_more_free_than_it_has(store: RunStore) -> None:
    space = store.disk()
    assert 0 <= space.free <= space.total


def test_text_that_is_not_utf_8_is_refused_as_text_and_read_as_bytes(store: RunStore) -> None:
    store.write("odd.txt", b"\xff\xfe")
    assert store.read("odd.txt") == b"\xff\xfe"
    with pytest.raises(SiteError, match=r"`odd\.txt` is not UTF-8 text"):
        store.read_text("odd.txt")


def test_a_file_elsewhere_has_a_hash_and_nothing_else(store: RunStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "scratch" / "adapter.safetensors"
    assert store.digest(str(elsewhere)) is None
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"weights")
    assert store.digest(str(elsewhere)) == hashlib.sha256(b"weights").hexdigest()
    with pytest.raises((SpecError, SiteError)):
        store.read(str(elsewhere))


def test_a_data_folder_elsewhere_has_a_hash_over_its_data_files(store: RunStore, tmp_path: Path) -> None:
    folder = tmp_path / "scratch" / "words"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(b"{}")
    first = store.digest(str(folder))
    assert first == hashlib.sha256(f"train.jsonl {hashlib.sha256(b'{}').hexdigest()}\n".encode()).hexdigest()
    (folder / "notes.md").write_bytes(b"no data")
    assert store.digest(str(folder)) == first
    (folder / "test.jsonl").write_bytes(b"{}")
    assert store.digest(str(folder)) != first
