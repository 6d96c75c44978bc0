"""Named templates: their exact strings, one BOS, one end, the prompt masked, and what the families themselves write."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.template_registry import Template, get, is_file, names, register, settled
from cruijff_kit.data.templates import render
from cruijff_kit.data.tokens import IGNORE, Encoding, encode_prompt, encode_row, encoding_problems
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.dataset_type import DatasetType
from tests import tokenizer_zoo
from tests.tokenizer_families import CHATML, FAMILIES, byte_family, piece_family

NAMED = tuple(name for name in names() if name != "model")
CUSTOM = "### {system}Q: {instruction}\nContext: {input}\nA: {output}"
WAYS = (*NAMED, CUSTOM)
PREAMBLE_A = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
PREAMBLE_B = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)
SPECIALS = ("<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


@cache
def byte_level() -> Any:
    """Return a tokenizer that knows the special tokens of every template, and adds BOS as Llama's do."""
    return byte_family(None, *SPECIALS, bos="<s>", eos="</s>", post=("<s>",))


@cache
def plain_family(name: str) -> Any:
    """Return a family's tokenizer without a chat template of its own."""
    tokenizer = FAMILIES[name].build()
    tokenizer.chat_template = None
    return tokenizer


def encoding_of(template: str, kind: DatasetType = "chat", **changes: Any) -> Encoding:
    return Encoding(dataset_type=kind, template=template, **changes)


def talk(*texts: str, system: str = "") -> list[dict[str, str]]:
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *({"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts))]


def written(template: str, turns: Sequence[dict[str, str]], *, asks: bool = False) -> str:
    return render(turns, encoding=encoding_of(template), tokenizer=byte_level(), asks=asks)


def read_back(template: str, turns: Sequence[dict[str, str]]) -> tuple[str, str]:
    """Return prompt and supervised rest of a conversation as its tokens spell them."""
    encoded = encode_row({"messages": turns}, encoding=encoding_of(template), tokenizer=byte_level())
    shown = [encoded.ids[: encoded.prompt_length], encoded.ids[encoded.prompt_length :]]
    return byte_level().decode(shown[0]), byte_level().decode(shown[1])


WITH_INPUT = "Say it.\n\n### Input:\nthat"
SHAPES: Mapping[str, tuple[str, Sequence[dict[str, str]], str, str]] = {
    "alpaca, no input": (
        "alpaca",
        talk("Say it.", "It."),
        f"{PREAMBLE_A}\n\n### Instruction:\nSay it.\n\n### Response:\n",
        "It.</s>",
    ),
    "alpaca, with input": (
        "alpaca",
        talk(WITH_INPUT, "It."),
        f"{PREAMBLE_B}\n\n### Instruction:\nSay it.\n\n### Input:\nthat\n\n### Response:\n",
        "It.</s>",
    ),
    "alpaca, a blank input is none": (
        "alpaca",
        talk("Say it.\n\n### Input:\n  ", "It."),
        f"{PREAMBLE_A}\n\n### Instruction:\nSay it.\n\n### Response:\n",
        "It.</s>",
    ),
    "alpaca, system": (
        "alpaca",
        talk("Say it.", "It.", system="Be brief."),
        "Be brief.\n\n### Instruction:\nSay it.\n\n### Response:\n",
        "It.</s>",
    ),
    "chatml": (
        "chatml",
        talk("Hi.", "Hello.", system="Be brief."),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n",
        "Hello.<|im_end|>",
    ),
    "chatml, several turns": (
        "chatml",
        talk("Hi.", "Hello.", "Why?", "So."),
        (
            "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
            "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
        ),
        "So.<|im_end|>",
    ),
    "llama2, one turn": ("llama2", talk("Hi.", "Hello."), "<s>[INST] Hi. [/INST] ", "Hello. </s>"),
    "llama2, system": (
        "llama2",
        talk("Hi.", "Hello.", system="Be brief."),
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi. [/INST] ",
        "Hello. </s>",
    ),
    "llama2, several turns": (
        "llama2",
        talk("Hi.", "Hello.", "Why?", "So."),
        "<s>[INST] Hi. [/INST] Hello. </s><s>[INST] Why? [/INST] ",
        "So. </s>",
    ),
    "llama3": (
        "llama3",
        talk("Hi.", "Hello.", system="Be brief."),
        (
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
            "<|end_header_id|>\n\nHi.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        "Hello.<|eot_id|>",
    ),
    "tinyllama": ("tinyllama", talk("Hi.", "Hello."), "<|user|>\nHi.</s>\n<|assistant|>\n", "Hello.</s>"),
    "custom": ("Q: {question}\nA: {answer}", talk("Hi.", "Hello."), "Q: Hi.\nA: ", "Hello.</s>"),
    "custom, with input": (CUSTOM, talk(WITH_INPUT, "It."), "### Q: Say it.\nContext: that\nA: ", "It.</s>"),
    "custom, text behind the answer": ("{input} -> {output} END", talk("a", "b"), "a -> ", "b END</s>"),
    "custom, braces and quotes": (
        "{{'x\\ny': \"{input}\"}} ü🙂 = {output}",
        talk("a", "b"),
        "{'x\\ny': \"a\"} ü🙂 = ",
        "b</s>",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_template_writes_exactly_its_known_shape(case: str) -> None:
    template, turns, prompt, answer = SHAPES[case]
    # A custom template and those without an end of their own have EOS from the text itself.
    assert written(template, turns) == prompt + answer
    assert written(template, turns[:-1], asks=True) == prompt


@pytest.mark.parametrize("case", SHAPES)
def test_the_tokens_of_a_row_spell_that_shape_with_one_bos_and_one_end(case: str) -> None:
    template, turns, prompt, answer = SHAPES[case]
    begun = "" if prompt.startswith("<s>") else "<s>"
    assert read_back(template, turns) == (begun + prompt, answer)


@pytest.mark.parametrize("template", WAYS)
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=8), min_size=2, max_size=6).filter(lambda each: len(each) % 2 == 0))
def test_the_inference_form_is_a_prefix_of_the_training_form(template: str, texts: list[str]) -> None:
    for system in ("", "Be brief."):
        turns = talk(*texts, system=system)
        whole = written(template, turns)
        for index, turn in enumerate(turns):
            if turn["role"] == "assistant":
                asked = written(template, turns[:index], asks=True)
                assert whole.startswith(asked + turn["content"])


def learnt(labels: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = None
    for at, label in enumerate((*labels, IGNORE)):
        if label != IGNORE and start is None:
            start = at
        if label == IGNORE and start is not None:
            yield start, at
            start = None


ROWS = (
    {"messages": talk("amber", "Amber")},
    {"messages": talk("Which one?\nThe first.", "This one: naïve, 42 %", system="Be brief.")},
    {"messages": talk("Which one?", "This one.", "And then?", "That one.", "Why?", "Because.")},
    {"messages": talk("日本 🙂", "🙂 日本", "amber", "Amber", system="日本")},
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("template", WAYS)
def test_every_template_is_proven_on_every_family_of_tokenizers(template: str, family: str) -> None:
    encoding, tokenizer = encoding_of(template), plain_family(family)
    assert encoding_problems(encoding, tokenizer=tokenizer) == []
    proof = prove_mask({"train": ROWS}, encoding=encoding, tokenizer=tokenizer)
    assert proof.problems == ()
    assert proof.proven == {"train": len(ROWS)}
    for row in ROWS:
        encoded = encode_row(row, encoding=encoding, tokenizer=tokenizer)
        assert encode_prompt(row, encoding=encoding, tokenizer=tokenizer) == encoded.ids[: encoded.prompt_length]
        stretches = list(learnt(encoded.labels))
        answers = [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]
        assert len(stretches) == len(answers)
        for (start, stop), answer in zip(stretches, answers, strict=True):
            text = tokenizer.decode(encoded.ids[start:stop], skip_special_tokens=True)
            assert "".join(text.split()).startswith("".join(answer.split()))


SAME = {
    "llama2": ("llama2", "llama2"),
    "llama3": ("llama3", "llama3"),
    "chatml on qwen": ("chatml", "qwen25"),
    "chatml on smollm": ("chatml", "smollm"),
    "tinyllama": ("tinyllama", "zephyr"),
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("system", ("", "Be brief."))
def test_a_named_template_gives_the_ids_of_the_family_it_is_named_after(case: str, system: str) -> None:
    template, family = SAME[case]
    tokenizer = FAMILIES[family].build()
    if template == "chatml":
        tokenizer.chat_template = CHATML
    if template == "llama3":
        # Later ones of the family write a dated system message first, which Llama 3 itself did not.
        swapped = (("<|start|>", "<|start_header_id|>"), ("<|end|>", "<|end_header_id|>"), ("<|eot|>", "<|eot_id|>"))
        tokenizer.chat_template = tokenizer_zoo.LLAMA3
        for theirs, ours in swapped:
            tokenizer.chat_template = tokenizer.chat_template.replace(theirs, ours)
    for texts in (("amber", "Amber"), ("Which one?", "This one.", "And then?", "That one.")):
        row = {"messages": talk(*texts, system=system)}
        own, named = (encode_row(row, encoding=encoding_of(each), tokenizer=tokenizer) for each in ("model", template))
        assert named.ids == own.ids
        assert named.labels == own.labels
        assert named.answers == own.answers


def test_the_llama3_template_is_that_of_the_later_ones_but_for_their_dated_system_message() -> None:
    tokenizer = FAMILIES["llama3"].build()
    turns = talk("Hi.", "Hello.", "Why?")
    own, named = (
        render(turns, encoding=encoding_of(each), tokenizer=tokenizer, asks=True) for each in ("model", "llama3")
    )
    head, _, rest = own.partition("<|eot_id|>")
    assert "Today Date" in head
    assert named == f"<|begin_of_text|>{rest}"


def test_a_tokenizer_that_begins_texts_with_a_blank_does_not_write_the_blank_of_the_template_again() -> None:
    tokenizer = piece_family(None, bos="<s>", eos="</s>", blank_first=True)
    encoded = encode_row({"messages": talk("Hi.", "Ha.")}, encoding=encoding_of("llama2"), tokenizer=tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(encoded.ids)
    assert "".join(tokens[encoded.prompt_length - 3 :]) == "ST<0x5D>▁Ha.▁</s>"


def test_without_end_tokens_of_its_own_a_template_ends_in_text_and_eos() -> None:
    tokenizer = plain_family("gpt2")
    row = {"messages": talk("a", "b", "c", "d")}
    encoded = encode_row(row, encoding=encoding_of("chatml"), tokenizer=tokenizer)
    texts = [tokenizer.decode(encoded.ids[start:stop]) for start, stop in encoded.answers]
    assert texts == ["b<|im_end|><|endoftext|>", "d<|im_end|><|endoftext|>"]


@pytest.mark.parametrize("template", ("alpaca", "llama2", CUSTOM))
def test_turns_that_are_not_taken_are_refused_in_words(template: str) -> None:
    with pytest.raises(SpecError, match="user and assistant must take turns"):
        written(template, [*talk("a", "b"), {"role": "assistant", "content": "c"}])


def test_a_template_without_a_place_for_a_system_message_refuses_one() -> None:
    with pytest.raises(SpecError, match=re.escape("it has no `{system}`, and there is a system message")):
        written("{input} {output}", talk("a", "b", system="Be brief."))


@pytest.mark.parametrize(
    "text,fact",
    (
        ("{question}", "it names no answer"),
        ("{output}", "it names no question"),
        ("{input} {output} {output}", "it names more than one answer"),
        ("{output} {input}", "`{input}` follows the answer"),
        ("{prompt} {question} {output}", "more than one question"),
        ("{input} {outptu}", "unknown placeholder `{outptu}`"),
        ("chatlm", "unknown template `chatlm`; known are `model`, `alpaca`"),
        ("chatlm", "did you mean `chatml`?"),
    ),
)
def test_a_template_that_is_none_is_refused_with_what_it_lacks(text: str, fact: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fact)):
        get(text)


def test_templates_go_by_their_names_and_jobs_are_told_those_or_the_text() -> None:
    assert names()[:6] == ("model", "alpaca", "chatml", "llama2", "llama3", "tinyllama")
    assert get("llama") == get("llama2")
    assert settled("llama") == "llama2"
    assert settled("{input}{output}") == "{input}{output}"
    assert is_file("templates/mine.txt")
    assert not is_file("{input}{output}")
    for taken in ("alpaca", "llama", "no name"):
        with pytest.raises(ValueError, match="cannot be registered"):
            register(Template(taken, "{input}{output}", "mine"))
    register(Template("of_this_test", "Q {input} A {output}", "mine"))
    assert "of_this_test" in names()
    assert settled("of_this_test") == "Q {input} A {output}"
    assert written("of_this_test", talk("a", "b")) == "Q a A b</s>"


def test_a_users_own_chat_template_is_taken_as_it_stands() -> None:
    jinja = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{{ eos_token }}{% endfor %}"
    assert written(jinja, talk("a", "b")) == "<user>a</s><assistant>b</s>"


def test_a_template_has_no_place_in_plain_text() -> None:
    (problem,) = encoding_problems(encoding_of("alpaca", "text_completion"), tokenizer=byte_level())
    assert problem.path == "controls.template"
    assert "writes no conversations" in problem.message


def test_a_model_without_a_chat_template_is_told_that_one_can_be_named() -> None:
    (problem,) = encoding_problems(encoding_of("model"), tokenizer=plain_family("gpt2"))
    assert "name one with `template`, such as `chatml`" in problem.hint
