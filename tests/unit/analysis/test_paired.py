"""Two models on the same samples."""

from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from cruijff_kit.analysis.paired import holm_adjusted, mcnemar_exact, mcnemar_mid_p, paired_bootstrap, paired_difference
from cruijff_kit.schema.report import Interval


@pytest.mark.parametrize("delta_side", ("low", "high"))
def test_a_paired_limit_is_where_the_score_test_with_its_fitted_nuisance_is_just_significant(delta_side: str) -> None:
    gained, lost, n = 12, 3, 60
    delta = getattr(paired_difference(gained, lost, n=n, level=0.95), delta_side)

    def misfit(share: float) -> float:
        rest = 1 - 2 * share - delta
        return -(gained * log(share + delta) + lost * log(share) + (n - gained - lost) * log(rest))

    bounds = (max(0.0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9)
    share = np.asarray(optimize.fminbound(misfit, *bounds, xtol=1e-12)).item()
    spread = (n * (2 * share + delta * (1 - delta))) ** 0.5
    assert abs(gained - lost - n * delta) / spread == pytest.approx(1.959964, rel=1e-4)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_the_paired_interval_leaves_out_zero_just_when_mcnemars_statistic_is_significant(
    gained: int, lost: int, same: int
) -> None:
    n = gained + lost + same
    if n == 0:
        return
    interval = paired_difference(gained, lost, n=n, level=0.95)
    significant = (gained - lost) ** 2 > 3.841459 * (gained + lost)
    assert ((interval.low or 0.0) > 0 or (interval.high or 0.0) < 0) == significant


def test_without_any_change_the_interval_is_as_wide_as_n_allows() -> None:
    interval = paired_difference(0, 0, n=50, level=0.95)
    limit = 3.841459 / (50 + 3.841459)
    assert (interval.low, interval.value, interval.high) == pytest.approx((-limit, 0.0, limit), abs=1e-6)


def test_a_change_of_every_sample_ends_at_one() -> None:
    interval = paired_difference(30, 0, n=30, level=0.95)
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx((30 - 3.841459) / (30 + 3.841459))


@pytest.mark.parametrize("up, down", ((0.2, 0.1), (0.5, 0.02), (0.05, 0.05)))
def test_paired_intervals_cover_as_often_as_they_say(up: float, down: float) -> None:
    n, covered = 40, 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            interval = paired_difference(gained, lost, n=n, level=0.95)
            if (interval.low or 0.0) <= up - down <= (interval.high or 0.0):
                ways = comb(n, gained) * comb(n - gained, lost)
                covered += ways * up**gained * down**lost * (1 - up - down) ** (n - gained - lost)
    assert covered == pytest.approx(0.95, abs=0.02)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar_exact(gained, lost) == pytest.approx(expected)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_mid_p_value_is_the_exact_one_less_half_of_what_was_observed_on_either_side(gained: int, lost: int) -> None:
    observed = stats.binom.pmf(gained, gained + lost, 0.5)
    expected = 1.0 if gained == lost else mcnemar_exact(gained, lost) - observed
    assert mcnemar_mid_p(gained, lost) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", (20, 60, 150))
@pytest.mark.parametrize("changed", (0.1, 0.3, 0.6))
def test_of_the_two_mcnemar_tests_mid_p_is_nearer_to_its_level_and_the_exact_one_never_above(
    n: int, changed: float
) -> None:
    wrong = dict.fromkeys((mcnemar_exact, mcnemar_mid_p), 0.0)
    for discordant in range(n + 1):
        for gained in range(discordant + 1):
            chance = _binomial(discordant, n, changed) * comb(discordant, gained) / 2**discordant
            for test in wrong:
                wrong[test] += chance * (test(gained, discordant - gained) <= 0.05)
    assert wrong[mcnemar_exact] <= wrong[mcnemar_mid_p] <= 0.055
    assert wrong[mcnemar_exact] <= 0.05


def _binomial(successes: int, trials: int, share: float) -> float:
    return comb(trials, successes) * share**successes * (1 - share) ** (trials - successes)


def test_holm_steps_down_and_never_back() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([0.9, 0.8]) == [1.0, 1.0]
    assert holm_adjusted([]) == []


def test_the_paired_bootstrap_has_the_spread_of_the_difference() -> None:
    changes = [[1]] * 60 + [[-1]] * 30 + [[0]] * 310
    interval = paired_bootstrap(changes, level=0.95)
    error = (90 / 400 - (30 / 400) ** 2) ** 0.5 / 20
    assert interval.value == pytest.approx(30 / 400)
    assert (interval.low, interval.high) == pytest.approx((0.075 - 1.96 * error, 0.075 + 1.96 * error), abs=0.004)


def test_the_paired_bootstrap_draws_clusters_whole() -> None:
    changes = [[1] * 10] * 120 + [[-1] * 10] * 80 + [[0] * 10] * 200
    together = paired_bootstrap(changes, level=0.95)
    apart = paired_bootstrap([[change] for each in changes for change in each], level=0.95)
    assert together.value == apart.value == pytest.approx(0.1)
    # Ten samples that move as one tell what one would: a spread larger by the root of ten.
    assert _width(together) == pytest.approx(10**0.5 * _width(apart), rel=0.06)
    assert paired_bootstrap([], level=0.95).value is None


def _width(interval: Interval) -> float:
    return (interval.high or 0.0) - (interval.low or 0.0)
