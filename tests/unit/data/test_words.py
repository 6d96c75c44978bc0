"""The shipped words suffice for every demo, and half of them are kept for tests."""

import hashlib

from cruijff_kit.data.words import load_words, parse_words, pretraining_half


def test_the_shipped_words_are_many_plain_and_sorted() -> None:
    words = load_words()
    assert sum(len(word) == 5 for word in words) >= 5_000
    assert list(words) == sorted(set(words))
    assert all(word.isascii() and word.islower() and 3 <= len(word) <= 10 for word in words)


def test_about_half_of_the_words_of_each_length_are_kept_for_tests() -> None:
    for length in range(3, 11):
        words = [word for word in load_words() if len(word) == length]
        assert 0.45 < sum(map(pretraining_half, words)) / len(words) < 0.55


def test_the_halves_never_change() -> None:
    half = [word for word in load_words() if pretraining_half(word)]
    assert hashlib.sha256("\n".join(half).encode()).hexdigest()[:16] == "b9dfe67ec105c5ca"


def test_capitals_marks_and_repeats_are_left_out_of_a_list() -> None:
    assert parse_words("\ufeffb\nA\n a \nb\nit's\nx1\nété\nßa\n\n".encode()) == ("a", "b", "été")


def test_upper_and_lower_case_of_a_word_are_in_one_half() -> None:
    assert all(pretraining_half(word) == pretraining_half(word.upper()) for word in load_words()[:100])
