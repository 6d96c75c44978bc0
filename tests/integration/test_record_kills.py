"""Kill -9 at any line while files are published or events appended; nothing is lost, torn or blamed."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from cruijff_kit.adapters.run_store import DiskRunStore
from tests.chained_log import event, log_file, open_log
from tests.killed import kill_at, lines_run

OLD = {f"runs/{run}/{name}": b"old " + name.encode() for run in "ab" for name in ("run.yaml", "eval/x/eval.yaml")}
NEW = {
    **{path: content.replace(b"old", b"newer") for path, content in OLD.items()},
    **{f"runs/{run}/{name}": b"new " + name.encode() for run in "cd" for name in ("run.yaml", "finetune.slurm")},
    "data/words.json": b"[]",
}
MANIFEST = "design.lock.json"
SAMPLE = 12
"""Points at which the everyday test kills; `make soak` takes them all."""


def published(root: Path, files: Mapping[str, bytes], name: bytes) -> None:
    DiskRunStore(root).publish({**files, MANIFEST: name}, manifest=MANIFEST)


def check_publication(root: Path, line: int, *, before: bool) -> bool:
    """Kill a publication at a line, look at what lies there, and let a repeat finish it."""
    if before:
        published(root, OLD, b"first")
    killed = kill_at(line, lambda: published(root, NEW, b"second"))
    store = DiskRunStore(root)
    manifest = store.read(MANIFEST)
    earlier = OLD if before else {}
    assert manifest in {b"first" if before else None, b"second"}
    for path, content in NEW.items():
        assert store.read(path) in {content, content if manifest == b"second" else earlier.get(path)}, (line, path)
    published(root, NEW, b"second")
    assert {path: store.read(path) for path in NEW} == NEW
    assert store.read(MANIFEST) == b"second"
    assert not list(root.glob(".staging/publish-*"))
    shutil.rmtree(root)
    return killed


def check_append(root: Path, line: int, *, before: int) -> bool:
    """Kill an append at a line; the log holds, keeps what it had, and goes on."""
    open_log(root, before)
    killed = kill_at(line, lambda: open_log(root).append(event("killed-0"), event("killed-1")))
    log = open_log(root)
    assert log.verify().ok, (line, log.verify())
    subjects = [record.subject for record in log.records()]
    assert subjects in ([f"run-{n}" for n in range(before)] + extra for extra in ([], ["killed-0", "killed-1"])), line
    anchor = log.append(event("after"))
    assert log.verify([anchor]).ok, (line, log.verify())
    assert [record.subject for record in log.records()][-1] == "after"
    return killed


def points(total: int, request: pytest.FixtureRequest) -> range:
    return range(1, total + 1, 1 if request.node.get_closest_marker("soak") else max(total // SAMPLE, 1))


@pytest.mark.parametrize("before", (False, True))
@pytest.mark.parametrize("extent", ("sample", pytest.param("all", marks=pytest.mark.soak)))
def test_a_publication_killed_anywhere_is_finished_by_a_repeat(
    tmp_path: Path, request: pytest.FixtureRequest, before: bool, extent: str
) -> None:
    root = tmp_path / extent
    if before:
        published(root, OLD, b"first")
    total = lines_run(lambda: published(root, NEW, b"second"))
    shutil.rmtree(root)
    killed = [check_publication(root, line, before=before) for line in points(total - SAMPLE, request)]
    assert all(killed)


@pytest.mark.parametrize("before", (0, 2))
@pytest.mark.parametrize("extent", ("sample", pytest.param("all", marks=pytest.mark.soak)))
def test_an_append_killed_anywhere_leaves_a_log_that_holds(
    tmp_path: Path, request: pytest.FixtureRequest, before: int, extent: str
) -> None:
    open_log(tmp_path / "measured", before)
    total = lines_run(lambda: open_log(tmp_path / "measured").append(event("killed-0"), event("killed-1")))
    killed = [check_append(tmp_path / f"{extent}-{line}", line, before=before) for line in points(total, request)]
    assert all(killed)


@pytest.mark.parametrize("extent", ("sample", pytest.param("all", marks=pytest.mark.soak)))
def test_a_repair_killed_anywhere_is_repaired_again(
    tmp_path: Path, request: pytest.FixtureRequest, extent: str
) -> None:
    def torn(name: str) -> Path:
        open_log(tmp_path / name, 2)
        with log_file(tmp_path / name).open("ab") as file:
            file.write(b'{"action":"SUB' * 200)
        return tmp_path / name

    measured = torn("measured")
    total = lines_run(lambda: open_log(measured).append(event("repaired")))
    for line in points(total, request):
        root = torn(f"{extent}-{line}")
        assert kill_at(line, lambda root=root: open_log(root).append(event("repaired")))
        log = open_log(root)
        log.append(event("after"))
        assert log.verify().ok, (line, log.verify())
        warnings = [record.error or "" for record in log.records() if record.verb == "audit"]
        assert any("torn by a crash" in warning for warning in warnings), line
