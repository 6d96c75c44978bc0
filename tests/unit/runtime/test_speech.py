"""Text of an answer in the making: never taken back, and the same in the end as if it had been read at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from transformers import AutoTokenizer

from cruijff_kit.runtime.speech import Speech, cut_at
from tests.tokenizer_zoo import byte_level, merging

TOKENIZERS = (byte_level(), merging(["the river bank at the river", "straße über straße", "世界世界"]))


def told(tokenizer: Any, ids: list[int], *, stops: tuple[str, ...] = ()) -> tuple[list[str], Speech]:
    speech, pieces = Speech(tokenizer, vocabulary=len(tokenizer), stops=stops), []
    for token in ids:
        speech.add(token)
        pieces.append(speech.take())
        if speech.stopped:
            break
    pieces.append(speech.finish(tokenizer.decode(ids, skip_special_tokens=True)))
    return pieces, speech


@given(which=some.sampled_from(TOKENIZERS), numbers=some.lists(some.integers(0, 10**6), max_size=24))
def test_any_tokens_whatever_are_told_as_they_read_together(which: Any, numbers: list[int]) -> None:
    ids = [number % len(which) for number in numbers]
    assert "".join(told(which, ids)[0]) == which.decode(ids, skip_special_tokens=True)


@given(which=some.sampled_from(TOKENIZERS), text=some.text(max_size=20), stop=some.text(min_size=1, max_size=3))
def test_a_stop_string_is_never_told_not_even_its_beginning(which: Any, text: str, stop: str) -> None:
    ids = which.encode(f"{text}{stop}more", add_special_tokens=False)
    whole = which.decode(ids, skip_special_tokens=True)
    pieces, speech = told(which, ids, stops=("never there", stop))
    assert "".join(pieces) == (whole.partition(stop)[0] if stop in whole else whole)
    assert speech.stopped == (stop in whole)


def test_a_character_of_several_tokens_is_told_once_it_is_whole() -> None:
    tokenizer = TOKENIZERS[0]
    ids = tokenizer.encode("a世b", add_special_tokens=False)
    assert told(tokenizer, ids)[0] == ["a", "", "", "世", "b", ""]


def test_rows_that_the_tokenizer_does_not_know_read_as_nothing() -> None:
    tokenizer = TOKENIZERS[0]
    speech = Speech(tokenizer, vocabulary=len(tokenizer))
    speech.add(len(tokenizer) + 2)
    assert speech.take() == ""


@pytest.mark.parametrize(
    "stops, expected", (((), None), (("x",), None), (("c", "b"), "a"), (("bc", "abcd"), ""), (("d",), "abc"))
)
def test_a_text_is_cut_at_the_first_of_its_stop_strings(stops: tuple[str, ...], expected: str | None) -> None:
    assert cut_at("abcd", stops) == expected


def test_tokenizers_that_begin_words_with_a_blank_lose_none(tmp_path: Any) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # As those of Llama 2's kind: a blank begins a word, and the first one of a text is dropped.
    words = {"▁the": 0, "▁river": 1, "▁bank": 2, "s": 3}
    backend = Tokenizer(
        models.BPE(vocab={**words, "<0xE4>": 4, "<0xB8>": 5, "<0x96>": 6}, merges=[], byte_fallback=True)
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert "".join(told(tokenizer, [0, 1, 3, 4, 5, 6, 2])[0]) == "the rivers世 bank"
