"""Clustered samples: intervals and tests that count clusters."""

import numpy as np
import pytest
from scipy import stats

from cruijff_kit.analysis.clustered import clustered_difference, clustered_proportion, design_effect
from cruijff_kit.analysis.intervals import wilson_interval

RIGHT = {f"passage {at}": verdicts for at, verdicts in enumerate(([1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 1, 0]))}


def _outcomes(counts: np.ndarray, size: int) -> dict[str, list[bool]]:
    return {str(at): [True] * right + [False] * (size - right) for at, right in enumerate(counts.tolist())}


def test_the_design_effect_is_the_sandwich_s_variance_over_the_binomial_s() -> None:
    found = design_effect({name: [bool(each) for each in verdicts] for name, verdicts in RIGHT.items()})
    share = 6 / 12
    squares = sum((sum(each) - 3 * share) ** 2 for each in RIGHT.values())
    assert found.clusters == 4
    assert found.effect == pytest.approx((4 / 3 * squares / 144) / (share * (1 - share) / 12))


def test_samples_that_agree_within_clusters_count_as_clusters() -> None:
    counts = np.asarray([5] * 12 + [0] * 8)
    interval = clustered_proportion(60, 100, clusters=design_effect(_outcomes(counts, 5)), level=0.95)
    plain, few = wilson_interval(60, 100, level=0.95), wilson_interval(12, 20, level=0.95)
    assert (interval.low or 1) < (few.low or 0) < (plain.low or 0)
    assert (interval.value, interval.n) == (0.6, 100)


@pytest.mark.parametrize("clusters, size, icc, share", ((20, 8, 0.3, 0.7), (50, 4, 0.5, 0.5), (30, 10, 0.1, 0.9)))
def test_clustered_intervals_cover_as_often_as_they_say(clusters: int, size: int, icc: float, share: float) -> None:
    rng, covered, plain, trials = np.random.default_rng(clusters), 0, 0, 1_000
    spread = 1 / icc - 1
    for _ in range(trials):
        counts = rng.binomial(size, rng.beta(spread * share, spread * (1 - share), clusters))
        right, n = int(counts.sum()), clusters * size
        interval = clustered_proportion(right, n, clusters=design_effect(_outcomes(counts, size)), level=0.95)
        naive = wilson_interval(right, n, level=0.95)
        covered += (interval.low or 0) <= share <= (interval.high or 1)
        plain += (naive.low or 0) <= share <= (naive.high or 1)
    assert 0.925 <= covered / trials <= 0.985
    assert plain < covered - 40


def test_a_difference_over_clusters_of_one_size_is_the_t_test_of_their_means() -> None:
    rng = np.random.default_rng(4)
    changes = {str(at): rng.integers(-1, 2, 6).tolist() for at in range(15)}
    interval, p_value = clustered_difference(changes, level=0.95)
    means = np.asarray([np.mean(each) for each in changes.values()])
    half = stats.t.ppf(0.975, 14) * means.std(ddof=1) / 15**0.5
    assert p_value == pytest.approx(stats.ttest_1samp(means, 0.0)[1])
    assert (interval.low, interval.high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert interval.n == 90


def test_one_cluster_tells_nothing_of_the_spread() -> None:
    interval, p_value = clustered_difference({"a": [1, 1, 0]}, level=0.95)
    assert (interval.low, interval.high, p_value) == (None, None, 1.0)
    alone = clustered_proportion(2, 3, clusters=design_effect({"a": [True, True, False]}), level=0.95)
    assert (alone.value, alone.low) == (pytest.approx(2 / 3), None)
