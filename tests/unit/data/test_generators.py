"""Generators give the same rows everywhere, and their splits share nothing."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.generators.registry import GENERATORS, check_arguments, dataset_meta, make_dataset, named_files
from cruijff_kit.data.loaders import load_splits
from cruijff_kit.data.splits import overlaps
from cruijff_kit.data.words import load_words, pretraining_half
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.data import DatasetFacts
from tests.people import SCHEMA, csv_bytes, people
from tests.person_file import person_csv
from tests.small_data import SMALL
from tests.twin_table import twin_csv

FILES: Mapping[str, dict[str, bytes]] = {
    "tabular": {"source": csv_bytes(people()), "schema_file": SCHEMA.encode()},
    "acs": {"source": person_csv(500)},
    "twins": {"source": twin_csv(60, traits=2)},
}
GOLDEN = {
    "model_organisms": "model_organisms-dff78bcb 2b2a23b02de807a0",
    "acs": "ACSIncome_verbose_58d10fee 175e35bfad6a78c1",
    "acs_stand_in": "StandIn_ACSTravelTime_verbose_ad2cdcb1 a169620429dccfa0",
    "synthetic_twins": "synthetic_twins-0ba31d46 3f69c29550cccd1d",
    "twins": "twins-ff96a15f 6430885558e46e23",
    "bit_chances": "bit_chances-68ebdf24 edb9247bc95abf08",
    "number_sequences": "number_sequences-5031a7f4 c59985062e15d063",
    "reports": "reports-b41379ef 7a596974ad761b18",
    "bit_sequences": "bit_sequences-b799bd69 c35444891eed6d07",
    "capitalization": "capitalization-9433d8a3 50ec4ceeea50ef54",
    "tabular": "table_80-10-10_30c72d90 ebd5f811cb4aac1d",
}
NAMES = st.sampled_from(sorted(GENERATORS))


@pytest.mark.parametrize("name", GENERATORS)
def test_rows_and_keys_are_the_same_bytes_on_every_machine(name: str) -> None:
    made = make_dataset(name, SMALL[name], files=FILES.get(name, {}))
    assert made.facts.key + " " + made.facts.sha256[:16] == GOLDEN[name]


@given(NAMES, st.integers(0, 2**40))
@settings(max_examples=25, deadline=None)
def test_splits_are_disjoint_declared_and_read_back(name: str, seed: int) -> None:
    files = FILES.get(name, {})
    made = make_dataset(name, {**SMALL[name], "seed": seed}, files=files)
    assert tuple(made.splits) == GENERATORS[name].splits
    assert overlaps(made.splits) == []
    assert load_splits(made.content, name="x.json") == {key: list(rows) for key, rows in made.splits.items()}
    assert make_dataset(name, {**SMALL[name], "seed": seed}, files=files) == made


@pytest.mark.parametrize(
    "name,argument,value",
    (
        ("capitalization", "word_length", 6),
        ("capitalization", "train", 21),
        ("capitalization", "validation", 6),
        ("capitalization", "test", 11),
        ("capitalization", "other_lengths", [4, 8]),
        ("capitalization", "other_count", 7),
        ("capitalization", "seed", 7),
        ("capitalization", "form", "chat"),
        ("bit_chances", "bit_length", 8),
        ("bit_chances", "letters", "ab"),
        ("bit_chances", "low", 0.2),
        ("bit_chances", "high", 0.8),
        ("bit_chances", "steepness", 2.0),
        ("bit_chances", "train", 41),
        ("bit_chances", "validation", 11),
        ("bit_chances", "calibration", 11),
        ("bit_chances", "test", 21),
        ("bit_chances", "seed", 7),
        ("reports", "mixed", 0.5),
        ("reports", "noise", 0.3),
        ("reports", "train", 41),
        ("reports", "validation", 11),
        ("reports", "calibration", 11),
        ("reports", "test", 21),
        ("reports", "seed", 7),
        ("model_organisms", "input_type", "digits"),
        ("model_organisms", "k", 7),
        ("model_organisms", "N", 31),
        ("model_organisms", "seed", 7),
        ("model_organisms", "design", "memorization"),
        ("model_organisms", "format", "dense"),
        ("model_organisms", "rule_kwargs", {"noise_scale": 2}),
        ("model_organisms", "split_ratio", 0.7),
        ("model_organisms", "test_size", 11),
        ("model_organisms", "calibration_size", 5),
        ("number_sequences", "scenario", "uu"),
        ("number_sequences", "in_seq_len", 2),
        ("number_sequences", "train", 41),
        ("number_sequences", "validation", 9),
        ("number_sequences", "test", 21),
        ("number_sequences", "limit", 400),
        ("number_sequences", "digits", "9876543210"),
        ("number_sequences", "width", 4),
        ("number_sequences", "seed", 7),
        ("bit_sequences", "letters", "ab"),
        ("bit_sequences", "aloud", True),
        ("bit_sequences", "repeats", True),
        ("bit_sequences", "bit_length", 7),
        ("bit_sequences", "N", 41),
        ("bit_sequences", "val_size", 11),
        ("bit_sequences", "test_size", 9),
        ("bit_sequences", "bit_parity", False),
        ("bit_sequences", "p", 0.5),
        ("acs_stand_in", "task", "ACSMobility"),
        ("acs_stand_in", "form", "terse"),
        ("acs_stand_in", "order", "each"),
        ("acs_stand_in", "balanced", True),
        ("acs_stand_in", "answers", ["a", "b"]),
        ("acs_stand_in", "groups", ["MAR"]),
        ("acs_stand_in", "train", 61),
        ("acs_stand_in", "validation", 11),
        ("acs_stand_in", "calibration", 8),
        ("acs_stand_in", "test", 16),
        ("acs_stand_in", "seed", 7),
        ("acs_stand_in", "people", 700),
        ("acs_stand_in", "population_seed", 1),
        ("synthetic_twins", "form", "difference"),
        ("synthetic_twins", "decimals", 3),
        ("synthetic_twins", "answers", ["DZ", "MZ"]),
        ("synthetic_twins", "validation", 0.2),
        ("synthetic_twins", "calibration", 0.2),
        ("synthetic_twins", "test", 0.2),
        ("synthetic_twins", "seed", 7),
        ("synthetic_twins", "pairs", 61),
        ("synthetic_twins", "identical", 0.3),
        ("synthetic_twins", "traits", 2),
        ("synthetic_twins", "a2", 0.7),
        ("synthetic_twins", "c2", [0.1, 0.2, 0.3]),
        ("bit_sequences", "seed", 7),
    ),
)
def test_every_argument_changes_the_rows_and_the_key(name: str, argument: str, value: Any) -> None:
    one, other = make_dataset(name, SMALL[name]), make_dataset(name, {**SMALL[name], argument: value})
    assert one.content != other.content
    assert one.facts.key != other.facts.key


def test_a_rule_that_a_model_organism_follows_changes_its_answers_and_its_key() -> None:
    one, other = (make_dataset("model_organisms", {"rule": rule}) for rule in ("parity", "majority"))
    assert one.content != other.content
    assert one.facts.key != other.facts.key


def test_defaults_written_out_give_the_same_key() -> None:
    assert make_dataset("capitalization", {"word_length": 5}).facts == make_dataset("capitalization", {}).facts


def test_test_words_are_unseen_by_a_base_model_and_of_the_right_length() -> None:
    splits = make_dataset("capitalization", {}).splits
    tested = [*splits["test"], *splits["other_lengths"]]
    assert not [row for row in tested if pretraining_half(row["input"])]
    assert {row["word_length"] for row in splits["test"]} == {"5"}
    assert {row["word_length"] for row in splits["other_lengths"]} == {"4", "6", "7", "8"}
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 800,
        "validation": 100,
        "test": 200,
        "other_lengths": 400,
    }


def test_words_counted_together_are_the_first_ones_of_the_same_drawing() -> None:
    apart = make_dataset("capitalization", {"train": 80, "validation": 10, "test": 10}).splits
    counted = make_dataset("capitalization", {"num_words": 100}).splits
    fewer = make_dataset("capitalization", {"num_words": 100, "train_fraction": 0.5, "other_lengths": []}).splits
    assert counted == apart
    assert {name: len(rows) for name, rows in fewer.items()} == {
        "train": 50,
        "validation": 25,
        "test": 25,
        "other_lengths": 0,
    }


def test_conversations_hold_the_same_words_each_in_one_split() -> None:
    rows, talks = (
        make_dataset("capitalization", {**SMALL["capitalization"], "form": form}) for form in ("rows", "chat")
    )
    assert overlaps(talks.splits, column=None) == []
    for split, found in rows.splits.items():
        turns = [[turn["content"] for turn in talk["messages"]] for talk in talks.splits[split]]
        assert turns == [[row["input"], row["output"]] for row in found]


def test_other_lengths_leave_out_the_words_own_unless_they_are_named() -> None:
    six = make_dataset("capitalization", {"word_length": 6}).facts.arguments["other_lengths"]
    assert six == [4, 7, 8]
    assert check_arguments("capitalization", {"word_length": 6}) == []


def test_ones_own_words_replace_the_shipped_ones_and_count_by_content() -> None:
    listed = "\n".join(load_words()[::2]).encode()
    here = make_dataset("capitalization", {**SMALL["capitalization"], "words": "a.txt"}, files={"words": listed})
    moved = make_dataset("capitalization", {**SMALL["capitalization"], "words": "b.txt"}, files={"words": listed})
    shorter = make_dataset("capitalization", {**SMALL["capitalization"], "words": "a.txt"}, files={"words": listed[9:]})
    assert here.facts.key == moved.facts.key != shorter.facts.key
    assert here.content == moved.content
    assert named_files("capitalization", {"words": "a.txt"}) == {"words": "a.txt"}


def test_too_short_a_list_says_for_which_argument_and_how_much_there_is() -> None:
    with pytest.raises(SpecError) as caught:
        make_dataset("capitalization", {"words": "w.txt"}, files={"words": b"hello\nworld\nABC\n"})
    assert [problem.path for problem in caught.value.problems] == ["test", "train", *["other_count"] * 4]
    assert "the list has" in str(caught.value)


def test_a_words_file_that_nobody_read_is_missing() -> None:
    with pytest.raises(SpecError, match=r"file `w\.txt` is missing"):
        make_dataset("capitalization", {"words": "w.txt"})


def test_words_that_are_no_text_are_refused() -> None:
    with pytest.raises(SpecError, match="not UTF-8"):
        make_dataset("capitalization", {"words": "w.txt"}, files={"words": b"\xff\xfe"})


def test_a_length_is_named_once_and_is_another_length() -> None:
    with pytest.raises(SpecError) as caught:
        make_dataset("capitalization", {"other_lengths": [4, 4, 5]})
    assert len(caught.value.problems) == 2


@given(p=st.sampled_from([0.0, 1.0]))
def test_a_certain_flip_turns_every_parity(p: float) -> None:
    rows = make_dataset("bit_sequences", {**SMALL["bit_sequences"], "p": p}).splits["train"]
    assert all(int(row["output"]) == (row["input"].count("1") + p) % 2 for row in rows)


def test_a_larger_flip_rate_flips_the_same_sequences_and_more() -> None:
    def flipped(p: float) -> set[str]:
        splits = make_dataset("bit_sequences", {**SMALL["bit_sequences"], "p": p}).splits
        rows = [row for split in splits.values() for row in split]
        return {row["input"] for row in rows if int(row["output"]) != row["input"].count("1") % 2}

    assert set() < flipped(0.2) < flipped(0.6)


@pytest.mark.parametrize(
    "arguments,path",
    (
        ({"bit_length": 4, "N": 17, "val_size": 2, "test_size": 2}, "N"),
        ({"bit_length": 4, "N": 16, "val_size": 8, "test_size": 8}, "val_size"),
    ),
)
def test_sizes_beyond_the_documented_bounds_are_refused(arguments: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_dataset("bit_sequences", arguments)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_wrong_arguments_are_all_named_with_what_was_meant() -> None:
    problems = check_arguments("capitalization", {"word_lenght": 5, "train": -1, "seed": "x"})
    assert {problem.path for problem in problems} == {"word_lenght", "train", "seed"}
    assert next(problem for problem in problems if problem.path == "word_lenght").hint == "write `word_length`"


def test_an_unknown_generator_is_told_the_nearest() -> None:
    (problem,) = check_arguments("capitalisation", {})
    assert problem.hint == "write `capitalization`"


def test_the_sidecar_says_how_to_make_the_data_again() -> None:
    made = make_dataset("bit_sequences", SMALL["bit_sequences"])
    assert made.facts.sha256 == hashlib.sha256(made.content).hexdigest()
    text = dataset_meta(made.facts).decode().replace('"schema_version": 1,', "")
    facts = DatasetFacts.model_validate_json(text)
    assert facts == made.facts
    assert make_dataset(str(facts.generator), facts.arguments) == made
