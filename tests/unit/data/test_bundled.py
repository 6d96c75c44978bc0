"""Bundled data: made by seed and equal to its files, sound on every row, with nothing shared between splits."""

import json

import pytest

from cruijff_kit.data.bundled import BundledData, bundled, bundled_path
from cruijff_kit.data.example_rows import EXAMPLES
from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.items import item_form
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import overlaps, write_splits
from cruijff_kit.data.tokens import Encoding
from cruijff_kit.errors import SpecError
from cruijff_kit.recipes.tiny_llama import build_tokenizer

NAMES = [each.name for each in bundled()]


def test_the_table_and_the_makers_name_the_same_data() -> None:
    assert sorted(EXAMPLES) == NAMES
    assert "capitalization" in NAMES
    assert {each.family for each in bundled()} == {"chat", "instruction", "table questions"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_what_its_maker_makes(name: str) -> None:
    assert bundled_path(name).read_bytes() == write_splits(EXAMPLES[name].make())


@pytest.mark.parametrize("known", bundled(), ids=NAMES)
def test_a_file_holds_the_rows_that_the_table_tells(known: BundledData) -> None:
    splits = load_splits(known.path.read_bytes(), name=known.name, columns=Columns(None, None, items=True))
    assert {split: len(rows) for split, rows in splits.items()} == dict(known.rows)
    assert {item_form(row) for rows in splits.values() for row in rows} == {known.format}
    assert overlaps(splits, column=None) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", ("model", "alpaca", "chatml", "llama2", "llama3", "tinyllama"))
def test_every_row_is_proven_in_every_template(name: str, template: str) -> None:
    splits = json.loads(bundled_path(name).read_text(encoding="utf-8"))
    encoding = Encoding(dataset_type="auto", template=template)
    proof = prove_mask(splits, encoding=encoding, tokenizer=build_tokenizer())
    assert proof.problems == ()
    assert proof.proven == {split: len(rows) for split, rows in splits.items()}


def test_chat_and_text_of_the_table_questions_say_the_same() -> None:
    chat, text = (
        json.loads(bundled_path(f"table_questions_{form}").read_text(encoding="utf-8")) for form in ("chat", "text")
    )
    for split, rows in chat.items():
        told = ["\nA: ".join(turn["content"] for turn in row["messages"]) for row in rows]
        assert told == [row["text"] for row in text[split]]


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(
        SpecError, match="no data set `capitalisation` is bundled; there are `capitalization`"
    ) as caught:
        bundled_path("capitalisation")
    assert caught.value.hint == "write `capitalization`"
