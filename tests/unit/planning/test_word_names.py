"""Names of two words: none comes twice, the same seed gives the same, and each may be a directory and a job."""

import hashlib
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cruijff_kit.data.words.names import load_adjectives, load_nouns
from cruijff_kit.errors import SpecError
from cruijff_kit.planning.word_names import drawn_names, name_of_hash, names_in_order
from cruijff_kit.schema.noun import Name

PAIRS = len(load_adjectives()) * len(load_nouns())
LEGAL = TypeAdapter(Name)


@pytest.mark.parametrize("seed", (0, 1, 14))
def test_a_hundred_thousand_names_have_no_collision_and_need_no_number(seed: int) -> None:
    names = drawn_names(100_000, seed=seed)
    assert len({name.lower() for name in names}) == 100_000
    assert not [name for name in names if any(symbol.isdigit() for symbol in name)]


def test_when_all_pairs_are_used_up_a_number_is_added_and_still_none_repeats() -> None:
    names = list(islice(names_in_order(3), 2 * PAIRS + 10))
    assert len(set(names)) == len(names)
    assert {name.count("_") for name in names[:PAIRS]} == {1}
    assert names[PAIRS : 2 * PAIRS] == [f"{name}_2" for name in names[:PAIRS]]
    assert names[2 * PAIRS] == f"{names[0]}_3"


def test_every_name_is_legal_as_a_directory_and_a_job_with_a_seed_and_a_hash_behind_it() -> None:
    longest = max((name for name in islice(names_in_order(0), PAIRS)), key=len)
    for name in (longest, *drawn_names(500, seed=5)):
        LEGAL.validate_python(f"{name}_2_seed4294967295-0123abcd")
    assert not set(load_adjectives()) & set(load_nouns())
    assert all(word.isascii() and word.isalpha() and word.islower() for word in (*load_adjectives(), *load_nouns()))


@given(st.integers(0, 2**64), st.integers(1, 40))
def test_a_seed_fixes_the_order_and_fewer_names_are_the_first_of_more(seed: int, number: int) -> None:
    assert drawn_names(number, seed=seed) == drawn_names(number + 5, seed=seed)[:number]


def test_another_seed_gives_another_order() -> None:
    assert not set(drawn_names(20, seed=0)) & set(drawn_names(20, seed=1))


def test_taken_names_are_left_out_whatever_their_case_and_the_rest_stay_in_order() -> None:
    first, second, third = drawn_names(3, seed=0)
    assert drawn_names(2, seed=0, taken={first.upper(), "unrelated"}) == (second, third)


@pytest.mark.parametrize("number", (0, -1, 100_001))
def test_a_number_of_names_that_nobody_reads_is_refused(number: int) -> None:
    with pytest.raises(SpecError, match="from 1 to 100000"):
        drawn_names(number, seed=0)


def test_names_that_were_given_once_are_given_for_ever() -> None:
    # Ids of runs are made of them: a word more, or one in another place, would rename runs that exist.
    words = "\n".join((*load_adjectives(), "", *load_nouns()))
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == "78a5698b23d18f79"
    assert drawn_names(3, seed=0) == ("verdant_zephyr", "novel_sparrow", "rapid_koala")
    assert name_of_hash("0123456789abcdef" * 4) == "full_grouse"
