"""Structured answers and their tokens: one text, cut where labels part, the same in training and evaluation."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.labels import decision_ids
from cruijff_kit.data.structured import (
    INPUT_TEMPLATE,
    TEXT_KEY,
    answer_head,
    answer_json,
    answer_tail,
    label_of,
    metadata_text,
    question_row,
    system_prompt,
)
from cruijff_kit.data.tokens import Encoding, encode_prompt, encode_row, encoding_problems
from cruijff_kit.errors import PlanError
from cruijff_kit.scoring.json_decision import read_decision
from tests.tokenizer_families import piece_family
from tests.tokenizer_zoo import byte_level, merging

LABELS = ("HIGH_RISK", "LOW_RISK", "HIGH", "1", "10", 'a "quoted" one', "größer")
TEXTS = [answer_json(label, rationale="it says so") for label in LABELS]
TOKENIZERS = (
    byte_level(),
    piece_family(None, bos="<s>", eos="</s>", blank_first=True),
    merging(TEXTS),
    merging([*TEXTS, "nothing of the sort"], post_bos=True),
)


@given(st.text().filter(lambda text: text.strip()), st.text())
def test_an_answer_is_read_back_as_it_was_decided(label: str, rationale: str) -> None:
    found = read_decision(answer_json(label, rationale=rationale))
    assert (found.decision, found.rationale, found.valid) == (label.strip(), rationale, True)


@given(st.text())
def test_an_abstention_has_no_decision_and_says_so(rationale: str) -> None:
    assert json.loads(answer_json(None, rationale=rationale)) == {
        "decision": None,
        "rationale": rationale,
        "abstain": True,
    }


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_decisions_are_the_ids_of_training_cut_where_they_part(tokenizer: object) -> None:
    found = decision_ids(LABELS, tokenizer=tokenizer)  # type: ignore[arg-type] -- made by transformers
    for at, label in enumerate((*LABELS, None)):
        whole = (*found.lead, *found.head(at))
        assert list(whole) == tokenizer.encode(answer_head(label), add_special_tokens=False)  # type: ignore[attr-defined] -- made by transformers
    for at, ids in enumerate(found.decisions):
        assert ids
        assert all(other[: len(ids)] != ids for place, other in enumerate(found.decisions) if place != at)


@pytest.mark.parametrize("labels", ((), ("a", " "), ("a", "a")))
def test_labels_that_cannot_be_told_apart_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(PlanError):
        decision_ids(labels, tokenizer=byte_level())


def test_a_training_row_goes_on_behind_the_prompt_of_its_evaluation_with_lead_label_and_tail() -> None:
    tokenizer = byte_level()
    encoding = Encoding(dataset_type="chat_completion", prompt=INPUT_TEMPLATE, input_key=TEXT_KEY)
    assert not encoding_problems(encoding, tokenizer=tokenizer)
    found = decision_ids(("no", "yes"), tokenizer=tokenizer)
    asked = question_row("Is it?", {"b": 1, "a": "é"})
    prompt = encode_prompt(asked, encoding=encoding, tokenizer=tokenizer)
    for at, label in enumerate(("no", "yes", None)):
        row = {**asked, "label": label, "output": answer_json(label, rationale="so")}
        learnt = encode_row(row, encoding=encoding, tokenizer=tokenizer)
        assert learnt.ids[: len(prompt)] == prompt
        assert learnt.ids[len(prompt) :][: len(found.lead) + len(found.head(at))] == (*found.lead, *found.head(at))


def test_metadata_are_the_same_text_in_any_order() -> None:
    assert metadata_text({"b": 1, "a": 2}) == metadata_text({"a": 2, "b": 1}) == '{"a": 2, "b": 1}'
    assert metadata_text(None) == "{}"


def test_the_label_of_a_row_is_its_column_or_what_its_answer_decides() -> None:
    assert label_of({"label": "no", "output": answer_json("yes")}, output_key="output") == "no"
    assert label_of({"output": answer_json("yes")}, output_key="output") == "yes"
    deep = {"output": '{"decision": ' + "[" * 100_000}
    for row in ({"label": None}, {"output": answer_json(None)}, {"output": "{"}, {"output": "[1]"}, deep, {}):
        assert label_of(row, output_key="output") == "null"


def test_the_system_message_shows_answers_that_can_be_read() -> None:
    said = [line for line in system_prompt(("no", "yes")).splitlines() if line.startswith("{")]
    assert [read_decision(line).valid for line in said] == [True, True]
    assert answer_tail("no") in said[0]
