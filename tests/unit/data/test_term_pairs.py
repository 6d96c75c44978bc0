"""Terms for a person's group: whole words, in their case, both ways, and never by guess."""

import pytest

from cruijff_kit.data.term_pairs import BUNDLED, parse_pairs, swap_row, swap_text, term_pairs
from cruijff_kit.errors import SpecError

GENDER = term_pairs(BUNDLED["gender"])


@pytest.mark.parametrize("text", ("the weather in the mountains", "close the door", "a human manual of heroes"))
def test_a_term_within_another_word_is_none(text: str) -> None:
    swapped = swap_text(text, GENDER)
    assert (swapped.value, swapped.terms, swapped.unclear) == (text, 0, False)


@pytest.mark.parametrize(
    "text,expected",
    (
        ("He told the man.", "She told the woman."),
        ("HE SAID IT", "SHE SAID IT"),
        ("his brother and sister", "her sister and brother"),
        ("Mr Jones is a waiter", "Ms Jones is a waitress"),
        ("he, she; he", "she, he; she"),
    ),
)
def test_terms_are_swapped_at_once_in_the_case_they_were_written_in(text: str, expected: str) -> None:
    assert swap_text(text, GENDER).value == expected


def test_a_term_of_several_counterparts_is_left_alone_and_told() -> None:
    swapped = swap_text("I gave her the book, he said", GENDER)
    assert (swapped.value, swapped.unclear) == ("I gave her the book, he said", True)


def test_terms_with_letters_and_blanks_of_their_own_are_found_and_what_only_looks_like_one_stays() -> None:
    pairs = term_pairs([("große", "kleine"), ("black  man", "white man")])
    swapped = swap_text("Große und GROSSE, a black man", pairs)
    assert (swapped.value, swapped.terms) == ("Kleine und KLEINE, a white man", 3)
    turkish = swap_text("MİSTRESS WİFE, sıster, he", GENDER)
    assert (turkish.value, turkish.terms) == ("MİSTRESS WİFE, sıster, she", 1)


def test_swapping_twice_gives_the_text_back() -> None:
    pairs = term_pairs([*BUNDLED["age"], *BUNDLED["nationality"], *BUNDLED["race"]])
    text = "A young German met an older Turkish teenager and a Black  woman."
    once = swap_text(text, pairs).value
    assert once == "A old Turkish met an younger German pensioner and a White woman."
    assert swap_text(once, pairs).value == text.replace("  ", " ")


def test_of_a_row_the_question_is_swapped_and_the_answer_stays() -> None:
    row = {"input": "he asks", "output": "he", "n": 3}
    assert swap_row(row, GENDER, columns=["input", "n"]).value == {"input": "she asks", "output": "he", "n": 3}
    turns = {"messages": [{"role": "user", "content": "is he in?"}, {"role": "assistant", "content": "he is"}]}
    told = swap_row(turns, GENDER, columns=["messages"])
    assert [turn["content"] for turn in told.value["messages"]] == ["is she in?", "he is"]


@pytest.mark.parametrize(
    "text,said",
    (
        ("- [he, she]\n- he\n- [a, a]\n", ":2"),
        ("he: she\n", "no list of terms"),
        ("[]\n", "no list of terms"),
    ),
)
def test_a_file_of_pairs_is_refused_with_the_line_that_is_wrong(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_pairs(text, name="terms.yaml")
    assert said in str(refused.value)
    assert parse_pairs("- [he, she]\n", name="terms.yaml") == (("he", "she"),)
