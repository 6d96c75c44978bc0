"""The promise of equal tokens."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.mask import check_mask, marked_text
from cruijff_kit.data.tokens import (
    IGNORE,
    Encoded,
    Encoding,
    encode_prompt,
    encode_row,
    encoding_problems,
    prompt_sha256,
    stop_ids,
)
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.config import DatasetConfig
from tests.tokenizer_zoo import CHATML, LLAMA3, LLAMA3_DATED, byte_level, merging

CHAT = Encoding(dataset_type="chat_completion")
TEXT = Encoding(dataset_type="text_completion", prompt="Q: {input}\nA: ")
ROW = {"input": "hello", "output": "Hello"}
MERGES = ["A: Hello"] * 20

ZOO = {
    "template and post-processor both write BOS": (CHAT, byte_level()),
    "only the template writes BOS": (CHAT, byte_level(post_bos=False)),
    "only the post-processor writes BOS": (CHAT, byte_level(template=LLAMA3.removeprefix("{{ bos_token }}"))),
    "the template has a default system text": (CHAT, byte_level(template=CHATML, post_bos=False, bos=None)),
    "merges cross the seam": (TEXT, merging(MERGES)),
    "plain completion": (TEXT, byte_level(template=None)),
    "plain completion with an unused chat template": (TEXT, byte_level()),
}
every_tokenizer = pytest.mark.parametrize("encoding, tokenizer", ZOO.values(), ids=ZOO.keys())
every_bos_rule = pytest.mark.parametrize("encoding, tokenizer", list(ZOO.values())[:3], ids=list(ZOO)[:3])


def text_of(tokenizer: Any, ids: tuple[int, ...]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False)


@every_tokenizer
@settings(max_examples=25, deadline=None)
@given(question=st.text(max_size=20), answer=st.text(max_size=20))
def test_training_reads_the_very_ids_that_evaluation_sends(
    encoding: Encoding, tokenizer: Any, question: str, answer: str
) -> None:
    row = {"input": question, "output": answer}
    encoded = encode_row(row, encoding=encoding, tokenizer=tokenizer)
    sent = encode_prompt({"input": question}, encoding=encoding, tokenizer=tokenizer)
    first_supervised = next(at for at, label in enumerate(encoded.labels) if label != IGNORE)
    assert encoded.ids[:first_supervised] == sent
    assert len(sent) == encoded.prompt_length


@every_tokenizer
def test_answer_and_end_are_supervised_and_nothing_else(encoding: Encoding, tokenizer: Any) -> None:
    encoded = encode_row(ROW, encoding=encoding, tokenizer=tokenizer)
    supervised = tuple(label for label in encoded.labels if label != IGNORE)
    end = "<|eot|>" if encoding is CHAT else "<|eos|>"
    assert text_of(tokenizer, supervised) == "Hello" + end
    assert supervised[-1] == tokenizer.convert_tokens_to_ids(end)
    assert check_mask(encoded, encoding=encoding, tokenizer=tokenizer) == []


@every_bos_rule
def test_there_is_one_bos_whoever_writes_it(encoding: Encoding, tokenizer: Any) -> None:
    ids = encode_row(ROW, encoding=encoding, tokenizer=tokenizer).ids
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_plain_completion_is_never_rendered_by_a_chat_template() -> None:
    tokenizer = byte_level()
    ids = encode_prompt(ROW, encoding=TEXT, tokenizer=tokenizer)
    assert text_of(tokenizer, ids) == "<|bos|>Q: hello\nA: "


def test_a_tokenizer_that_asks_for_no_bos_gets_none() -> None:
    tokenizer = merging(MERGES)
    assert tokenizer.bos_token_id not in encode_prompt(ROW, encoding=TEXT, tokenizer=tokenizer)


def test_the_seam_holds_where_the_joint_text_would_merge_across_it() -> None:
    tokenizer = merging(MERGES)
    prompt = encode_prompt(ROW, encoding=TEXT, tokenizer=tokenizer)
    joint = tuple(tokenizer.encode("Q: hello\nA: Hello", add_special_tokens=False))
    assert joint[: len(prompt)] != prompt, "this tokenizer was built to merge across the seam"
    encoded = encode_row(ROW, encoding=TEXT, tokenizer=tokenizer)
    assert encoded.ids[: encoded.prompt_length] == prompt
    assert text_of(tokenizer, encoded.ids) == "Q: hello\nA: Hello<|eos|>"


def test_the_template_date_is_pinned_in_every_pattern() -> None:
    tokenizer = byte_level(template=LLAMA3_DATED)
    pinned = CHAT.model_copy(update={"template_date": "01 Feb 2023"})
    text = text_of(tokenizer, encode_prompt(ROW, encoding=pinned, tokenizer=tokenizer))
    assert "Today: 01 Feb 2023 2023/02" in text


def test_a_date_in_no_known_form_is_written_as_it_stands() -> None:
    tokenizer = byte_level(template=LLAMA3_DATED)
    pinned = CHAT.model_copy(update={"template_date": "the ides of March"})
    assert "the ides of March the ides of March" in text_of(
        tokenizer, encode_prompt(ROW, encoding=pinned, tokenizer=tokenizer)
    )


def test_an_empty_system_prompt_shows_the_default_text_on_both_sides() -> None:
    tokenizer = byte_level(template=CHATML, post_bos=False, bos=None)
    encoded = encode_row(ROW, encoding=CHAT, tokenizer=tokenizer)
    sent = encode_prompt(ROW, encoding=CHAT, tokenizer=tokenizer)
    assert text_of(tokenizer, sent).startswith("<|start|>system\nYou are helpful.<|eot|>\n")
    assert encoded.ids[: len(sent)] == sent


def test_a_system_prompt_passes_through_unchanged() -> None:
    tokenizer = byte_level()
    encoding = CHAT.model_copy(update={"system_prompt": "Be {brief}, please"})
    text = text_of(tokenizer, encode_prompt(ROW, encoding=encoding, tokenizer=tokenizer))
    assert "<|start|>system<|end|>\n\nBe {brief}, please<|eot|>" in text


def test_a_long_row_is_refused_by_name_with_the_remedy() -> None:
    encoding = TEXT.model_copy(update={"max_seq_len": 12})
    row = {"input": "ab", "output": "long answer"}
    with pytest.raises(SpecError, match=r"train\[3\].*`max_seq_len` is `12`") as refusal:
        encode_row(row, encoding=encoding, tokenizer=byte_level(), place="train[3]")
    assert "overlong: truncate" in refusal.value.problems[0].hint


def test_a_cut_row_keeps_its_prompt_and_some_supervised_answer() -> None:
    encoding = TEXT.model_copy(update={"max_seq_len": 12, "overlong": "truncate"})
    tokenizer = byte_level()
    encoded = encode_row({"input": "ab", "output": "long answer"}, encoding=encoding, tokenizer=tokenizer)
    assert encoded.truncated
    assert text_of(tokenizer, encoded.ids) == "<|bos|>Q: ab\nA: lo"
    assert check_mask(encoded, encoding=encoding, tokenizer=tokenizer) == []


@pytest.mark.parametrize("overlong", ("refuse", "truncate"))
def test_a_prompt_that_leaves_no_room_is_refused_even_when_rows_may_be_cut(overlong: str) -> None:
    encoding = TEXT.model_copy(update={"max_seq_len": 10, "overlong": overlong})
    with pytest.raises(SpecError, match="no room for an answer"):
        encode_row({"input": "ab", "output": "x"}, encoding=encoding, tokenizer=byte_level())


def test_the_prompt_is_supervised_only_when_asked_for() -> None:
    encoding = CHAT.model_copy(update={"train_on_input": True})
    encoded = encode_row(ROW, encoding=encoding, tokenizer=byte_level())
    assert encoded.labels == (IGNORE, *encoded.ids[1:])
    assert encoded.ids == encode_row(ROW, encoding=CHAT, tokenizer=byte_level()).ids


def test_other_columns_and_other_keys_serve_the_prompt() -> None:
    encoding = Encoding(dataset_type="text_completion", prompt="{topic}|{input}|", input_key="question", output_key="n")
    row = {"question": "how many", "topic": "ducks", "n": 7}
    tokenizer = byte_level(template=None, post_bos=False)
    assert text_of(tokenizer, encode_row(row, encoding=encoding, tokenizer=tokenizer).ids) == "ducks|how many|7<|eos|>"


def test_a_prompt_that_names_the_answer_is_refused() -> None:
    encoding = TEXT.model_copy(update={"prompt": "{input} {output}"})
    with pytest.raises(SpecError, match="unknown column `output`; the rows have `input`"):
        encode_prompt(ROW, encoding=encoding, tokenizer=byte_level())


@pytest.mark.parametrize("row, fact", (({"input": "x"}, "missing"), ({"input": "x", "output": None}, "NoneType")))
def test_a_row_without_an_answer_is_refused(row: dict[str, str], fact: str) -> None:
    with pytest.raises(SpecError, match=f"`output` .*{fact}"):
        encode_row(row, encoding=TEXT, tokenizer=byte_level())


def test_generation_stops_at_the_trained_end_and_at_eos() -> None:
    tokenizer = byte_level()
    ends = stop_ids(encoding=CHAT, tokenizer=tokenizer)
    assert [text_of(tokenizer, (end,)) for end in ends] == ["<|eot|>", "<|eos|>"]
    assert stop_ids(encoding=TEXT, tokenizer=tokenizer) == (tokenizer.eos_token_id,)


def test_a_template_without_an_end_token_gets_eos() -> None:
    template = "{% for message in messages %}{{ message['content'] + '\n## end\n' }}{% endfor %}"
    tokenizer = byte_level(template=template, post_bos=False)
    encoded = encode_row(ROW, encoding=CHAT, tokenizer=tokenizer)
    assert text_of(tokenizer, encoded.ids) == "hello\n## end\nHello\n## end<|eos|>"


def test_a_template_that_knows_no_system_role_is_reported_in_words() -> None:
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + LLAMA3
    encoding = CHAT.model_copy(update={"system_prompt": "be brief"})
    with pytest.raises(SpecError, match="no system role"):
        encode_prompt(ROW, encoding=encoding, tokenizer=byte_level(template=template))


def test_everything_wrong_with_an_encoding_is_told_at_once() -> None:
    chat = Encoding(dataset_type="chat_completion", prompt="Say it")
    paths = [problem.path for problem in encoding_problems(chat, tokenizer=byte_level(template=None))]
    assert paths == ["controls.dataset_type", "controls.prompt"]
    text = Encoding(dataset_type="text_completion", system_prompt="be brief")
    assert [problem.path for problem in encoding_problems(text, tokenizer=byte_level())] == ["controls.system_prompt"]
    assert encoding_problems(CHAT, tokenizer=byte_level()) == []


def test_special_tokens_spelled_out_in_a_row_are_found() -> None:
    tokenizer = byte_level()
    encoded = encode_row({"input": "a<|bos|>b", "output": "x"}, encoding=CHAT, tokenizer=tokenizer)
    (problem,) = check_mask(encoded, encoding=CHAT, tokenizer=tokenizer, place="train[0]")
    assert "2 BOS" in problem.message
    assert problem.place == "train[0]"


@pytest.mark.parametrize(
    "encoded, fact",
    (
        (Encoded((1, 2, 3), (IGNORE, IGNORE, IGNORE), 2), "no token is supervised"),
        (Encoded((1, 2, 3), (IGNORE, 2, 3), 2), "a prompt token is supervised"),
        (Encoded((1, 2, 3), (IGNORE, IGNORE, 4), 2), "labels and ids disagree"),
        (Encoded((1, 2, 3), (2, IGNORE, 3), 0), "a token of an answer is not supervised"),
        (Encoded((1, 2, 3), (IGNORE, IGNORE, 3), 2), "the end token is not supervised"),
    ),
)
def test_a_wrong_mask_is_found(encoded: Encoded, fact: str) -> None:
    problems = check_mask(encoded, encoding=CHAT, tokenizer=byte_level())
    assert any(fact in problem.message for problem in problems)


def test_a_row_is_shown_with_its_supervised_part_marked() -> None:
    tokenizer = byte_level()
    encoded = encode_row(ROW, encoding=TEXT, tokenizer=tokenizer)
    assert marked_text(encoded, tokenizer=tokenizer) == "<|bos|>Q: hello\nA: ⟦Hello<|eos|>⟧"


def test_the_prompt_hash_covers_little_endian_32_bit_ids() -> None:
    assert prompt_sha256((1, 256)) == hashlib.sha256(b"\x01\0\0\0\0\x01\0\0").hexdigest()


def test_an_encoding_is_read_from_a_job_configuration() -> None:
    block = DatasetConfig(
        path="/data.json",
        sha256="0" * 64,
        dataset_type="text_completion",
        prompt="{input}!",
        system_prompt="",
        template_date="2024-07-26",
        max_seq_len=9,
        overlong="truncate",
    )
    assert Encoding.of(block) == Encoding(
        dataset_type="text_completion",
        prompt="{input}!",
        template_date="2024-07-26",
        max_seq_len=9,
        overlong="truncate",
    )
