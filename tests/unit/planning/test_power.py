"""The stated detectable difference is the textbook's, and is found that often."""

from random import Random

import pytest

from cruijff_kit.planning.power import detectable_difference, power_estimate


@pytest.mark.parametrize("n,expected", ((200, 0.2802 / 2), (50, 0.2802), (100, 0.1981), (800, 0.0700)))
def test_it_is_the_two_proportion_formula_at_one_half(n: int, expected: float) -> None:
    assert detectable_difference(n, alpha=0.05, power=0.8) == pytest.approx(expected, abs=2e-4)


def test_a_difference_of_that_size_is_found_about_as_often_as_stated() -> None:
    n, rng = 400, Random(7)
    gap = detectable_difference(n, alpha=0.05, power=0.8)
    found = 0
    for _ in range(600):
        low = sum(rng.random() < 0.5 - gap / 2 for _ in range(n)) / n
        high = sum(rng.random() < 0.5 + gap / 2 for _ in range(n)) / n
        pooled = (low + high) / 2
        found += (high - low) / (2 * pooled * (1 - pooled) / n) ** 0.5 > 1.959964
    assert 0.75 < found / 600 < 0.86


def test_without_items_nothing_is_assessed() -> None:
    assert power_estimate(None, alpha=0.05, power=0.8).value is None
    assert power_estimate(None, alpha=0.05, power=0.8).source == "not assessed"


def test_no_difference_beyond_one_is_asked_for() -> None:
    assert detectable_difference(2, alpha=0.01, power=0.99) == 1.0
