"""A file of blocks holds whatever happens to whoever writes it: killed at any line, cut, or of other settings."""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.block_file import BlockFile, FileContent, is_finished, plan_blocks
from cruijff_kit.runtime.tensor_files import load_tensor_with_ids
from tests.killed import kill_at, lines_run

LENGTHS = [3, 1, 2, 5, 4, 1, 1, 7]
SETTINGS = {"model_sha256": "a" * 64, "pool": "none"}
BLOCKS = [each._replace() for each in plan_blocks(LENGTHS, pooled=False, row_bytes=(1 << 26) // 6)]
VECTORS = np.arange(sum(LENGTHS) * 6, dtype=np.float32).reshape(-1, 2, 3)
OURS = (str(Path("runtime") / "block_file"), str(Path("runtime") / "files"))
SAMPLE = 14
"""Points at which the everyday test kills; `make soak` takes them all."""


def content(settings: dict[str, str] | None = None) -> FileContent:
    ids = ([f"text-{at}" for at in range(start, start + 4)] for start in (0, 4))
    return FileContent(settings or SETTINGS, {"label": "base"}, ids, LENGTHS, VECTORS.shape)


def written(path: Path, *, made: list[int] | None = None) -> None:
    """Write what is missing of a file, as whoever embeds does."""
    if is_finished(path, SETTINGS):
        return
    with BlockFile(path, content(), blocks=BLOCKS) as file:
        for number in file.missing():
            block = BLOCKS[number]
            file.write(number, VECTORS[block.start : block.start + block.rows])
            if made is not None:
                made.append(number)
        file.finish()


def whole(path: Path) -> bytes:
    written(path)
    return path.read_bytes()


def noted(path: Path) -> int:
    journal = path.with_name(f".{path.name}.journal")
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def test_blocks_cover_every_text_once_and_none_is_too_big() -> None:
    assert [block.texts for block in BLOCKS] == [3, 1, 3, 1]
    assert [block.rows for block in BLOCKS] == [6, 5, 6, 7]
    assert [block.start for block in BLOCKS] == [0, 6, 11, 17]
    pooled = plan_blocks([9] * 2500, pooled=True, row_bytes=8)
    assert [(block.first, block.texts, block.rows) for block in pooled] == [
        (0, 1024, 1024),
        (1024, 1024, 1024),
        (2048, 452, 452),
    ]


def test_a_finished_file_tells_what_it_holds_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    written(path)
    assert [each.name for each in tmp_path.iterdir()] == ["x.h5"]
    found = load_tensor_with_ids(path)
    assert found.ids == [f"text-{at}" for at in range(8)]
    assert found.lengths == LENGTHS
    assert np.array_equal(found.tensor.numpy(), VECTORS)
    some = load_tensor_with_ids(path, rows=slice(1, 3))
    assert np.array_equal(some.tensor.numpy(), VECTORS[3:6])
    with h5py.File(path) as file:
        assert {name: file.attrs[name] for name in ("pool", "label")} == {"pool": "none", "label": "base"}


def points(total: int, request: pytest.FixtureRequest) -> range:
    return range(1, total + 1, 1 if request.node.get_closest_marker("soak") else max(total // SAMPLE, 1))


@pytest.mark.parametrize("extent", ("sample", pytest.param("all", marks=pytest.mark.soak)))
def test_a_writer_killed_anywhere_is_followed_by_one_that_repeats_no_finished_block(
    tmp_path: Path, request: pytest.FixtureRequest, extent: str
) -> None:
    expected = whole(tmp_path / "expected" / "x.h5")
    total = lines_run(lambda: written(tmp_path / "measured" / "x.h5"), watched=OURS)
    for line in points(total, request):
        path = tmp_path / extent / "x.h5"
        assert kill_at(line, lambda path=path: written(path), watched=OURS)
        if path.exists():
            assert path.read_bytes() == expected
        before, made = noted(path), list[int]()
        written(path, made=made)
        assert len(made) <= len(BLOCKS) - before
        assert path.read_bytes() == expected, line
        assert [each.name for each in path.parent.iterdir()] == ["x.h5"], line
        shutil.rmtree(path.parent)


def begun(path: Path, blocks: int = 3) -> None:
    """Leave a file of which some blocks are there, as a kill does."""
    with BlockFile(path, content(), blocks=BLOCKS) as file:
        for number in range(blocks):
            file.write(number, VECTORS[BLOCKS[number].start : BLOCKS[number].start + BLOCKS[number].rows])


def test_a_torn_line_of_the_journal_counts_for_nothing(tmp_path: Path) -> None:
    path, made = tmp_path / "x.h5", list[int]()
    begun(path)
    with (tmp_path / ".x.h5.journal").open("ab") as file:
        file.write(b'{"block": 3, "sha')
    written(path, made=made)
    assert made == [3]
    assert path.read_bytes() == whole(tmp_path / "expected" / "x.h5")


def test_a_block_whose_bytes_are_not_those_that_were_noted_is_made_again(tmp_path: Path) -> None:
    path, made = tmp_path / "x.h5", list[int]()
    begun(path)
    part = tmp_path / ".x.h5.part"
    with h5py.File(part) as file:
        offset = file["tensor"].id.get_offset()
    handle = os.open(part, os.O_RDWR)
    os.pwrite(handle, b"\0\1\2\3", offset + BLOCKS[1].start * 24 + 8)
    os.close(handle)
    written(path, made=made)
    assert made == [1, 3]
    assert path.read_bytes() == whole(tmp_path / "expected" / "x.h5")


@pytest.mark.parametrize("finished", (False, True))
def test_a_file_of_other_settings_is_neither_gone_on_with_nor_replaced_unasked(tmp_path: Path, finished: bool) -> None:
    path, other = tmp_path / "x.h5", {**SETTINGS, "pool": "mean"}
    (written if finished else begun)(path)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(ResultError, match="`pool` was `none` and is `mean`"):
        is_finished(path, other)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert not is_finished(path, other, force=True)
    with BlockFile(path, content(other), blocks=BLOCKS) as file:
        assert file.missing() == [0, 1, 2, 3]


def test_a_file_of_something_else_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("notes", encoding="utf-8")
    with pytest.raises(ResultError, match="holds no embeddings of ours"):
        is_finished(path, SETTINGS)
    assert path.read_text(encoding="utf-8") == "notes"


def failing(path: Path, blocks: int) -> None:
    with BlockFile(path, content(), blocks=BLOCKS) as file:
        for number in range(blocks):
            file.write(number, VECTORS[:6])
        raise ZeroDivisionError


def test_an_error_before_the_first_block_leaves_nothing_and_one_after_it_what_was_done(tmp_path: Path) -> None:
    for blocks, left in ((0, set[str]()), (1, {".x.h5.part", ".x.h5.journal"})):
        with pytest.raises(ZeroDivisionError):
            failing(tmp_path / "x.h5", blocks)
        assert {each.name for each in tmp_path.iterdir()} == left
