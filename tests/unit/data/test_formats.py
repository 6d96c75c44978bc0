"""Every format a data set may lie in: read to the same rows, or refused with file and row."""

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from datasets import Dataset, DatasetDict, disable_progress_bars
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from cruijff_kit.data.arrow_files import END_OF_STREAM
from cruijff_kit.data.converters import write_dataset
from cruijff_kit.data.formats import Content, content_sha256, format_of
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import overlaps
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.runtime.data_files import data_names, data_sha256, read_data

disable_progress_bars()

TRAIN = [{"input": str(at), "output": str(2 * at), "length": at} for at in range(5)]
TEST = [{"input": "nine", "output": "NINE", "length": 4}]
SPLITS = {"train": TRAIN, "test": TEST}
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
TALKS = Columns(None, None, "messages")


def lines(*rows: Any) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def table(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue()


def refused(content: Content, name: str = "d", columns: Columns | None = None) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load_splits(content, name=name, columns=columns)
    assert all(problem.hint for problem in caught.value.problems), caught.value
    return caught.value.problems


def with_split(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    return [{**row, "split": split} for row in rows]


SAME: Mapping[str, tuple[str, Content]] = {
    "one JSON file": ("d.json", json.dumps(SPLITS).encode()),
    "JSON Lines by column": ("d.jsonl", lines(*with_split(TRAIN, "train"), *with_split(TEST, "test"))),
    "JSON Lines in any order": ("d.jsonl", lines(*with_split(TEST, "test"), *with_split(TRAIN, "train"))),
    "parquet by column": ("d.parquet", table([*with_split(TRAIN, "train"), *with_split(TEST, "test")])),
    "a folder of JSON": ("d", {"train.json": json.dumps(TRAIN).encode(), "test.json": json.dumps(TEST).encode()}),
    "a folder of JSON Lines": ("d", {"test.jsonl": lines(*TEST), "train.jsonl": lines(*TRAIN)}),
    "a folder of parquet": ("d", {"train.parquet": table(TRAIN), "test.parquet": table(TEST)}),
    "a folder of shards": (
        "d/",
        {
            "train-00000-of-00002.parquet": table(TRAIN[:3]),
            "train-00001-of-00002.parquet": table(TRAIN[3:]),
            "test.parquet": table(TEST),
        },
    ),
}


@pytest.mark.parametrize("name,content", SAME.values(), ids=SAME.keys())
def test_the_same_rows_come_out_of_every_format(name: str, content: Content) -> None:
    assert load_splits(content, name=name) == SPLITS


def test_a_file_without_split_names_holds_the_training_rows() -> None:
    assert load_splits(lines(*TRAIN), name="d.jsonl") == {"train": TRAIN}
    assert load_splits(table(TRAIN), name="d.parquet") == {"train": TRAIN}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of data sets as the library saves them."""
    folder = tmp_path_factory.mktemp("saved")
    both = DatasetDict({"train": Dataset.from_list(TRAIN), "test": Dataset.from_list(TEST)})
    both.save_to_disk(folder / "both", num_shards={"train": 2, "test": 1})
    Dataset.from_list(TRAIN).save_to_disk(folder / "one")
    Dataset.from_list([{"messages": TALK}, {"messages": [*TALK, *TALK]}]).save_to_disk(folder / "talks")
    return folder


def folder_of(path: Path) -> dict[str, bytes]:
    content = read_data(path)
    assert isinstance(content, Mapping)
    return dict(content)


def test_data_sets_saved_to_disk_are_read_without_the_library_that_saved_them(saved: Path) -> None:
    assert load_splits(read_data(saved / "both"), name="both") == SPLITS
    assert load_splits(read_data(saved / "one"), name="one") == {"train": TRAIN}
    talks = load_splits(read_data(saved / "talks"), name="talks", columns=TALKS)
    assert [len(row["messages"]) for row in talks["train"]] == [2, 4]


def test_what_lies_beside_the_data_is_no_part_of_it(saved: Path) -> None:
    folder = saved / "both"
    names, digest = data_names(folder), data_sha256(folder)
    for stray in ("TIER", "README.md", ".hidden.json", "train/cache-0a1b.arrow"):
        (folder / stray).write_text("green", encoding="utf-8")
    assert data_names(folder) == names
    assert data_sha256(folder) == digest == content_sha256(read_data(folder))
    # What is left over from writing a row differently is seen.
    (folder / "train" / "state.json").write_bytes((folder / "train" / "state.json").read_bytes() + b" ")
    assert data_sha256(folder) != digest


def test_a_saved_data_set_that_is_torn_or_not_whole_is_refused(saved: Path) -> None:
    whole = folder_of(saved / "one")
    file = next(name for name in whole if name.endswith(".arrow"))
    cut = {**whole, file: whole[file].removesuffix(END_OF_STREAM)}
    assert "it lacks its end" in refused(cut)[0].message
    assert refused({**whole, file: whole[file][:40]})[0].place == f"d/{file}"
    assert refused({name: each for name, each in whole.items() if name != file})[0].message == f"`{file}` is missing"
    assert refused({**whole, "state.json": b"{}"})[0].message == "it lists no data files"
    assert refused({"dataset_dict.json": b"[]"})[0].message == "`dataset_dict.json` lists no splits"
    assert refused({"dataset_dict.json": b'{"splits": ["train"]}'})[0].place == "d/train/state.json"
    assert "called `validation` here" in refused({"dataset_dict.json": b'{"splits": ["dev"]}'})[0].message


@pytest.mark.parametrize(
    "name,content,place,fact",
    (
        ("d.jsonl", b'{"input": "a", "output": "b"}\n{"input": "a", "outp', "d.jsonl:2", "unterminated string"),
        ("d.jsonl", lines(*TRAIN) + b'\n\n{"input": "a"', "d.jsonl:8", "the file ends before its JSON does"),
        (
            "d.jsonl",
            rb'{"a": "\ud83d\ude00"}' + b"\n" + rb'{"a": "\ude00"}',
            "d.jsonl:2",
            "text holds half of a character",
        ),
        ("d.json", rb'[{"a": "\\ud800"}, {"b": "\ud800"}]', "d.json:1", "text holds half of a character, `\\ud800`"),
        ("d.jsonl", b'{"input": 1, "input": 2, "output": 3}', "d.jsonl:1", "key `input` is written twice"),
        ("d.jsonl", b'{"input": 1' + b"0" * 9_000 + b"}", "d.jsonl:1", "a whole number has too many digits"),
        ("d.jsonl", b"\n\n", "d.jsonl", "split `train` holds an empty list"),
        ("d.jsonl", lines(TRAIN[0], [1]), "d.jsonl:2", "the row is a list, not an object"),
        ("d.jsonl", lines({**TRAIN[0], "split": "train"}, TRAIN[1]), "d.jsonl:2", "the row names no split"),
        ("d.jsonl", lines({**TRAIN[0], "split": "dev"}), "d.jsonl:1", "split `dev` is called `validation` here"),
        ("d.jsonl", lines(TRAIN[0], {"input": "a"}), "d.jsonl:2", "column `output` is missing"),
        ("d.parquet", table([*TRAIN, {"input": "a"}]), "d.parquet, row 6", "column `output` is missing"),
        ("d.parquet", table(TRAIN)[:-9], "d.parquet", "`d.parquet` is not a parquet file"),
        ("d.parquet", b"", "d.parquet", "`d.parquet` is not a parquet file"),
        ("d", {}, "d", "the folder holds no data files"),
        ("d", {"train.json": b"[]", "test.jsonl": b""}, "d", "the folder mixes formats: `json`, `jsonl`"),
        ("d", {"val.json": b"[]"}, "d/val.json", "file `val.json` is called `validation` here"),
        ("d", {"words.json": b"{}"}, "d/words.json", "file `words.json` names no known split"),
        ("d", {"train.json": json.dumps(SPLITS).encode()}, "d/train.json", "the file holds no list of rows"),
        (
            "d",
            {"train.json": b'[\n{"input": "a",\n"output": "b"},\n{}]'},
            "d/train.json:4",
            "column `input` is missing",
        ),
        ("d", {"train-00000-of-00002.jsonl": lines(*TRAIN)}, "d", "the files of split `train` are not one whole"),
        ("d", {"train.jsonl": b"", "train-00000-of-00001.jsonl": b""}, "d", "the files of split `train` are not one"),
    ),
)
def test_torn_and_odd_files_are_refused_with_their_place(name: str, content: Content, place: str, fact: str) -> None:
    found = refused(content, name)[0]
    assert found.place == place
    assert found.message.startswith(fact)


def test_all_files_of_a_folder_tell_of_their_faults_at_once() -> None:
    found = refused({"dev.jsonl": b"", "train.jsonl": b"{", "test.jsonl": b'{"input"'}, "d")
    assert [problem.place for problem in found] == ["d/dev.jsonl", "d/train.jsonl:1", "d/test.jsonl:1"]


def test_rows_of_a_shard_are_counted_in_the_shard() -> None:
    shards = {f"train-0000{at}-of-00002.jsonl": lines(TRAIN[0], {"input": "x"}) for at in range(2)}
    assert [problem.place for problem in refused(shards)] == [f"d/{name}:2" for name in shards]


def test_a_stated_format_must_be_the_one_that_is_found() -> None:
    assert load_splits(lines(*TRAIN), name="d.jsonl", form="jsonl") == {"train": TRAIN}
    with pytest.raises(SpecError) as caught:
        load_splits(lines(*TRAIN), name="d.jsonl", form="json")
    (problem,) = caught.value.problems
    assert problem.message == "`d.jsonl` is jsonl; the design says `json`"
    assert problem.path == "data.training.format"


def test_columns_are_renamed_before_they_are_asked_for() -> None:
    columns = Columns(renamed={"input": "question", "output": "gold"})
    found = load_splits(lines({"question": "a", "gold": "b", "group": 1}), name="d.jsonl", columns=columns)
    assert found == {"train": [{"input": "a", "output": "b", "group": 1}]}
    swapped = Columns(renamed={"input": "output", "output": "input"})
    assert load_splits(lines(*TRAIN[1:2]), name="d.jsonl", columns=swapped)["train"][0]["input"] == "2"


@pytest.mark.parametrize(
    "row,fact",
    (
        ({"question": "a"}, "column `gold`, which `columns` renames to `output`, is missing; the row has `question`"),
        ({"question": "a", "gold": "b", "input": "c"}, "`columns` renames `question` to `input`, and the row has both"),
    ),
)
def test_a_column_that_cannot_be_renamed_is_named_with_its_row(row: dict[str, str], fact: str) -> None:
    columns = Columns(renamed={"input": "question", "output": "gold"})
    (problem,) = refused(lines({"question": "a", "gold": "b"}, row), "d.jsonl", columns)
    assert (problem.message, problem.place) == (fact, "d.jsonl:2")


@pytest.mark.parametrize(
    "turns,fact",
    (
        ("hello", "it holds no list of turns"),
        ([], "it holds no turns"),
        ([{"role": "tool", "content": "x"}], "turn 0 has a role other than `system`"),
        ([{"content": "x"}], "turn 0 has no `role`"),
        ([{"role": "user"}], "turn 0 has no text in `content`"),
        ([{"role": "user", "content": ["x"]}], "turn 0 has no text in `content`"),
        (TALK[:1], "the last turn is the user's, so it is no answer"),
        (TALK[1:], "turn 0 is the assistant's and follows no question"),
        ([*TALK, TALK[1]], "turn 2 is the assistant's and follows no question"),
        ([TALK[0], {"role": "assistant", "content": " "}], "turn 1 is an empty answer"),
        ([TALK[0], {**TALK[1], "tool_calls": [1]}], "turn 1 has `tool_calls`, which would not be heeded"),
        ([*TALK, {"role": "system", "content": "x"}, *TALK], "turn 2 is the system's; only the first may be"),
    ),
)
def test_what_is_no_conversation_is_refused_with_its_turn(turns: Any, fact: str) -> None:
    (problem, *_) = refused(lines({"messages": TALK}, {"messages": turns}), "d.jsonl", TALKS)
    assert problem.message.startswith(f"column `messages`: {fact}")
    assert (problem.place, problem.path) == ("d.jsonl:2", "train[1].messages")


def test_turns_may_be_spelled_from_and_value() -> None:
    shared = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    assert load_splits(lines({"messages": shared}), name="d.jsonl", columns=TALKS)["train"] == [{"messages": shared}]


def test_conversations_share_a_question_when_all_before_the_last_answer_is_the_same() -> None:
    other = [TALK[0], {"role": "assistant", "content": "c"}]
    splits = {"train": [{"messages": TALK}], "test": [{"messages": other}, {"messages": [*TALK, *TALK]}]}
    (shared,) = overlaps(splits, column="messages")
    assert shared.rows == (0,)


def test_the_hash_of_a_folder_is_over_name_and_hash_of_its_files_in_name_order() -> None:
    first = content_sha256({"train.json": b"a", "test.json": b"b"})
    assert first == content_sha256({"test.json": b"b", "train.json": b"a"})
    assert first != content_sha256({"test.json": b"a", "train.json": b"b"})
    digests = "test.json 3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\n"
    assert content_sha256({"test.json": b"b"}) == content_sha256(digests.encode())


values = st.one_of(st.text(max_size=5), st.integers(-(2**40), 2**40), st.booleans())
rows_of_one_kind = st.lists(
    st.fixed_dictionaries({"input": st.text(), "output": st.text(min_size=1)}, optional={"n": st.integers(-9, 9)}),
    min_size=1,
    max_size=4,
)
split_names = st.sampled_from(("train", "validation", "test"))


@pytest.mark.parametrize("name", ("d.json", "d.jsonl", "d.parquet", "d"))
@given(splits=st.dictionaries(split_names, rows_of_one_kind, min_size=1))
def test_whatever_is_written_reads_back_to_the_same_rows(name: str, splits: dict[str, list[dict[str, Any]]]) -> None:
    content = write_dataset(splits, name=name)
    assert load_splits(content, name=name, columns=Columns(None, None)) == splits
    assert format_of(content, name) == {"d": "parquet"}.get(name, name.partition(".")[2])


@given(st.dictionaries(st.text(max_size=3), values, min_size=1))
def test_odd_columns_and_values_read_back_or_are_refused(row: dict[str, Any]) -> None:
    for name in ("d.json", "d.jsonl", "d.parquet"):
        try:
            content = write_dataset({"train": [row]}, name=name)
        except SpecError:
            continue
        assert load_splits(content, name=name, columns=Columns(None, None)) == {"train": [row]}


@pytest.mark.parametrize(
    "splits,name,fact",
    (
        ({"train": [{"n": 1}, {"n": 2.5}]}, "d.parquet", "would read back otherwise"),
        ({"train": [{"n": 1}, {"n": "x"}]}, "d.parquet", "no one kind of column takes: int, str"),
        ({"calibration": TRAIN}, "d", "knows `train`, `validation`, `test`, and there is `calibration`"),
        ({"train": with_split(TRAIN, "mine")}, "d.jsonl", "a column `split` of its own"),
        ({"dev": TRAIN}, "d.jsonl", "called `validation` here"),
        (SPLITS, "d.csv", "names no format that can be written"),
    ),
)
def test_what_a_format_cannot_hold_is_refused_and_not_changed(splits: Any, name: str, fact: str) -> None:
    with pytest.raises(SpecError) as caught:
        write_dataset(splits, name=name)
    assert fact in str(caught.value)


def test_a_split_of_any_name_but_the_training_one_is_kept_by_name() -> None:
    content = write_dataset({"calibration": TRAIN}, name="d.parquet")
    assert load_splits(content, name="d.parquet") == {"calibration": TRAIN}


@pytest.mark.parametrize("name,content", (("d.parquet", table(TRAIN)), ("d", {"train.parquet": table(TRAIN)})))
def test_without_the_library_the_extra_is_named(name: str, content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SiteError, match="needs `pyarrow`, which is not installed") as caught:
        load_splits(content, name=name)
    assert caught.value.hint.startswith("pip install 'cruijff-kit[report]'")
    assert load_splits(lines(*TRAIN), name="d.jsonl") == {"train": TRAIN}
