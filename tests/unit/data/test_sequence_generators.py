"""Bits and numbers in sequences: labels as said, splits apart, and the first system's faults mended."""

from typing import Any

import pytest

from cruijff_kit.data.generators.registry import check_arguments, make_dataset
from cruijff_kit.data.splits import Splits

SCENARIOS = ("pp", "pu", "up", "uu")


def numbers_of(splits: Splits, split: str) -> list[list[int]]:
    """Return the numbers of each question of a split."""
    return [[int(number) for number in row["input"].split()] for row in splits[split]]


def bits_of(**arguments: Any) -> Splits:
    """Return the splits of bit sequences."""
    small = {"bit_length": 8, "N": 200, "val_size": 40, "test_size": 40}
    return make_dataset("bit_sequences", {**small, **arguments}).splits


def test_draws_with_replacement_leave_validation_whole_and_none_of_it_in_training() -> None:
    made = make_dataset(
        "bit_sequences", {"bit_length": 15, "N": 33_000, "val_size": 4_000, "test_size": 0, "repeats": True}
    )
    rows = made.splits
    held_out = {row["input"] for row in rows["validation"]}
    assert len(rows["validation"]) == 4_000 > len(held_out)
    assert not held_out & {row["input"] for row in rows["train"]}
    # What was drawn for training and is held out is left out; about one draw in nine.
    assert 25_000 < len(rows["train"]) < 27_000
    assert rows["test"] == []


def test_of_draws_with_replacement_each_has_a_coin_of_its_own() -> None:
    rows = bits_of(bit_length=3, N=400, val_size=2, test_size=2, repeats=True, bit_parity=False, p=0.5)["train"]
    answers = {row["input"]: {each["output"] for each in rows if each["input"] == row["input"]} for row in rows}
    assert set.union(*answers.values()) == {"0", "1"}
    assert any(len(each) == 2 for each in answers.values())


def test_told_aloud_the_parity_grows_bit_by_bit_and_only_the_last_letter_is_noisy() -> None:
    plain, aloud = bits_of(p=0.3), bits_of(p=0.3, aloud=True)
    for row, told in zip(plain["train"], aloud["train"], strict=True):
        assert told["input"] == row["input"]
        assert told["output"][-1] == row["output"]
        assert len(told["output"]) == len(told["input"])
        for end in range(1, len(told["input"])):
            assert told["output"][end - 1] == str(told["input"][:end].count("1") % 2)


def test_letters_stand_for_bits_in_question_and_answer_alike() -> None:
    digits, letters = bits_of(), bits_of(letters="xy")
    table = str.maketrans("01", "xy")
    assert letters["test"] == [{key: text.translate(table) for key, text in row.items()} for row in digits["test"]]


@pytest.mark.parametrize(
    "generator,arguments,path",
    (
        ("bit_sequences", {"bit_length": 4, "N": 40, "val_size": 2, "test_size": 2}, "N"),
        ("bit_sequences", {"N": 9, "val_size": 5, "test_size": 5}, "val_size"),
        ("bit_sequences", {"bit_parity": False, "aloud": True}, "aloud"),
        ("bit_sequences", {"letters": "aa"}, "letters"),
        ("number_sequences", {"limit": 1_000}, "limit"),
        ("number_sequences", {"scenario": "uu", "in_seq_len": 1}, "limit"),
        ("number_sequences", {"constant": 2_000}, "constant"),
        ("number_sequences", {"digits": "011"}, "digits"),
    ),
)
def test_arguments_that_do_not_fit_are_told_by_name(generator: str, arguments: dict[str, Any], path: str) -> None:
    (problem,) = check_arguments(generator, arguments)
    assert problem.path == path
    assert problem.hint


def test_draws_of_which_all_are_held_out_leave_nothing_to_train_on() -> None:
    with pytest.raises(Exception, match="none is left to train on"):
        bits_of(bit_length=2, N=60, val_size=50, test_size=0, repeats=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("length", (1, 4, 7))
def test_every_scenario_asks_as_many_numbers_as_it_is_told(scenario: str, length: int) -> None:
    sizes = {"train": 60, "validation": 20, "test": 20, "limit": 400}
    splits = make_dataset("number_sequences", {"scenario": scenario, "in_seq_len": length, **sizes}).splits
    assert {len(numbers) for split in splits for numbers in numbers_of(splits, split)} == {length}
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 60, "validation": 20, "test": 20}


def test_counting_questions_of_two_splits_share_no_number() -> None:
    splits = make_dataset("number_sequences", {}).splits
    counted = {
        split: {number for row in numbers_of(splits, split) for number in (*row, row[-1] + 1)} for split in splits
    }
    assert not counted["train"] & counted["validation"]
    assert not counted["train"] & counted["test"]
    assert not counted["validation"] & counted["test"]


def test_answers_follow_where_they_can_be_foretold_and_are_spread_where_they_cannot() -> None:
    made = {each: make_dataset("number_sequences", {"scenario": each}).splits["train"] for each in SCENARIOS}
    assert all(int(row["output"]) == int(row["input"].split()[-1]) + 1 for row in made["pp"])
    assert {row["output"] for row in made["up"]} == {"42"}
    for scenario in ("pu", "uu"):
        answers = [int(row["output"]) for row in made[scenario]]
        assert len(set(answers)) > 600
        assert all(0 <= answer < 2_000 for answer in answers)
        # Uniform: in each tenth of the range about a tenth of 900 answers.
        assert all(55 < sum(answer // 200 == tenth for answer in answers) < 130 for tenth in range(10))


def test_held_out_rows_stay_when_there_is_more_to_train_on() -> None:
    few, many = (make_dataset("number_sequences", {"train": train}).splits for train in (100, 900))
    assert few["test"] == many["test"]
    assert few["validation"] == many["validation"]


def test_numbers_are_written_in_ones_own_digits_to_a_width() -> None:
    told = {"digits": "abc", "width": 4, "limit": 81, "in_seq_len": 2, "train": 20, "validation": 10, "test": 10}
    rows = make_dataset("number_sequences", told).splits["train"]
    read = str.maketrans("abc", "012")
    for row in rows:
        *_, last = (int(number.translate(read), 3) for number in row["input"].split())
        assert len(row["output"]) == 4
        assert int(row["output"].translate(read), 3) == last + 1
