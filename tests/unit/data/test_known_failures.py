"""Five ways in which masks go wrong elsewhere without a word: what each gives, and that the checks here refuse it."""

from typing import Any

from cruijff_kit.data.gate import prove_mask
from cruijff_kit.data.mask import check_mask
from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding, encode_prompt, encode_row
from tests.tokenizer_families import FAMILIES, byte_family
from tests.tokenizer_zoo import merging

CHAT = Encoding(dataset_type="chat_completion")
TEXT = Encoding(dataset_type="text_completion", prompt="Question: {input}\nAnswer: ")
ROW = {"input": "amber", "output": "Amber"}
TURNS = [{"role": "user", "content": "amber"}, {"role": "assistant", "content": "Amber"}]
GENERATION = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Marks what the assistant says, and leaves the end of its turn outside."""


def with_generation() -> Any:
    return byte_family(GENERATION, "<|im_start|>", "<|im_end|>", bos=None, eos="<|im_end|>")


def by_assistant_mask(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return ids and labels as the tokenizer's own mask of assistant tokens gives them."""
    made = tokenizer.apply_chat_template(TURNS, return_dict=True, return_assistant_tokens_mask=True)
    ids = tuple(made["input_ids"])
    return ids, tuple(token if spoken else IGNORE for token, spoken in zip(ids, made["assistant_masks"], strict=True))


def facts_of(ids: tuple[int, ...], labels: tuple[int, ...], tokenizer: Any, encoding: Encoding = CHAT) -> list[str]:
    """Return what the check says of labels that somebody else made for the row."""
    prompt = len(encode_prompt(ROW, encoding=encoding, tokenizer=tokenizer))
    return [
        problem.message for problem in check_mask(Encoded(ids, labels, prompt), encoding=encoding, tokenizer=tokenizer)
    ]


def proven(tokenizer: Any, encoding: Encoding = CHAT) -> bool:
    return prove_mask({"train": [ROW]}, encoding=encoding, tokenizer=tokenizer).problems == ()


def test_a_template_without_generation_marks_never_makes_everything_supervised() -> None:
    """The mask falls back to all ones, so that questions are learnt too (NeMo Megatron-Bridge 3359)."""
    tokenizer = FAMILIES["qwen25"].build()
    ids, labels = by_assistant_mask(tokenizer)
    fallback = labels if any(label != IGNORE for label in labels) else ids
    assert fallback == ids
    assert "a prompt token is supervised" in facts_of(ids, fallback, tokenizer)
    encoded = encode_row(ROW, encoding=CHAT, tokenizer=tokenizer)
    assert encoded.labels[: encoded.prompt_length] == (IGNORE,) * encoded.prompt_length
    assert proven(tokenizer)


def test_a_row_that_is_cut_never_loses_all_that_is_learnt() -> None:
    """A long prompt pushes the answer over the limit, and the row teaches nothing (trl 3927)."""
    tokenizer = with_generation()
    ids, labels = by_assistant_mask(tokenizer)
    limit = next(at for at, label in enumerate(labels) if label != IGNORE)
    assert facts_of(ids[:limit], labels[:limit], tokenizer) == [
        "no token is supervised",
        "the end token is not supervised",
    ]
    for overlong in ("refuse", "truncate"):
        tight = CHAT.model_copy(update={"max_seq_len": limit, "overlong": overlong})
        (problem,) = prove_mask({"train": [ROW]}, encoding=tight, tokenizer=tokenizer).problems
        assert "leaves no room for an answer" in problem.message
        assert "controls.max_seq_len" in problem.hint
    cut = CHAT.model_copy(update={"max_seq_len": limit + 1, "overlong": "truncate"})
    assert encode_row(ROW, encoding=cut, tokenizer=tokenizer).labels[limit:] == ids[limit : limit + 1]


def test_the_end_of_a_turn_is_never_left_outside_the_mask() -> None:
    """The marks stand around the content alone, so that a model never learns to stop (trl 5988)."""
    tokenizer = with_generation()
    ids, labels = by_assistant_mask(tokenizer)
    end = max(at for at, label in enumerate(labels) if label != IGNORE) + 1
    assert tokenizer.decode(ids[end : end + 1]) == "<|im_end|>"
    assert facts_of(ids[: end + 1], labels[: end + 1], tokenizer) == [
        "a token of an answer is not supervised",
        "the end token is not supervised",
    ]
    encoded = encode_row(ROW, encoding=CHAT, tokenizer=tokenizer)
    assert tokenizer.decode(encoded.labels[-1:]) == "<|im_end|>"
    assert proven(tokenizer)


def test_a_marker_that_is_tokenised_otherwise_in_its_row_never_masks_the_whole_row() -> None:
    """The words before an answer are sought by their ids, not found, and all is ignored (liquid-finetune 37)."""
    tokenizer = merging(["Question: amber\nAnswer: Amber"] * 20)
    ids = tuple(tokenizer.encode("Question: amber\nAnswer: Amber<|eos|>", add_special_tokens=False))
    marker = tuple(tokenizer.encode("Answer: ", add_special_tokens=False))
    found = [at for at in range(len(ids)) if ids[at : at + len(marker)] == marker]
    assert found == [], "this tokenizer was built to merge across the marker"
    assert "no token is supervised" in facts_of(ids, (IGNORE,) * len(ids), tokenizer, TEXT)
    assert proven(tokenizer, TEXT)


def test_a_family_whose_template_marks_no_answers_is_learnt_all_the_same() -> None:
    """The family's own template marks nothing, and writes a thought that nobody thought (Qwen3 1522)."""
    tokenizer = FAMILIES["qwen3"].build()
    ids, labels = by_assistant_mask(tokenizer)
    assert set(labels) == {IGNORE}
    assert "no token is supervised" in facts_of(ids, labels, tokenizer)
    # What stands after the header is not the answer alone either.
    prompt = len(encode_prompt(ROW, encoding=CHAT, tokenizer=tokenizer))
    assert tokenizer.decode(ids[prompt:]) == "<think>\n\n</think>\n\nAmber<|im_end|>\n"
    encoded = encode_row(ROW, encoding=CHAT, tokenizer=tokenizer)
    assert tokenizer.decode(encoded.ids[prompt:]) == "Amber<|im_end|>"
    assert proven(tokenizer)
