"""Items: one file, several forms, each row read by its own columns; and texts that are learnt whole."""

import json
from io import BytesIO
from typing import Any

import pytest

from cruijff_kit.data.arrow_files import parquet_bytes
from cruijff_kit.data.formats import Content
from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.items import ItemForm, item_form, item_rest, item_turns
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.mask import marked_text
from cruijff_kit.data.splits import overlaps
from cruijff_kit.data.streams import stream_rows
from cruijff_kit.data.tokens import Encoding, answer_text, conversation, encode_prompt, encode_row
from cruijff_kit.errors import SpecError
from tests.tokenizer_families import FAMILIES, byte_family

ITEMS = Columns(None, None, items=True)
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
MIXED: list[dict[str, Any]] = [
    {"messages": TALK},
    {"conversations": [{"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}], "source": "web"},
    {"instruction": "Say it.", "input": "that", "output": "That."},
    {"instruction": "Say it.", "input": " ", "output": "It.", "system": "Be brief."},
    {"instruction": "Say it twice.", "context": None, "response": "It, it."},
    {"prompt": "e", "completion": "f"},
    {"question": "g", "answer": 7},
    {"input": "h", "output": "i"},
    {"text": "j k l"},
]
FORMS: tuple[ItemForm, ...] = (
    *("messages", "messages"),
    *("instruction", "instruction", "instruction"),
    *("prompt", "prompt", "prompt"),
    "text",
)


# A table holds one kind of value a column.
TABLE = [row for row in MIXED if row.get("answer") != 7]


def encoding(template: str = "alpaca", **changes: Any) -> Encoding:
    return Encoding(dataset_type="auto", template=template, **changes)


def byte_level() -> Any:
    return byte_family(None, bos="<s>", eos="</s>", post=("<s>",))


def loaded(content: Content, name: str) -> dict[str, list[dict[str, Any]]]:
    return load_splits(content, name=name, columns=ITEMS)


def refusal(rows: list[Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loaded("".join(f"{json.dumps(row)}\n" for row in rows).encode(), "mixed.jsonl")
    return [f"{problem.place} {problem.path}: {problem.message}" for problem in caught.value.problems]


def test_each_row_is_of_the_form_that_its_own_columns_say() -> None:
    assert tuple(item_form(row) for row in MIXED) == FORMS
    assert item_form({"messages": TALK, "text": "x", "instruction": "y"}) == "messages"
    assert item_form({"word": "x"}) is None


def test_a_list_lines_and_splits_of_a_mixed_file_are_the_same_rows() -> None:
    listed = json.dumps(MIXED).encode()
    lines = "".join(f"{json.dumps(row)}\n\n" for row in MIXED).encode()
    splits = json.dumps({"train": MIXED}).encode()
    for content, name in ((listed, "a.json"), (lines, "a.jsonl"), (splits, "a.json")):
        assert loaded(content, name) == {"train": MIXED}
        assert [each.row for each in stream_rows(BytesIO(content), name)] == MIXED


def test_a_table_of_several_forms_holds_the_same_rows_however_much_of_it_is_null() -> None:
    columns = list(dict.fromkeys(column for row in TABLE for column in row))
    filled = [{column: row.get(column) for column in columns} for row in TABLE]
    content = parquet_bytes(filled, "mixed.parquet")
    found = loaded(content, "mixed.parquet")["train"]
    streamed = [each.row for each in stream_rows(BytesIO(content), "mixed.parquet")]
    for rows in (found, streamed):
        assert [item_form(row) for row in rows] == [item_form(row) for row in TABLE]
        told = [encode_row(row, encoding=encoding(), tokenizer=byte_level()) for row in rows]
        assert told == [encode_row(row, encoding=encoding(), tokenizer=byte_level()) for row in TABLE]
        assert [item_rest(row) for row in rows] == [item_rest(row) for row in TABLE]


def test_cells_with_commas_are_rows_of_the_form_that_their_heads_say() -> None:
    content = b"instruction,input,output\nAdd.,1 2,3\nSay it.,,It.\n"
    rows = [each.row for each in stream_rows(BytesIO(content), "some.csv")]
    asked = [item_turns(row, joint=" ")[0]["content"] for row in rows]
    assert asked == ["Add. 1 2", "Say it."]


@pytest.mark.parametrize("row", MIXED)
def test_one_object_is_one_row(row: dict[str, Any]) -> None:
    content = json.dumps(row, indent=1).encode()
    assert loaded(content, "one.json") == {"train": [row]}
    assert [each.row for each in stream_rows(BytesIO(content), "one.json")] == [row]


def test_splits_that_are_called_like_columns_are_splits_all_the_same() -> None:
    rows = {"messages": [{"text": "a"}], "text": [{"text": "b"}]}
    content = json.dumps(rows).encode()
    assert loaded(content, "odd.json") == rows
    found = [(each.split, dict(each.row)) for each in stream_rows(BytesIO(content), "odd.json")]
    assert found == [("messages", {"text": "a"}), ("text", {"text": "b"})]


def test_what_is_wrong_is_told_by_line_and_column_all_at_once() -> None:
    bad = [
        {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "a"}]},
        {"instruction": "", "output": "b"},
        {"instruction": "a", "input": ["x"]},
        {"prompt": "a"},
        {"text": []},
        {"word": "a"},
        [1],
        MIXED[0],
    ]
    assert refusal(bad) == [
        "mixed.jsonl:1 train[0].messages: column `messages`: turn 0 is blank",
        "mixed.jsonl:2 train[1].messages: column `messages`: the last turn is the user's, so it is no answer",
        "mixed.jsonl:3 train[2].instruction: column `instruction` is blank",
        "mixed.jsonl:4 train[3].output: column `output` is missing; the row has `instruction`, `input`",
        "mixed.jsonl:4 train[3].input: column `input` holds a list, not text or a number",
        "mixed.jsonl:5 train[4].completion: column `completion` is missing; the row has `prompt`",
        "mixed.jsonl:6 train[5].text: column `text` holds a list, not text or a number",
        (
            "mixed.jsonl:7 train[6]: the row is of no known form: it has neither `messages`, `instruction` and "
            "`output`, `prompt` and `completion`, nor `text`; with a value it has `word`"
        ),
        "mixed.jsonl:8 train[7]: the row is a list, not an object",
    ]


def test_an_input_is_parted_from_its_instruction_as_the_template_parts_them() -> None:
    row = MIXED[2]
    assert item_turns(row, joint=" | ")[0]["content"] == "Say it. | that"
    asked = {
        template: conversation(row, encoding=encoding(template))[0]["content"] for template in ("alpaca", "chatml")
    }
    assert asked == {"alpaca": "Say it.\n\n### Input:\nthat", "chatml": "Say it.\n\nthat"}
    shown = byte_level().decode(encode_prompt(row, encoding=encoding(), tokenizer=byte_level()))
    assert shown.endswith("### Instruction:\nSay it.\n\n### Input:\nthat\n\n### Response:\n")
    assert [turn["role"] for turn in conversation(MIXED[3], encoding=encoding(system_prompt="Other."))] == [
        "system",
        "user",
    ]
    assert conversation(MIXED[3], encoding=encoding(system_prompt="Other."))[0]["content"] == "Be brief."
    assert conversation(MIXED[2], encoding=encoding(system_prompt="Other."))[0]["content"] == "Other."


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mixed_file_is_proven_on_every_family_and_no_row_is_lost(family: str) -> None:
    tokenizer = FAMILIES[family].build()
    proof = prove_mask({"train": MIXED}, encoding=encoding(), tokenizer=tokenizer)
    assert proof.problems == ()
    assert proof.proven == {"train": len(MIXED)}


@pytest.mark.parametrize("template", ("model", "alpaca"))
def test_a_text_is_learnt_whole_with_one_bos_and_one_eos(template: str) -> None:
    tokenizer = byte_level()
    for text in ("j k l", "<s>j k l", "j k l</s>", "<s>j k l</s>"):
        row = {"text": text}
        encoded = encode_row(row, encoding=encoding(template), tokenizer=tokenizer)
        assert marked_text(encoded, tokenizer=tokenizer) == "<s>⟦j k l</s>⟧"
        assert prove_mask({"train": [row]}, encoding=encoding(template), tokenizer=tokenizer).problems == ()
        assert answer_text(row, encoding=encoding(template)) == text


def test_of_a_text_without_bos_nothing_is_learnt_on_its_first_token() -> None:
    tokenizer = byte_family(None, bos=None, eos="</s>")
    encoded = encode_row({"text": "jkl"}, encoding=encoding(), tokenizer=tokenizer)
    assert marked_text(encoded, tokenizer=tokenizer) == "j⟦kl</s>⟧"
    assert prove_mask({"train": [{"text": "jkl"}]}, encoding=encoding(), tokenizer=tokenizer).problems == ()


def test_a_text_asks_nothing_and_says_so_to_whoever_evaluates_it() -> None:
    for read in (conversation, lambda row, encoding: encode_prompt(row, encoding=encoding, tokenizer=byte_level())):
        with pytest.raises(SpecError, match="it is learnt whole and asks nothing"):
            read({"text": "a"}, encoding=encoding())


def test_a_long_text_is_refused_or_cut_as_the_design_says() -> None:
    row, tokenizer = {"text": "jklmnopq"}, byte_level()
    with pytest.raises(SpecError, match="the row has 10 tokens"):
        encode_row(row, encoding=encoding(max_seq_len=6), tokenizer=tokenizer)
    cut = encode_row(row, encoding=encoding(max_seq_len=6, overlong="truncate"), tokenizer=tokenizer)
    assert marked_text(cut, tokenizer=tokenizer) == "<s>⟦jklmn⟧"
    assert cut.truncated


def test_splits_share_a_question_whatever_form_it_has() -> None:
    (shared,) = overlaps(
        {"train": MIXED, "test": [{"question": " e ", "answer": "other"}, {"text": "e f"}]}, column=None
    )
    assert (shared.first, shared.second, shared.rows, shared.example) == ("train", "test", (0,), "e")
    instructions = {"train": [MIXED[2]], "test": [{**MIXED[2], "input": "this"}]}
    assert overlaps(instructions, column=None) == []
