"""Fractional factorials: which combinations, what is aliased with what, and what is refused."""

from itertools import combinations, product

import pytest

from cruijff_kit.planning.fractions import Fraction, fraction_of
from cruijff_kit.schema.design_kinds import FractionalDesign

SIGNS = (-1, 1)


def factors(count: int) -> dict[str, tuple[int, int]]:
    return dict.fromkeys("abcdefghij"[:count], SIGNS)


def fraction(count: int, **told: object) -> Fraction:
    design = FractionalDesign.model_validate({"kind": "fractional", **told})
    return fraction_of(design, factors(count))


def rows(found: Fraction) -> list[dict[str, int]]:
    levels = factors(len(found.factors))
    return [{name: int(str(level)) for name, level in row.items()} for row in found.combinations(levels)]


def column(found: Fraction, effect: str) -> tuple[int, ...]:
    """Return the signs of an effect such as `a x b` over all rows."""
    values = []
    for row in rows(found):
        sign = 1
        for name in effect.split(" x "):
            sign *= row[name]
        values.append(sign)
    return tuple(values)


def test_half_of_four_factors_is_the_textbooks_fraction() -> None:
    found = fraction(4)
    assert (found.runs, found.resolution, found.generators()) == (8, 4, ("d = a * b * c",))
    assert all(row["a"] * row["b"] * row["c"] == row["d"] for row in rows(found))
    assert len({tuple(row.values()) for row in rows(found)}) == 8


# Resolutions of the best regular fractions, from tables of minimum aberration designs.
@pytest.mark.parametrize(
    "count,runs,resolution",
    (
        (3, 4, 3),
        (5, 16, 5),
        (5, 8, 3),
        (6, 32, 6),
        (6, 16, 4),
        (7, 64, 7),
        (7, 32, 4),
        (7, 8, 3),
        (8, 64, 5),
        (9, 32, 4),
    ),
)
def test_the_sharpest_fraction_of_each_size_is_found(count: int, runs: int, resolution: int) -> None:
    assert fraction(count, runs=runs).resolution == resolution


@pytest.mark.parametrize("count,runs", ((4, 8), (5, 8), (5, 16), (6, 8), (7, 8), (7, 16)))
def test_two_effects_are_told_apart_exactly_where_no_alias_says_otherwise(count: int, runs: int) -> None:
    found = fraction(count, runs=runs)
    names = [*found.factors, *(" x ".join(pair) for pair in combinations(found.factors, 2))]
    together = {frozenset(pair) for group in found.aliases() for pair in combinations(group, 2)}
    for one, other in combinations(names, 2):
        same = column(found, one) in {column(found, other), tuple(-sign for sign in column(found, other))}
        assert same is (frozenset((one, other)) in together), (one, other)


@pytest.mark.parametrize("count,runs", ((4, 8), (7, 8), (6, 16)))
def test_every_factor_has_each_level_equally_often_beside_each_of_another(count: int, runs: int) -> None:
    found = rows(fraction(count, runs=runs))
    for one, other in combinations(factors(count), 2):
        for pair in product(SIGNS, SIGNS):
            assert sum((row[one], row[other]) == pair for row in found) == runs // 4


def test_a_generator_is_taken_as_written_and_a_minus_turns_it() -> None:
    found = fraction(4, generators=("d = -a * b",), runs=8)
    assert all(row["d"] == -row["a"] * row["b"] for row in rows(found))
    assert found.resolution == 3
    assert ("a", "b x d") in found.aliases()


def test_the_words_name_resolution_generators_and_aliases() -> None:
    told = " ".join(fraction(4).words())
    assert "resolution IV: 8 of 16 combinations; d = a * b * c" in told
    assert "Not told apart: a x b = c x d." in told


@pytest.mark.parametrize(
    "count,told,fact",
    (
        (0, {}, "there are none"),
        (4, {"runs": 6}, "no power of two below 16"),
        (4, {"runs": 16}, "no power of two below 16"),
        (8, {"runs": 4}, "too few for 8 factors"),
        (4, {"resolution": 5}, "have resolution 4, below 5"),
        (4, {"generators": ("d = a * x",)}, "`x`, which is no factor"),
        (4, {"generators": ("d = a + b",)}, "not of the form"),
        (4, {"generators": ("a * b",)}, "not of the form"),
        (4, {"generators": (f"d = {'a*' * 500}b c",)}, "not of the form"),
        (4, {"generators": ("d = a * d",)}, "of its own"),
        (4, {"generators": ("d = a * b",), "runs": 4}, "give 8 runs, and `runs` says 4"),
        (4, {"generators": ("d = a",)}, "have resolution 2, below 3"),
    ),
)
def test_a_fraction_that_cannot_be_is_refused_with_the_reason(count: int, told: dict[str, object], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        fraction(count, **told)


def test_a_factor_of_three_levels_has_no_two_level_fraction() -> None:
    with pytest.raises(ValueError, match="`b` has 3"):
        fraction_of(FractionalDesign(kind="fractional"), {"a": (1, 2), "b": (1, 2, 3), "c": (1, 2)})
