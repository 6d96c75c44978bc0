"""The mask gate: twelve families, three types of rows, prompts learnt or not; each cell proven or refused in words."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.mask import marked_text
from cruijff_kit.data.tokens import (
    IGNORE,
    Encoded,
    Encoding,
    answer_text,
    conversation,
    encode_conversation,
    encode_prompt,
    encode_row,
)
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.dataset_type import DatasetType
from tests.tokenizer_families import FAMILIES

Row = Mapping[str, Any]


def talk(*texts: str, system: str = "") -> dict[str, Any]:
    """Return a conversation in which user and assistant take turns."""
    roles = ("user", "assistant")
    turns = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": [{"role": "system", "content": system}, *turns] if system else turns}


PAIRS = (
    {"input": "amber", "output": "Amber"},
    {"input": "Which one?\nThe first.", "output": "This one: naïve, 42 %"},
    {"input": "Question: basin\nAnswer:", "output": " Basin, or:\n\nbasin."},
    {"input": "日本 🙂", "output": "🙂 日本"},
)
TALKS = (
    talk("amber", "Amber"),
    talk("Which one?", "This one.", "And then?", "That one: naïve.", "Why?", "Because."),
    talk("日本", "🙂 日本", "amber", "Amber"),
)
ROWS: Mapping[DatasetType, tuple[Row, ...]] = {"chat_completion": PAIRS, "text_completion": PAIRS, "chat": TALKS}
TYPES: tuple[DatasetType, ...] = ("chat_completion", "text_completion", "chat")
CELLS = list(product(FAMILIES, TYPES, (False, True)))
REFUSED = {
    ("gpt2", "chat_completion"): "`chat_completion` needs a chat template",
    ("gpt2", "chat"): "`chat` needs a chat template",
    ("glm4", "chat"): "turn 1 is an earlier answer, and the model's chat template marks no end of an answer",
}
PROMPTS: Mapping[DatasetType, str] = {"text_completion": "Q: {input}\nA:"}


@cache
def tokenizer_of(family: str) -> Any:
    return FAMILIES[family].build()


def encoding_of(kind: DatasetType, **changes: Any) -> Encoding:
    return Encoding(**{"dataset_type": kind, "prompt": PROMPTS.get(kind, "{input}"), **changes})


def squeezed(text: str) -> str:
    """Return a text without blanks: tokenizers of the SentencePiece kind add some when they read back."""
    return "".join(text.split())


def learnt(encoded: Encoded) -> Iterator[tuple[int, int]]:
    """Yield start and end of every supervised stretch, from the labels alone."""
    start = None
    for at, label in enumerate((*encoded.labels, IGNORE)):
        if label != IGNORE and start is None:
            start = at
        if label == IGNORE and start is not None:
            yield start, at
            start = None


def answers_of(row: Row, kind: DatasetType) -> list[str]:
    if kind != "chat":
        return [row["output"]]
    return [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]


def whole_text(row: Row, family: str) -> str:
    """Return a row as the template itself renders it, without the empty thought that Qwen3 writes."""
    turns = row.get("messages") or [
        {"role": "user", "content": row["input"]},
        {"role": "assistant", "content": row["output"]},
    ]
    text = tokenizer_of(family).apply_chat_template(turns, tokenize=False, date_string="26 Jul 2024")
    return squeezed(text.replace("<think>\n\n</think>\n\n", ""))


def test_the_grid_is_whole() -> None:
    assert len(FAMILIES) == 12
    assert len(CELLS) == 72


@pytest.mark.parametrize("family,kind,both", CELLS)
def test_every_cell_is_proven_or_refused_in_words(family: str, kind: DatasetType, both: bool) -> None:
    encoding, tokenizer = encoding_of(kind, train_on_input=both), tokenizer_of(family)
    proof = prove_mask({"train": ROWS[kind]}, encoding=encoding, tokenizer=tokenizer)
    if (family, kind) in REFUSED:
        (problem,) = proof.problems
        assert REFUSED[family, kind] in problem.message
        assert problem.path == "controls.dataset_type"
        assert "dataset_type: " in problem.hint
        return
    assert proof.problems == ()
    assert proof.proven == proof.rows == {"train": len(ROWS[kind])}


@pytest.mark.parametrize("family,kind,both", [cell for cell in CELLS if cell[:2] not in REFUSED])
def test_what_a_proven_cell_teaches_is_its_answers_and_their_ends(family: str, kind: DatasetType, both: bool) -> None:
    known, tokenizer = FAMILIES[family], tokenizer_of(family)
    end = known.eos if kind == "text_completion" else known.end
    for row in ROWS[kind]:
        plain = encode_row(row, encoding=encoding_of(kind), tokenizer=tokenizer)
        stretches = list(learnt(plain))
        texts = [tokenizer.decode(plain.ids[start:stop]) for start, stop in stretches]
        assert [squeezed(text) for text in texts] == [squeezed(answer + end) for answer in answers_of(row, kind)]
        assert {plain.ids[stop - 1] for _, stop in stretches} == {tokenizer.convert_tokens_to_ids(end)}
        assert stretches[-1][1] == len(plain.ids)
        encoded = encode_row(row, encoding=encoding_of(kind, train_on_input=both), tokenizer=tokenizer)
        assert encoded.ids == plain.ids
        assert encoded.labels == ((IGNORE, *plain.ids[1:]) if both else plain.labels)


@pytest.mark.parametrize("family,kind", sorted({cell[:2] for cell in CELLS} - set(REFUSED)))
def test_an_evaluation_sends_what_training_reads_before_the_last_answer(family: str, kind: DatasetType) -> None:
    encoding, tokenizer = encoding_of(kind), tokenizer_of(family)
    for row in ROWS[kind]:
        encoded = encode_row(row, encoding=encoding, tokenizer=tokenizer)
        asked = {**row, "output": "another answer"} if kind != "chat" else row
        assert encode_prompt(asked, encoding=encoding, tokenizer=tokenizer) == encoded.ids[: encoded.prompt_length]
        sent = encode_conversation(conversation(row, encoding=encoding), encoding=encoding, tokenizer=tokenizer)
        assert sent == encoded.ids[: encoded.prompt_length]
        assert answer_text(row, encoding=encoding) == answers_of(row, kind)[-1]


@pytest.mark.parametrize("family,kind", sorted({cell[:2] for cell in CELLS} - set(REFUSED)))
def test_a_row_begins_with_one_bos_where_its_family_has_one(family: str, kind: DatasetType) -> None:
    bos, tokenizer = FAMILIES[family].bos, tokenizer_of(family)
    for row in ROWS[kind]:
        ids = encode_row(row, encoding=encoding_of(kind), tokenizer=tokenizer).ids
        # Llama 2 begins anew with every question.
        expected = len(answers_of(row, kind)) if family == "llama2" else 1
        if bos:
            assert ids[0] == tokenizer.convert_tokens_to_ids(bos)
            assert ids.count(ids[0]) == expected


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "gpt2"])
@pytest.mark.parametrize("kind", ("chat_completion", "chat"))
def test_a_row_is_the_text_that_its_template_writes(family: str, kind: DatasetType) -> None:
    tokenizer = tokenizer_of(family)
    for row in ROWS[kind] if (family, kind) not in REFUSED else TALKS[:1]:
        ids = encode_row(row, encoding=encoding_of(kind), tokenizer=tokenizer).ids
        ours = squeezed(tokenizer.decode(ids)).removesuffix("<|endoftext|>" if family == "glm4" else "")
        begun = FAMILIES[family].bos if family == "zephyr" else ""
        assert (begun + whole_text(row, family)).startswith(ours)
        assert squeezed(answers_of(row, kind)[-1]) in ours


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(question=st.text(max_size=12), answer=st.text(min_size=1, max_size=12))
def test_whatever_a_row_says_training_and_evaluation_read_the_same(family: str, question: str, answer: str) -> None:
    tokenizer = tokenizer_of(family)
    kind: DatasetType = "text_completion" if family == "gpt2" else "chat_completion"
    encoding = encoding_of(kind)
    encoded = encode_row({"input": question, "output": answer}, encoding=encoding, tokenizer=tokenizer)
    ((start, stop),) = learnt(encoded)
    assert encoded.ids[:start] == encode_prompt({"input": question}, encoding=encoding, tokenizer=tokenizer)
    assert stop == len(encoded.ids)


def test_the_design_gives_its_system_prompt_to_rows_that_have_none() -> None:
    encoding, tokenizer = encoding_of("chat", system_prompt="Be brief."), tokenizer_of("phi3")
    own, none = talk("a", "b", system="Be long."), talk("a", "b")
    texts = [tokenizer.decode(encode_prompt(row, encoding=encoding, tokenizer=tokenizer)) for row in (own, none)]
    assert [text.partition("<|end|>")[0] for text in texts] == ["<|system|>\nBe long.", "<|system|>\nBe brief."]


@pytest.mark.parametrize("family", [name for name, known in FAMILIES.items() if not known.system])
def test_a_family_without_a_system_role_refuses_a_system_prompt_in_words(family: str) -> None:
    for kind in ("chat_completion", "chat"):
        encoding = encoding_of(kind, system_prompt="Be brief.")
        (problem,) = prove_mask({"train": ROWS[kind]}, encoding=encoding, tokenizer=tokenizer_of(family)).problems
        assert "refuses a conversation of system, user" in problem.message
        assert problem.path == "controls.system_prompt"
        assert problem.hint == "leave `system_prompt` empty where the template knows no system role"


@pytest.mark.parametrize(
    "family,row",
    (
        ("qwen3", talk("a", "<think>\nhm\n</think>\n\nb", "c", "d")),
        ("tekken", talk("a", "b", "c", "d", system="Be brief.")),
    ),
)
def test_a_conversation_whose_earlier_turns_are_rewritten_is_refused_but_can_be_asked(family: str, row: Row) -> None:
    encoding, tokenizer = encoding_of("chat"), tokenizer_of(family)
    (problem,) = prove_mask({"train": [row]}, encoding=encoding, tokenizer=tokenizer).problems
    assert problem.message.startswith("train[0]: turn ")
    assert "cannot be supervised" in problem.message
    assert "give each row one question and its answer" in problem.hint
    sent = encode_prompt(row, encoding=encoding, tokenizer=tokenizer)
    turns = list(row["messages"][:-1])
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(sent) == rendered


def test_a_thought_before_the_only_answer_is_learnt_with_it() -> None:
    encoding, tokenizer = encoding_of("chat"), tokenizer_of("qwen3")
    row = talk("a", "<think>\nhm\n</think>\n\nb")
    assert prove_mask({"train": [row]}, encoding=encoding, tokenizer=tokenizer).problems == ()
    encoded = encode_row(row, encoding=encoding, tokenizer=tokenizer)
    assert marked_text(encoded, tokenizer=tokenizer).endswith("assistant\n⟦<think>\nhm\n</think>\n\nb<|im_end|>⟧")


def test_every_answer_of_a_conversation_is_marked_for_the_reader() -> None:
    encoded = encode_row(TALKS[2], encoding=encoding_of("chat"), tokenizer=tokenizer_of("phi3"))
    assert marked_text(encoded, tokenizer=tokenizer_of("phi3")) == (
        "<|user|>\n日本<|end|>\n<|assistant|>\n⟦🙂 日本<|end|>⟧\n<|user|>\namber<|end|>\n<|assistant|>\n⟦Amber<|end|>⟧"
    )


def test_of_many_rows_a_seeded_sample_is_proven_and_the_proof_says_so() -> None:
    rows = [{"input": str(at), "output": str(at)} for at in range(50)]
    encoding, tokenizer = encoding_of("text_completion"), tokenizer_of("gpt2")
    proof = prove_mask({"train": rows, "validation": rows[:3]}, encoding=encoding, tokenizer=tokenizer, bound=10)
    assert proof.rows == {"train": 50, "validation": 3}
    assert proof.proven == {"train": 10, "validation": 3}
    assert proof == prove_mask(
        {"train": rows, "validation": rows[:3]}, encoding=encoding, tokenizer=tokenizer, bound=10
    )


@pytest.mark.parametrize(
    "row,fact",
    (
        ({"input": "a", "output": "b<|end|>c"}, "an answer holds an end token before its end"),
        ({"input": "a"}, "column `output` is missing"),
    ),
)
def test_a_row_that_teaches_something_else_is_named_with_what_it_teaches(row: Row, fact: str) -> None:
    rows = [PAIRS[0], row, row]
    (problem,) = prove_mask(
        {"train": rows}, encoding=encoding_of("chat_completion"), tokenizer=tokenizer_of("phi3")
    ).problems
    assert problem.message.startswith(f"train[1]: {fact}")
    assert problem.message.endswith("; so have 1 more of 3 rows of `train` looked at")
    assert problem.hint


def test_an_answer_that_the_tokenizer_loses_is_refused() -> None:
    tokenizer = FAMILIES["gemma"].build()
    # Without its bytes such a tokenizer writes `<unk>` for what it does not know.
    tokenizer.backend_tokenizer.model.byte_fallback = False
    (problem,) = prove_mask(
        {"train": [PAIRS[3]]}, encoding=encoding_of("chat_completion"), tokenizer=tokenizer
    ).problems
    assert "do not read back as the answer" in problem.message


@pytest.mark.parametrize("kind", ("chat_completion", "chat"))
def test_a_row_that_is_cut_keeps_what_was_proven_of_the_rest(kind: DatasetType) -> None:
    tokenizer = tokenizer_of("qwen25")
    whole = encode_row(ROWS[kind][1], encoding=encoding_of(kind), tokenizer=tokenizer)
    tight = encoding_of(kind, max_seq_len=len(whole.ids) - 3, overlong="truncate")
    assert prove_mask({"train": [ROWS[kind][1]]}, encoding=tight, tokenizer=tokenizer).problems == ()
    cut = encode_row(ROWS[kind][1], encoding=tight, tokenizer=tokenizer)
    assert (cut.ids, cut.truncated) == (whole.ids[:-3], True)
    with pytest.raises(SpecError, match="no room for an answer"):
        encode_row(ROWS[kind][1], encoding=tight.model_copy(update={"max_seq_len": 5}), tokenizer=tokenizer)
