"""Bands: what follows from what is known, what from pilots, and what neither may excuse."""

import math
import random

import pytest

from cruijff_kit.sanity_checks.bands import LEAST_PILOTS, LEVEL, accuracy_band, accuracy_floor, loss_band, rule_band
from cruijff_kit.sanity_checks.checks import Check, Known
from cruijff_kit.sanity_checks.pilots import figures_of, read_pilots
from cruijff_kit.sanity_checks.registry import CHECKS
from cruijff_kit.schema.sanity import PilotFigure

SURE = Known(1.0, 0.0, 0.0, math.log(200), None)
COIN = Known(0.75, 0.25 * math.log(4) + 0.75 * math.log(4 / 3), math.sqrt(0.25 * 0.75) * math.log(3), 0.0, None)


def rights(*values: float, n: int = 100) -> list[PilotFigure]:
    """Return pilots of these accuracies."""
    return [
        PilotFigure(arm="a", seed=seed, figure="accuracy", value=value, n=n, successes=round(value * n))
        for seed, value in enumerate(values)
    ]


def losses(*values: float) -> list[PilotFigure]:
    """Return pilots of these losses."""
    return [
        PilotFigure(arm="a", seed=seed, figure="validation loss", value=each, n=100) for seed, each in enumerate(values)
    ]


def test_whoever_knows_no_more_than_the_rule_stays_below_the_ceiling_and_who_was_told_does_not() -> None:
    band = accuracy_band(COIN, 300, pilots=())
    assert band.low is None
    assert band.high is not None
    # A binomial's upper end by its normal approximation, for a check from elsewhere.
    assert band.high == pytest.approx(0.75 + 3.72 * math.sqrt(0.75 * 0.25 / 300), abs=0.01)
    assert not band.holds(0.9)
    draws = random.Random(4)
    kept = [band.holds(sum(draws.random() < 0.75 for _ in range(300)) / 300) for _ in range(2_000)]
    assert sum(kept) >= 1_998


def test_no_floor_is_so_low_that_a_guess_would_pass() -> None:
    ruled = COIN._replace(accuracy=0.8, guessed=0.5)
    # Trainings of two kinds, some of which had not finished: their spread would excuse whoever guesses.
    scattered = rights(*[0.8] * 8, 0.55, 0.6, n=200)
    band = accuracy_band(ruled, 200, pilots=scattered)
    floor = accuracy_floor(scattered, 200)
    assert floor is not None
    assert floor < 0.5
    assert band.low is not None
    assert band.low == pytest.approx(0.5 + 3.72 * math.sqrt(0.25 / 200), abs=0.01)
    assert "guessing" in band.low_from
    draws = random.Random(6)
    passed = sum(band.holds(sum(draws.random() < 0.5 for _ in range(200)) / 200) for _ in range(2_000))
    assert passed <= 2
    # Without pilots it is known all the same; where a guess is the best there is, there is no such end.
    assert accuracy_band(ruled, 200, pilots=()).low == band.low
    assert accuracy_band(ruled._replace(guessed=0.8), 200, pilots=()).low is None
    assert accuracy_band(ruled, 4, pilots=()).low is None


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
def test_no_arm_that_has_a_rule_is_passed_by_a_guess_and_every_pilot_passes(check: Check) -> None:
    pilots = read_pilots(check, None)
    assert pilots is not None
    for arm in check.arms(check.sizes["small"]):
        found = figures_of(pilots, arm=arm.name, figure="accuracy")
        band = accuracy_band(arm.known, found[0].n, pilots=found)
        assert band.low is not None
        if arm.known.guessed < arm.known.accuracy:
            assert not band.holds(arm.known.guessed), (arm.name, band)
        assert all(band.holds(each.value) for each in found)


def test_a_rule_without_exception_has_no_room_for_chance() -> None:
    assert rule_band(SURE, 500).low == rule_band(SURE, 500).high == 1.0
    assert accuracy_band(SURE, 100, pilots=()).high == 1.0


def test_no_model_that_has_not_seen_the_labels_comes_below_the_entropy_but_by_luck() -> None:
    band = loss_band(COIN, n=200, tokens=2.0, on_input=False, pilots=())
    assert band.low is not None
    assert COIN.entropy / 2 - 0.12 < band.low < COIN.entropy / 2
    draws = random.Random(5)
    for told in (0.5, 0.7, 0.75, 0.8):
        for _ in range(300):
            nats = [-math.log(told if draws.random() < 0.75 else 1 - told) for _ in range(200)]
            assert band.holds(sum(nats) / 200 / 2)
    # One that has seen four labels in five does not pass.
    seen = [-math.log(0.99)] * 160 + [-math.log(0.75)] * 40
    assert not band.holds(sum(seen) / 200 / 2)


def test_learnt_questions_count_by_their_entropy() -> None:
    alone = loss_band(SURE, n=100, tokens=10.0, on_input=False, pilots=())
    both = loss_band(SURE, n=100, tokens=10.0, on_input=True, pilots=())
    assert alone.low == 0.0
    assert both.low == pytest.approx((math.log(200) - math.log(1 / LEVEL) / 100) / 10)
    assert "answers and questions" in both.low_from


def test_a_floor_needs_enough_pilots_and_leaves_room_for_the_next_training() -> None:
    few = accuracy_band(SURE, 100, pilots=rights(*[0.97] * (LEAST_PILOTS - 1)))
    assert few.low is None
    assert few.low_from == ""
    spread = accuracy_band(SURE, 100, pilots=rights(*[0.95, 0.97] * 5))
    assert spread.low is not None
    assert 0.8 < spread.low < 0.92
    # Pilots that are all right say that errors are rare, not that there are none.
    perfect = accuracy_band(SURE, 100, pilots=rights(*[1.0] * 10))
    assert perfect.low is not None
    assert 0.95 <= perfect.low < 1.0
    assert "10 pilots" in perfect.low_from


def test_a_loss_ceiling_follows_from_mean_and_spread_of_the_pilots_and_from_the_rows() -> None:
    band = loss_band(SURE, n=100, tokens=2.0, on_input=False, pilots=losses(*[0.1, 0.2] * 5))
    # The factor of ten pilots, one training in a thousand and 95 % confidence is tabled as 5.2.
    limit = 0.15 + 5.2 * 0.0527
    assert band.high == pytest.approx(limit + math.log(1 / LEVEL) / 100 / 2, abs=0.01)
    assert not band.holds(0.6)


def test_floors_of_more_pilots_are_not_looser() -> None:
    ten = accuracy_band(SURE, 100, pilots=rights(*[0.95, 0.97] * 5)).low
    forty = accuracy_band(SURE, 100, pilots=rights(*[0.95, 0.97] * 20)).low
    assert ten is not None
    assert forty is not None
    assert forty >= ten
