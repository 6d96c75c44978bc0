"""Intervals of one proportion."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cruijff_kit.analysis.distributions import beta_limits
from cruijff_kit.analysis.intervals import wilson_interval


@pytest.mark.parametrize(
    "successes, n, low, high",
    ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)),
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson_interval(successes, n, level=0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.value == successes / n


@given(st.integers(1, 2_000), st.data())
def test_a_wilson_limit_is_where_the_score_test_is_just_significant(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(1, n))
    interval = wilson_interval(successes, n, level=0.9)
    low = interval.low or 0.0
    assert abs(successes / n - low) == pytest.approx(1.6448536 * sqrt(low * (1 - low) / n), rel=1e-6)


@pytest.mark.parametrize("n", (10, 20, 50, 200))
def test_wilson_covers_as_often_as_it_says_at_small_n(n: int) -> None:
    shares = [0.02 + 0.96 * step / 60 for step in range(61)]
    intervals = [wilson_interval(successes, n, level=0.95) for successes in range(n + 1)]
    coverage = [
        sum(
            float(stats.binom.pmf(successes, n, share))
            for successes, each in enumerate(intervals)
            if (each.low or 0.0) <= share <= (each.high or 0.0)
        )
        for share in shares
    ]
    assert sum(coverage) / len(coverage) == pytest.approx(0.95, abs=0.012)
    assert min(coverage) > 0.83


@pytest.mark.parametrize("n, least", ((20, 0.91), (50, 0.93), (200, 0.93), (1_000, 0.94)))
def test_the_exact_coverage_is_nominal_on_average_and_nowhere_far_below(n: int, least: float) -> None:
    limits = [wilson_interval(successes, n, level=0.95) for successes in range(n + 1)]
    low, high = (np.asarray([getattr(each, side) for each in limits]) for side in ("low", "high"))
    # Coverage jumps where a limit is crossed, so both sides of every limit are looked at, and a fine grid.
    edges = np.concatenate((low, high))
    shares = np.concatenate((np.linspace(0.05, 0.95, 1_801), edges - 1e-9, edges + 1e-9))
    shares = shares[(shares >= 0.05) & (shares <= 0.95)]
    chances = stats.binom.pmf(np.arange(n + 1), n, shares[:, None])
    coverage = np.where((low <= shares[:, None]) & (shares[:, None] <= high), chances, 0.0).sum(axis=1)
    assert 0.94 <= coverage[:1_801].mean() <= 0.96
    assert coverage.min() >= least


def test_no_samples_have_no_proportion() -> None:
    interval = wilson_interval(0, 0, level=0.95)
    assert (interval.value, interval.low, interval.high, interval.n) == (None, None, None, 0)


@pytest.mark.parametrize("rank,n", ((1, 9), (46, 50), (451, 500)))
def test_coverage_given_a_calibration_set_is_a_beta_with_equal_tails(rank: int, n: int) -> None:
    expected = stats.beta.interval(0.95, rank, n + 1 - rank)
    assert beta_limits(rank, n + 1 - rank, level=0.95) == pytest.approx(expected, rel=1e-9)
