import io
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.arrow_files import parquet_bytes
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.streams import Streamed, stream_rows
from cruijff_kit.errors import SpecError

ROW = st.dictionaries(
    st.sampled_from(("input", "output", "naïve", "n")), st.text(max_size=12) | st.integers(), min_size=1
)
SPLITS = st.dictionaries(
    st.sampled_from(("train", "test", "validation")), st.lists(ROW, min_size=1, max_size=6), min_size=1
)


class Trickle(io.BytesIO):
    """A file that gives a few bytes at a time, so that every seam falls somewhere."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 1, 5) if size and size > 0 else size)


def streamed(content: bytes, name: str, *, of: Callable[[bytes], io.BytesIO] = io.BytesIO) -> list[Streamed]:
    return list(stream_rows(of(content), name))


def by_split(rows: list[Streamed]) -> dict[str, list[Any]]:
    assert not [row.problem for row in rows if row.problem]
    found: dict[str, list[Any]] = {}
    for row in rows:
        assert row.number == len(found.setdefault(row.split, []))
        found[row.split].append(dict(row.row))
    return found


def flat(splits: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{**row, "split": split} for split, rows in splits.items() for row in rows]


@given(SPLITS, st.sampled_from((None, 2)), st.booleans())
def test_json_streams_the_rows_that_the_loader_loads(splits: Any, indent: int | None, ascii_only: bool) -> None:
    content = json.dumps(splits, indent=indent, ensure_ascii=ascii_only).encode()
    loaded = load_splits(content, name="words.json", columns=Columns(None, None))
    assert by_split(streamed(content, "words.json")) == loaded
    assert by_split(streamed(content, "words.json", of=Trickle)) == loaded


@given(SPLITS)
def test_json_lines_stream_the_rows_that_the_loader_loads(splits: Any) -> None:
    content = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in flat(splits)).encode()
    loaded = load_splits(content, name="words.jsonl", columns=Columns(None, None))
    assert by_split(streamed(content, "words.jsonl")) == loaded


def test_parquet_streams_the_rows_that_the_loader_loads() -> None:
    rows = [{"input": f"word {at}", "split": "test" if at % 3 else "train", "n": at} for at in range(1500)]
    content = parquet_bytes(rows, "words.parquet")
    assert by_split(streamed(content, "words.parquet")) == load_splits(
        content, name="words.parquet", columns=Columns(None, None)
    )


def test_a_bare_list_and_a_table_of_cells_go_by_their_column_or_are_all_for_training() -> None:
    assert by_split(streamed(b'[{"input": "a"}, {"input": "b"}]', "x.json")) == {
        "train": [{"input": "a"}, {"input": "b"}]
    }
    table = '\ufeffinput,split\n"a, and\n""b""",test\r\nc,train\n'.encode()
    assert by_split(streamed(table, "x.csv")) == {"test": [{"input": 'a, and\n"b"'}], "train": [{"input": "c"}]}


def test_rows_have_the_place_at_which_people_look_them_up() -> None:
    content = b'{"train": [\n  {"input": "a"},\n  {"input": "b"}],\n "test": [{"input": "c"}\n]}'
    assert [row.place for row in streamed(content, "x.json", of=Trickle)] == ["x.json:2", "x.json:3", "x.json:4"]
    assert [row.place for row in streamed(b'\n{"a": 1}\n{"a": 2}', "x.jsonl")] == ["x.jsonl:2", "x.jsonl:3"]
    assert [row.place for row in streamed(b'a\n"1\n2"\n3\n', "x.csv")] == ["x.csv:3", "x.csv:4"]


@pytest.mark.parametrize(
    "name,content,facts",
    (
        (
            "x.jsonl",
            b'{"a": 1}\n{"a": \n[1]\n\xff\n{"a": 1, "a": 2}',
            ("not valid JSON", "a list, not an object", "not UTF-8", "written twice"),
        ),
        ("x.jsonl", b'{"a": 1, "split": "test"}\n{"a": 1}\n{"a": 1, "split": 3}', ("names no split", "names no split")),
        (
            "x.jsonl",
            rb'{"a": "\ud83d\ude00", "b": "\\ud800"}' + b"\n" + rb'{"a": ["\udc00"]}' + b'\n{"a": "',
            ("half of a character, `\\udc00`", "unterminated string at column 7"),
        ),
        ("x.json", b'[{"a": 1}, "b", null]', ("is text, not an object", "is null, not an object")),
        ("x.csv", b"a,b\n1,2\n1\n1,2,3\n", ("has 1 cells", "has 3 cells")),
    ),
)  # fmt: skip
def test_single_rows_that_are_wrong_are_told_beside_the_others(
    name: str, content: bytes, facts: tuple[str, ...]
) -> None:
    problems = [str(row.problem) for row in streamed(content, name) if row.problem]
    assert len(problems) == len(facts)
    for problem, fact in zip(problems, facts, strict=True):
        assert fact in problem
        assert problem.startswith(f"{name}:")


@pytest.mark.parametrize(
    "name,content,fact",
    (
        ("x.json", b'{"train": [{"a": 1}', "ends before its JSON does"),
        ("x.json", b'{"train": [{"a": 1}]} x', "goes on after its JSON has ended"),
        ("x.json", b'{"train": {"a": 1}}', "`[` belongs where"),
        ("x.json", b'{"train": [1], "train": [2]}', "written twice"),
        ("x.json", b'{"train": [{"a": 1, "a": 2}]}', "written twice"),
        ("x.json", rb'{"train": [{"a": "\uD800x"}]}', "half of a character"),
        ("x.txt", b"q", "a file's ending tells its format"),
        ("x.json", b"{}", "no splits"),
        ("x.json", b"{[1]: []}", "a split has no name"),
        ("x.json", b'{"train": ["\xff"]}', "not UTF-8"),
        ("x.json", b"", "ends before its JSON does"),
        ("x.csv", b"", "does not name every column once"),
        ("x.csv", b"a,a\n1,2\n", "does not name every column once"),
        ("x.csv", b'a\n"1', "end of data"),
        ("x.csv", b"a\n\xff\n", "not UTF-8"),
        ("x.parquet", b"PAR1 no", "not a parquet file"),
    ),
)
def test_a_file_that_is_torn_or_laid_out_otherwise_is_refused(name: str, content: bytes, fact: str) -> None:
    with pytest.raises(SpecError, match=re.escape(fact)):
        streamed(content, name)


def test_no_more_of_a_json_file_is_held_than_the_row_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    row = json.dumps({"input": "x" * 1000})
    path.write_text('{"train": [' + ", ".join([row] * 3000) + "]}", encoding="utf-8")
    with path.open("rb") as file:
        rows = stream_rows(file, "long.json")
        read = []
        for row_read in rows:
            read.append(file.tell())
            assert row_read.row["input"] == "x" * 1000
    steps = [after - before for before, after in pairwise(read)]
    assert len(read) == 3000
    assert max(steps) <= 1 << 17
