"""Ceilings of generated splits: held against what trying every answer gives."""

import math
from itertools import product
from typing import Any

import pytest

from cruijff_kit.data.generators.bit_chances import BitChances, chance_of_one
from cruijff_kit.data.generators.registry import Generated, make_dataset

SMALL = {
    "bit_chances": {"bit_length": 8, "train": 60, "validation": 30, "calibration": 30, "test": 100},
    "reports": {"train": 60, "validation": 30, "calibration": 30, "test": 100},
    "synthetic_twins": {"pairs": 200, "traits": 4},
    "acs_stand_in": {"task": "ACSMobility", "people": 4000, "train": 60, "validation": 30, "test": 60},
}


def made(generator: str, **arguments: Any) -> Generated:
    return make_dataset(generator, {**SMALL.get(generator, {}), **arguments})


@pytest.mark.parametrize("generator", SMALL)
def test_rows_with_true_probabilities_have_a_ceiling_of_their_likeliest_answers(generator: str) -> None:
    data = made(generator)
    assert set(data.facts.ceilings) == set(data.splits)
    for split, ceiling in data.facts.ceilings.items():
        known = [
            {name.removeprefix("chance_"): float(cell) for name, cell in row.items() if name.startswith("chance_")}
            for row in data.splits[split]
        ]
        best = [max(row, key=lambda option, row=row: row[option]) for row in known]
        right = [answer == row["output"] for answer, row in zip(best, data.splits[split], strict=True)]
        assert ceiling.on_rows == pytest.approx(sum(right) / len(right))
        nats = [-chance * math.log(chance) for row in known for chance in row.values() if chance]
        assert ceiling.entropy == pytest.approx(sum(nats) / len(known))
        assert ceiling.seen == (split == "train")
        if generator != "synthetic_twins":
            assert ceiling.bayes_accuracy == pytest.approx(sum(max(row.values()) for row in known) / len(known))


def test_the_ceiling_of_all_sequences_is_what_the_formula_says() -> None:
    arguments = {"train": 100, "validation": 50, "calibration": 50, "test": 56, "bit_length": 8}
    ceilings = made("bit_chances", **arguments).facts.ceilings
    sizes = [arguments[split] for split in ("train", "validation", "calibration", "test")]
    chances = [chance_of_one("".join(bits), BitChances(bit_length=8)) for bits in product("01", repeat=8)]
    mean = sum(ceilings[split].bayes_accuracy * size for split, size in zip(ceilings, sizes, strict=True)) / 256
    assert mean == pytest.approx(sum(max(chance, 1 - chance) for chance in chances) / 256)


def test_twins_are_told_rounded_so_their_ceiling_is_a_bound_and_says_so() -> None:
    ceiling = made("synthetic_twins").facts.ceilings["test"]
    assert ceiling.upper
    assert not made("bit_chances").facts.ceilings["test"].upper
    assert "upper" not in made("bit_chances").facts.model_dump()["ceilings"]["test"]


@pytest.mark.parametrize(
    "arguments, accuracy",
    (({"p": 0.2}, 0.8), ({"p": 0.9}, 0.9), ({"p": 0.0}, 1.0), ({"p": 0.25, "bit_parity": False}, 0.75),
     ({"p": 0.2, "aloud": True, "letters": "ab"}, 0.8), ({"p": 0.2, "repeats": True, "N": 900}, 0.8)),
)  # fmt: skip
def test_labels_that_are_flipped_leave_the_rate_of_those_that_are_not(
    arguments: dict[str, Any], accuracy: float
) -> None:
    sizes = {"bit_length": 9, "N": 512, "val_size": 100, "test_size": 200}
    ceiling = made("bit_sequences", **{**sizes, **arguments}).facts.ceilings["test"]
    assert ceiling.bayes_accuracy == pytest.approx(accuracy)
    rates = [rate for rate in (accuracy, 1 - accuracy) if rate > 1e-9]
    assert ceiling.entropy == pytest.approx(-sum(rate * math.log(rate) for rate in rates))
    # Four standard deviations of a share of 200.
    assert abs(ceiling.on_rows - accuracy) <= 4 * math.sqrt(accuracy * (1 - accuracy) / 200)


@pytest.mark.parametrize("scenario, accuracy", (("pp", 1.0), ("up", 1.0), ("pu", 1 / 676), ("uu", 1 / 676)))
def test_numbers_that_are_drawn_cannot_be_told(scenario: str, accuracy: float) -> None:
    data = made("number_sequences", scenario=scenario, limit=676, in_seq_len=3, train=40, validation=10, test=10)
    ceiling = data.facts.ceilings["test"]
    assert ceiling.bayes_accuracy == accuracy
    assert ceiling.entropy == pytest.approx(-math.log(accuracy))
