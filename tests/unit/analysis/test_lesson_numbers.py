"""A lesson's numbers: what a cited figure holds passes at its rounding, and nothing else does."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cruijff_kit.analysis.lesson_numbers import number_problems
from cruijff_kit.schema.lesson import Evidence

FIGURE = Evidence(
    figure="effect/lora_rank/16 - 4", value=0.20625, low=-0.079, high=0.3326, n=8, path="results.parquet",
    sha256="ab" * 32, report_sha256="cd" * 32,
)  # fmt: skip
NAMES = ("Llama-3.2-1B", "rank16_lr1e-03-0123abcd", FIGURE.figure)
FACTORS = {"lora_rank": (4, 16), "lr": (3e-4, 1e-3)}


def refused(text: str, figure: Evidence = FIGURE) -> list[str]:
    return [each.message for each in number_problems(text, [figure], names=NAMES, factors=FACTORS)]


@pytest.mark.parametrize(
    "text",
    (
        "The higher rank wins by 0.206 [\N{MINUS SIGN}0.079, 0.33] over 8 runs.",
        "It gains 20.6 % (-7.9 % to 33.3 percent); 21 points.",
        "lora_rank 16 beats `lora_rank`=4 at lr 1e-3, lr=0.0003 and lr 3e-04 alike.",
        "Llama-3.2-1B learns; rank16_lr1e-03-0123abcd is the best run; effect/lora_rank/16 - 4 is 0.2063.",
        "It helps.",
        "On an H100 rank16 wins.",
    ),
)
def test_numbers_that_a_figure_holds_and_names_pass(text: str) -> None:
    assert refused(text) == []


@pytest.mark.parametrize(
    "text",
    (
        "It wins by 0.21 or 0.22.",
        "It wins by 0.079.",
        "It wins by -0.206.",
        "It wins by 0.",
        "It wins in 7 of 8 runs.",
        "rank 16 wins.",
        "lora_rank 32 wins.",
        "It wins by 20.6.",
        "It wins by 0,206.",
        "It wins by \N{VULGAR FRACTION ONE HALF}.",
        "It wins by \N{FULLWIDTH DIGIT NINE} points.",
        "It wins by \N{ARABIC-INDIC DIGIT NINE}.",
        "It wins by 2e99999.",
        "It wins by acc0.9.",
    ),
)
def test_any_other_number_is_refused(text: str) -> None:
    assert refused(text)


def test_the_nearest_figure_is_told() -> None:
    (problem,) = number_problems("It wins by 0.35.", [FIGURE], names=(), factors={})
    assert "0.3326, high of `effect/lora_rank/16 - 4`" in problem.hint


@given(value=st.floats(1e-4, 1e4), places=st.integers(0, 8))
def test_a_value_written_at_any_sufficient_rounding_is_held(value: float, places: int) -> None:
    assume(Decimal(1).scaleb(-places) / 2 <= Decimal(repr(value)) / 10)
    shown = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    figure = FIGURE.model_copy(update={"value": value, "low": None, "high": None, "n": None})
    assert refused(f"It is {shown:f} now.", figure) == []
    assert refused(f"It is {shown:,f} now.", figure) == []


@given(value=st.floats(-1e3, 1e3), other=st.decimals(-1000, 1000, places=3))
def test_a_number_farther_off_than_its_rounding_is_never_held(value: float, other: Decimal) -> None:
    assume(abs(Decimal(repr(value)) - other) > Decimal("0.0005"))
    figure = FIGURE.model_copy(update={"value": value, "low": None, "high": None, "n": None})
    assert refused(f"It is {other:f} now.", figure)
