"""Augmentation: a few words change, the same ones for the same seed, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.augmentation import METHODS, augment, method_problem
from cruijff_kit.data.holdout import hold_out
from cruijff_kit.data.splits import AUGMENTED_FROM
from cruijff_kit.data.words.synonyms import load_synonyms, parse_synonyms
from cruijff_kit.errors import SpecError

TEXT = "The BIG storm may\tkill many people, so please leave the house quickly."


def changed(method: str, text: str = TEXT, *, share: float = 0.2, seed: int = 1, copy: int = 0) -> str:
    return augment(text, method, share=share, seed=seed, copy=copy, synonyms=load_synonyms())


@pytest.mark.parametrize("method", METHODS)
def test_a_change_is_fixed_by_text_seed_and_copy(method: str) -> None:
    assert changed(method) == changed(method)
    several = {changed(method, seed=seed, copy=copy, share=0.4) for seed in range(6) for copy in range(3)}
    assert len(several) > 3


@given(st.text(max_size=80), st.sampled_from(sorted(METHODS)), st.floats(0.01, 0.99), st.integers(0, 5))
def test_no_text_is_too_odd_and_none_becomes_blank(text: str, method: str, share: float, seed: int) -> None:
    found = changed(method, text, share=share, seed=seed)
    assert found.strip() or not text.strip()
    if not text.split():
        assert found == text


def test_a_synonym_keeps_marks_blanks_and_capitals() -> None:
    words = [changed("synonym_replacement", share=0.9, seed=seed) for seed in range(20)]
    assert all("\t" in each and each.endswith(".") and "people" not in each for each in words)
    assert {each.split()[1] for each in words} == {"LARGE", "HUGE", "SIZEABLE"}


def test_swaps_and_insertions_lose_no_word_and_deletions_add_none() -> None:
    words = sorted(TEXT.split())
    assert sorted(changed("random_swap").split()) == words
    inserted = changed("random_insertion", share=0.3).split()
    assert len(inserted) > len(words)
    assert not set(words) - set(inserted)
    assert set(changed("random_deletion", share=0.4).split()) < set(words)


def test_deletion_takes_about_the_share_of_words_asked_for() -> None:
    text = " ".join(f"w{at}" for at in range(1000))
    left = [len(changed("random_deletion", text, share=0.3, seed=seed).split()) for seed in range(5)]
    assert all(640 < count < 760 for count in left)


def test_contextual_embedding_is_refused_with_the_reason() -> None:
    assert "a second language model" in method_problem("contextual_embedding")
    assert method_problem("unheard_of").startswith("unknown method `unheard_of`")
    assert not any(method_problem(name) for name in METHODS)


def test_the_shipped_synonyms_are_mutual_and_a_list_of_single_words_is_refused() -> None:
    known = load_synonyms()
    assert all(word in known[other] and word != other for word, others in known.items() for other in others)
    assert parse_synonyms(b"Big large\n\nbig vast\n", name="own")["big"] == ("large", "vast")
    for content in (b"", b"alone\n", b"\xff\xfe"):
        with pytest.raises(SpecError, match="own"):
            parse_synonyms(content, name="own")


def test_copies_are_never_held_out_nor_learnt_where_their_origin_is_tested() -> None:
    rows = [{"text": f"text {at}"} for at in range(20)]
    copies = [{"text": f"texts {at}", AUGMENTED_FROM: f"text {at}"} for at in range(20)]
    learnt, held = hold_out([*rows, *copies], share=0.3, seed=1)
    assert held
    assert not any(AUGMENTED_FROM in row for row in held)
    tested = {row["text"] for row in held}
    assert not any(row.get(AUGMENTED_FROM, row["text"]) in tested for row in learnt)
