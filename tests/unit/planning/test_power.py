"""The stated power is the textbook's, and is reached when the design is simulated."""

import numpy as np
import pytest
from scipy import special, stats

from cruijff_kit.planning.power import (
    detectable_difference,
    detectable_paired,
    detectable_shift,
    mcnemar_power,
    t_power,
)

TRIALS = 10_000
# 80 %, within two points.
PROMISED = pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("n, share", ((100, 0.5), (400, 0.5), (400, 0.2), (1_000, 0.9)))
def test_two_samples_differ_significantly_as_often_as_promised(n: int, share: float) -> None:
    gap = detectable_difference(n, alpha=0.05, power=0.8, share=share)
    rng = np.random.default_rng(n)
    low, high = (rng.binomial(n, share + side * gap / 2, TRIALS) / n for side in (-1, 1))
    pooled = (low + high) / 2
    statistic = (high - low) / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert (np.abs(statistic) > 1.959964).mean() == PROMISED


@pytest.mark.parametrize("n, discordance", ((60, 0.5), (200, 0.1), (200, 0.5), (1_000, 0.2), (6_000, 0.3)))
def test_mcnemar_finds_a_paired_difference_as_often_as_promised(n: int, discordance: float) -> None:
    gap = detectable_paired(n, alpha=0.05, power=0.8, discordance=discordance)
    assert gap is not None
    rng = np.random.default_rng(n)
    changed = rng.binomial(n, discordance, TRIALS)
    gained = rng.binomial(changed, (discordance + gap) / (2 * discordance))
    p_values = 2 * special.bdtr(np.minimum(gained, changed - gained), changed, 0.5)
    assert (p_values < 0.05).mean() == PROMISED


def test_the_power_of_mcnemar_s_test_is_the_sum_over_all_tables() -> None:
    n, discordance, gap, alpha = 30, 0.4, 0.25, 0.05
    expected = sum(
        stats.multinomial.pmf((up, down, n - up - down), n, ((discordance + gap) / 2, (discordance - gap) / 2, 0.6))
        for up in range(n + 1)
        for down in range(n + 1 - up)
        if up + down and stats.binomtest(up, up + down).pvalue < alpha
    )
    assert mcnemar_power(n, gap, discordance=discordance, alpha=alpha) == pytest.approx(expected, abs=1e-6)


def test_too_few_changes_to_be_significant_are_said_to_be() -> None:
    assert detectable_paired(40, alpha=0.05, power=0.8, discordance=0.05) is None


@pytest.mark.parametrize("clusters, size, icc", ((20, 10, 0.2), (40, 5, 0.5), (100, 8, 0.05)))
def test_a_clustered_difference_is_found_as_often_as_promised(clusters: int, size: int, icc: float) -> None:
    discordance, n = 0.3, clusters * size
    inflation = 1 + (size - 1) * icc
    scale = detectable_shift(1.0, df=clusters - 1, alpha=0.05, power=0.8) ** 2 * inflation / n
    gap = np.sqrt(discordance * scale / (1 + scale))
    rng = np.random.default_rng(clusters)
    shares = np.asarray([(discordance + gap) / 2, (discordance - gap) / 2, 1 - discordance])
    # Clusters of a Dirichlet distribution have exactly this intraclass correlation.
    own = rng.dirichlet(shares * (1 / icc - 1), (TRIALS, clusters))
    counts = rng.multinomial(size, own)
    means = (counts[..., 0] - counts[..., 1]) / size
    statistic = means.mean(axis=1) / (means.std(axis=1, ddof=1) / np.sqrt(clusters))
    assert (np.abs(statistic) > stats.t.ppf(0.975, clusters - 1)).mean() == PROMISED


@pytest.mark.parametrize("runs, settings", ((8, 4), (6, 2), (24, 4)))
def test_an_effect_over_seeds_is_found_as_often_as_promised(runs: int, settings: int) -> None:
    spread, df = 0.04, runs - settings
    effect = detectable_shift(2 * spread / np.sqrt(runs), df=df, alpha=0.05, power=0.8)
    rng, each = np.random.default_rng(runs), runs // settings
    # Half of the settings have the high level of the factor.
    high = np.repeat([0, 1], settings // 2)[:, None]
    values = rng.normal(effect * high, spread, (TRIALS, settings, each))
    means, error = values.mean(axis=2), np.sqrt(values.var(axis=2, ddof=1).mean(axis=1) * 4 / runs)
    estimate = means[:, settings // 2 :].mean(axis=1) - means[:, : settings // 2].mean(axis=1)
    assert (np.abs(estimate / error) > stats.t.ppf(0.975, df)).mean() == PROMISED


@pytest.mark.parametrize("df", (2, 5, 30, 400))
def test_the_power_of_a_t_test_is_the_noncentral_t_s(df: int) -> None:
    critical = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(critical, df, 2.8) + stats.nct.cdf(-critical, df, 2.8)
    assert t_power(2.8, df=df, alpha=0.05) == pytest.approx(expected, abs=1e-4)
    assert t_power(0.0, df=df, alpha=0.05) == pytest.approx(0.05, abs=1e-4)


def test_no_difference_beyond_one_is_asked_for() -> None:
    assert detectable_difference(1, alpha=0.001, power=0.999) == 1.0
