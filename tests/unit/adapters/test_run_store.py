"""What only files on a disk can show: links, crashes, other processes, size."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pytest

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.errors import SiteError

HOLDER = """
import sys
from pathlib import Path
from cruijff_kit.adapters.run_store import DiskRunStore
with DiskRunStore(Path(sys.argv[1])).lock("submit"):
    print("held", flush=True)
    sys.stdin.read()
"""

ORDERING = """
import sys
from pathlib import Path
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.adapters.slurm_commands import order
with DiskRunStore(Path(sys.argv[1])).lock("submit"):
    order("cat", sys.argv[2])
"""


class Replaced(DiskRunStore):
    """Files that another machine replaces while they are read, so many times."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root)
        self.left = times

    @contextmanager
    def _opened(self, path: str) -> Iterator[BufferedReader | None]:
        with super()._opened(path) as file:
            if self.left:
                self.left -= 1
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
            yield file


@pytest.fixture
def store(tmp_path: Path) -> DiskRunStore:
    return DiskRunStore(tmp_path / "experiment")


def test_a_link_out_of_the_experiment_is_not_followed(store: DiskRunStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    store.write("runs/a/x", "x")
    (store.root / "runs/a/link").symlink_to(tmp_path / "secret")
    (store.root / "runs/out").symlink_to(tmp_path)
    for path in ("runs/a/link", "runs/out/secret"):
        with pytest.raises(SiteError, match="cannot be opened inside the experiment"):
            store.read(path)
    with pytest.raises(SiteError, match="cannot be opened inside the experiment"):
        store.write("runs/out/new", "x")
    with pytest.raises(SiteError, match="`out` cannot be opened inside the experiment"):
        store.publish({"runs/out/new": b"x", "m": b""}, manifest="m")
    assert not (tmp_path / "new").exists()
    assert store.glob("runs", "**/*") == ["runs/a", "runs/a/x"]


def test_writing_replaces_a_link_and_leaves_its_target_alone(store: DiskRunStore, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept", encoding="utf-8")
    store.write("runs/x", "x")
    (store.root / "runs/link").symlink_to(tmp_path / "target")
    store.write("runs/link", "new")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "kept"
    assert store.read("runs/link") == b"new"


def test_a_sibling_whose_name_begins_alike_is_not_inside(tmp_path: Path) -> None:
    evil = tmp_path / "experiment-evil"
    evil.mkdir()
    (evil / "x").write_text("x", encoding="utf-8")
    store = DiskRunStore(tmp_path / "experiment")
    store.write("y", "y")
    (store.root / "evil").symlink_to(evil)
    with pytest.raises(SiteError):
        store.read("evil/x")


def test_a_pipe_is_refused_rather_than_waited_for(store: DiskRunStore) -> None:
    store.write("x", "x")
    os.mkfifo(store.root / "pipe")
    with pytest.raises(SiteError, match="`pipe` cannot be opened"):
        store.read("pipe")


def test_a_folder_is_no_file(store: DiskRunStore) -> None:
    store.write("runs/a/x", "x")
    with pytest.raises(SiteError, match="`a` cannot be opened"):
        store.read("runs/a")
    with pytest.raises(SiteError):
        store.write("runs/a", "x")


def test_hostile_directory_names_are_only_names(hostile_path: Path) -> None:
    store = DiskRunStore(hostile_path)
    store.publish({"runs/a/x": b"x", "m": b"m"}, manifest="m")
    assert store.glob("", "**/x") == ["runs/a/x"]


def test_nothing_is_left_beside_the_files(store: DiskRunStore) -> None:
    store.write("a/b", "x")
    store.publish({"runs/a/x": b"x", "m": b"m"}, manifest="m")
    assert sorted(path.name for path in store.root.rglob("*")) == ["a", "a", "b", "m", "runs", "x"]


def test_files_that_are_the_same_already_are_not_touched(store: DiskRunStore) -> None:
    files = {"runs/a/x": b"x", "runs/a/y": b"y", "m": b"m"}
    store.publish(files, manifest="m")
    before = {path: (store.root / path).stat() for path in files}
    store.publish({**files, "runs/a/y": b"z"}, manifest="m")
    after = {path: (store.root / path).stat() for path in files}
    assert {path for path in files if before[path].st_ino != after[path].st_ino} == {"runs/a/y"}


def test_what_a_killed_publication_staged_is_swept_by_the_next(store: DiskRunStore) -> None:
    store.write("x", "x")
    stale = store.root / ".staging" / "publish-1" / "runs"
    stale.mkdir(parents=True)
    store.publish({"runs/a/x": b"x", "m": b"m"}, manifest="m")
    assert not (store.root / ".staging").exists()


def test_the_tail_of_one_endless_line_is_bounded(store: DiskRunStore) -> None:
    store.write("slurm-1.out", b"x" * 10_000_000)
    (line,) = store.tail("slurm-1.out", 50)
    assert len(line) == 4 * 1024 * 1024


def test_the_tail_of_a_million_lines_reads_only_their_end(store: DiskRunStore) -> None:
    store.write("slurm-1.out", b"".join(b"line %d\n" % number for number in range(1_000_000)))
    assert store.tail("slurm-1.out", 2) == ["line 999998", "line 999999"]
    assert len(store.tail("slurm-1.out", 1_000_000)) < 500_000


def test_a_file_rewritten_in_place_gets_a_new_digest(store: DiskRunStore) -> None:
    store.write("data", b"one")
    first = store.digest("data")
    with (store.root / "data").open("r+b") as file:
        file.write(b"two")
    os.utime(store.root / "data", ns=(1, 1))
    assert store.digest("data") != first


def test_a_lock_dies_with_the_process_that_held_it(store: DiskRunStore) -> None:
    command = [sys.executable, "-c", HOLDER, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SiteError, match=f"process {holder.pid} on "), store.lock("submit", wait=0.05):
            pass
        holder.kill()
        holder.wait()
        with store.lock("submit", wait=5):
            pass


def test_a_lock_outlives_its_holder_while_a_command_that_changes_something_goes_on(
    store: DiskRunStore, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    command = [sys.executable, "-c", ORDERING, str(store.root), str(tmp_path / "gate")]
    with subprocess.Popen(command, start_new_session=True) as holder, (tmp_path / "gate").open("wb"):
        holder.kill()
        holder.wait()
        with pytest.raises(SiteError, match=f"process {holder.pid} on "), store.lock("submit", wait=0.05):
            pass
    with store.lock("submit", wait=5):
        pass


def test_two_names_for_one_directory_share_their_locks(store: DiskRunStore, tmp_path: Path) -> None:
    store.write("x", "x")
    (tmp_path / "alias").symlink_to(store.root)
    with store.lock("submit"), pytest.raises(SiteError), DiskRunStore(tmp_path / "alias").lock("submit", wait=0):
        pass


def test_writers_and_publishers_do_not_disturb_each_other(store: DiskRunStore) -> None:
    other = DiskRunStore(store.root)

    def write(number: int) -> None:
        if number % 4:
            other.write(f"runs/{number}/status.json", str(number))
        else:
            store.publish({f"runs/{number}/status.json": str(number).encode(), "m": b"%d" % number}, manifest="m")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(80)))
    assert {path: store.read(path) for path in store.glob("runs", "*/status.json")} == {
        f"runs/{number}/status.json": b"%d" % number for number in range(80)
    }
    assert sorted(path.name for path in store.root.iterdir()) == ["m", "runs"]


def test_a_source_that_vanishes_while_a_file_is_written_from_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    store = DiskRunStore(tmp_path / "x")

    def parts() -> Iterator[bytes]:
        yield b"a"
        yield (tmp_path / "gone.csv").read_bytes()

    with pytest.raises(SiteError, match=r"gone\.csv` vanished while `data/big\.json` was written from it"):
        store.write_parts("data/big.json", parts())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_a_job_replaces_while_it_is_read_over_the_network_is_read_anew(tmp_path: Path) -> None:
    DiskRunStore(tmp_path).write("status.json", "line\n")
    for look in (Replaced.read, Replaced.digest, lambda store, path: store.tail(path, 3)):
        assert look(Replaced(tmp_path, 3), "status.json") == look(Replaced(tmp_path, 0), "status.json")
        with pytest.raises(SiteError, match="Stale file handle"):
            look(Replaced(tmp_path, 99), "status.json")
