"""A data file is read whole or refused with the place of all that is wrong in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.loaders import Columns, load_splits, row_lines
from cruijff_kit.data.splits import overlaps, write_splits
from cruijff_kit.errors import Problem, SpecError

ROWS = st.lists(st.fixed_dictionaries({"input": st.text(), "output": st.text(min_size=1)}), min_size=1, max_size=4)


def refused(content: bytes, columns: Columns | None = None) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load_splits(content, name="d.json", columns=columns)
    return caught.value.problems


@given(st.dictionaries(st.text(min_size=1), ROWS, min_size=1, max_size=3), st.sampled_from([None, 0, 3]))
def test_every_row_knows_its_line_however_the_file_is_laid_out(splits: dict[str, list], indent: int | None) -> None:
    text = json.dumps(splits, indent=indent)
    lines = text.split("\n")
    found = row_lines(text)
    assert set(found) == {(name, index) for name, rows in splits.items() for index in range(len(rows))}
    assert all("{" in lines[line - 1] for line in found.values())


def test_columns_beyond_the_two_are_kept() -> None:
    content = b'\xef\xbb\xbf{"train": [{"q": "a", "a": 1, "group": "x"}]}'
    assert load_splits(content, name="d.json", columns=Columns("q", "a"))["train"][0]["group"] == "x"


def test_every_wrong_row_is_named_with_line_field_and_remedy() -> None:
    content = b'{"train": [\n{"input": "a", "output": "A"},\n{"input": "b"},\n{"input": ["c"], "output": ""},\n3\n]}'
    found = refused(content)
    assert [(problem.place, problem.path) for problem in found] == [
        ("d.json:3", "train[1].output"),
        ("d.json:4", "train[2].input"),
        ("d.json:4", "train[2].output"),
        ("d.json:5", "train[3]"),
    ]
    assert "the row has `input`" in found[0].message
    assert all(problem.hint for problem in found)


def test_of_many_wrong_rows_twenty_are_shown_and_the_rest_counted() -> None:
    found = refused(json.dumps({"train": [{"input": "a"}] * 50}).encode())
    assert len(found) == 21
    assert found[-1].message == "and 30 more rows like these"


@pytest.mark.parametrize(
    "content,fact",
    (
        (b'{"train": [{"input": "a", "outp', "unterminated string"),
        (b'{"train": [{"input": "a", "output": "b"}', "the file ends before its JSON does"),
        (b'{"train": [],', "the file ends"),
        (b"", "the file ends"),
        (b"3", "the file holds neither an object of splits nor a list of rows"),
        (b"{}", "the file has no splits"),
        (b'{"train": []}', "split `train` holds an empty list"),
        (b'{"train": {"input": "a"}}', "split `train` holds an object"),
        (b'{"train": [1], "train": [2]}', "key `train` is written twice"),
        (b'{"train": [{"input": "\xff"}]}', "byte 22 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"train": [{"input": 1' + b"0" * 9_000 + b"}]}", "a whole number has too many digits"),
    ),
)
def test_a_file_that_is_torn_or_laid_out_otherwise_is_refused(content: bytes, fact: str) -> None:
    (problem, *_) = refused(content)
    assert problem.message.startswith(fact)
    assert problem.place.startswith("d.json")
    assert problem.hint


def test_the_same_question_in_two_splits_is_found_whatever_its_answer() -> None:
    splits = {
        "train": [{"input": "a", "output": "A"}, {"input": "b", "output": "B"}],
        "test": [{"input": "c", "output": "C"}, {"input": " a ", "output": "X"}],
    }
    (shared,) = overlaps(splits)
    assert (shared.first, shared.second, shared.rows, shared.example) == ("train", "test", (1,), "a")


@given(st.dictionaries(st.text(min_size=1), ROWS, min_size=1, max_size=3))
def test_splits_are_written_one_row_a_line_and_read_back(splits: dict[str, list]) -> None:
    content = write_splits(splits)
    assert load_splits(content, name="d.json") == splits
