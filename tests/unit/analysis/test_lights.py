"""Lights tell by intervals: what a point alone would show is never enough."""

import pytest

from cruijff_kit.analysis.lights import coverage_light, ece_light, risk_light


@pytest.mark.parametrize(
    "value,low,high,state",
    (
        (0.02, 0.0, 0.04, "good"),
        (0.06, 0.02, 0.09, "open"),
        (0.08, 0.06, 0.12, "watch"),
        (0.15, 0.11, 0.2, "bad"),
        (0.15, None, None, "open"),
    ),
)
def test_a_calibration_error_is_judged_by_where_its_whole_interval_lies(
    value: float, low: float | None, high: float | None, state: str
) -> None:
    assert ece_light(value, low, high=high).state == state


def test_a_large_plain_calibration_error_tells_nothing_as_it_is_biased_on_small_sets() -> None:
    assert ece_light(0.16, 0.12, high=0.2, debiased=False).state == "open"
    assert ece_light(0.02, 0.01, high=0.03, debiased=False).state == "good"


@pytest.mark.parametrize("alpha,state", ((0.1, "good"), (0.05, "bad"), (0.2, "good"), (None, "open")))
def test_coverage_is_held_against_one_minus_alpha_and_not_against_a_fixed_share(
    alpha: float | None, state: str
) -> None:
    light = coverage_light(0.9, 0.87, high=0.92, alpha=alpha)
    assert light.state == state
    assert alpha is None or f"{1 - alpha:g}" in light.words


def test_coverage_below_its_target_is_no_fault_where_the_calibration_set_may_give_so_little() -> None:
    assert coverage_light(0.86, 0.83, high=0.89, alpha=0.1, expected=(0.87, 0.93)).state == "watch"
    assert coverage_light(0.82, 0.79, high=0.85, alpha=0.1, expected=(0.87, 0.93)).state == "bad"


@pytest.mark.parametrize("alpha,state", ((0.2, "good"), (0.11, "watch"), (0.05, "bad"), (None, "open")))
def test_a_risk_is_held_against_what_is_allowed(alpha: float | None, state: str) -> None:
    assert risk_light(0.1, 0.08, high=0.12, alpha=alpha).state == state


def test_what_was_never_measured_has_no_colour() -> None:
    lights = (
        ece_light(None, None, high=None),
        coverage_light(None, None, high=None, alpha=0.1),
        risk_light(None, None, high=None, alpha=0.1),
    )
    assert {light.state for light in lights} == {"open"}
