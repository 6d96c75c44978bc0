"""Figures as text."""

import pytest

from cruijff_kit.rendering.numbers import between, duration, p_text, plain, short_run, signed
from cruijff_kit.schema.report import Interval


def _interval(low: float | None, high: float | None) -> Interval:
    return Interval(value=0.5, low=low, high=high, n=10, level=0.95, method="test")


def test_a_missing_figure_is_a_dash_and_never_a_number() -> None:
    assert (plain(None), signed(None), p_text(None), duration(None), between(_interval(None, None))) == ("-",) * 5


def test_figures_have_three_decimals_and_differences_a_sign() -> None:
    assert (plain(0.9625), signed(0.1), signed(-0.1)) == ("0.963", "+0.100", "-0.100")
    assert between(_interval(-0.1, 0.25), sign=True) == "[-0.100, +0.250]"


def test_small_p_values_are_inequalities() -> None:
    assert (p_text(0.0004), p_text(0.001), p_text(1.0)) == ("< 0.001", "0.001", "1.000")


@pytest.mark.parametrize(
    "seconds, text",
    ((0.04, "0.0 s"), (22.5, "22.5 s"), (59.97, "1 min 00 s"), (185, "3 min 05 s"), (7_260, "2 h 01 min")),
)
def test_durations_have_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_run_is_short_without_its_hash() -> None:
    assert short_run("rank4_lr3e-4_seed1-4f1c9a02") == "rank4_lr3e-4_seed1"
