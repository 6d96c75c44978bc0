"""Generators that know the probability of every label they draw: the labels fall as the columns say."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import exp, sqrt
from typing import Any

import pytest

from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.data.generators.reports import GRADES
from cruijff_kit.data.known_chances import CHANCE, chances_in
from cruijff_kit.errors import SpecError

BITS: dict[str, Any] = {"letters": "ab", "train": 8000, "validation": 1000, "calibration": 1000, "test": 5000}


def rows_of(generator: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    for rows in make_dataset(generator, arguments).splits.values():
        yield from (dict(row) for row in rows)


def far(rows: list[dict[str, Any]], option: str) -> float:
    """Return by how many standard errors an option's share lies off what its column promises."""
    promised = [float(row[f"{CHANCE}{option}"]) for row in rows]
    found = sum(row["output"] == option for row in rows)
    return abs(found - sum(promised)) / sqrt(sum(each * (1 - each) for each in promised))


@pytest.mark.parametrize("seed", (1, 2))
def test_bits_are_answered_as_often_as_their_ones_promise(seed: int) -> None:
    rows = list(rows_of("bit_chances", seed=seed, **BITS))
    by_ones: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        assert row["ones"] == str(row["input"].count("b"))
        assert row["chance_b"] == pytest.approx(0.05 + 0.9 / (1 + exp(7 - row["input"].count("b"))), abs=1e-6)
        assert row["chance_a"] + row["chance_b"] == pytest.approx(1, abs=1e-9)
        by_ones[row["ones"]].append(row)
    assert len({row["input"] for row in rows}) == 15_000
    assert [far(part, "b") for part in by_ones.values() if len(part) > 300 and far(part, "b") > 4] == []


@pytest.mark.parametrize("seed", (1, 2))
def test_reports_are_graded_as_often_as_their_signs_promise(seed: int) -> None:
    rows = list(rows_of("reports", seed=seed, noise=0.2, train=4000, validation=400, calibration=1000, test=2000))
    assert len({row["input"] for row in rows}) == 7400
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        told = chances_in(row, options=tuple(GRADES))
        assert told is not None
        assert sum(told) == pytest.approx(1, abs=1e-5)
        meant = [grade for grade, signs in GRADES.items() for sign in signs if sign in row["input"]]
        assert {grade for grade, chance in zip(GRADES, told, strict=True) if chance > 0.1} == set(meant)
        assert row["signs"] == ("mixed" if len(set(meant)) > 1 else "agreeing")
        assert row["input"].startswith(row["site"])
        kinds[f"{row['signs']} {sorted(set(meant))} {row['site']}"].append(row)
    assert [name for name, part in kinds.items() for grade in GRADES if far(part, grade) > 4.5] == []


def test_a_quarter_of_each_split_of_reports_is_mixed() -> None:
    splits = make_dataset("reports", {"train": 400, "validation": 40, "calibration": 80, "test": 200}).splits
    mixed = {name: Counter(row["signs"] for row in rows)["mixed"] for name, rows in splits.items()}
    assert mixed == {"train": 100, "validation": 10, "calibration": 20, "test": 50}


def test_rows_that_do_not_tell_every_option_tell_none() -> None:
    assert chances_in({"chance_a": 0.25, "chance_b": 0.75}, options=("b", "a")) == (0.75, 0.25)
    assert chances_in({"chance_a": 0.25}, options=("b", "a")) is None
    assert chances_in({"chance_a": 0.25, "chance_b": "0.75"}, options=("b", "a")) is None
    assert chances_in({"chance_a": 0.25, "chance_b": True}, options=("b", "a")) is None


@pytest.mark.parametrize(
    "generator,arguments,path",
    (
        ("bit_chances", {"bit_length": 4, "train": 14, "validation": 1, "calibration": 1, "test": 1}, "bit_length"),
        ("bit_chances", {"letters": "aa"}, "letters"),
        ("bit_chances", {"letters": "a "}, "letters"),
        ("reports", {"mixed": 0.0, "train": 12_673}, "mixed"),
        ("reports", {"mixed": 1.0, "train": 44_353}, "mixed"),
    ),
)
def test_more_rows_than_there_are_and_letters_alike_are_refused(
    generator: str, arguments: dict[str, Any], path: str
) -> None:
    with pytest.raises(SpecError) as caught:
        make_dataset(generator, arguments)
    assert [problem.path for problem in caught.value.problems] == [path]
