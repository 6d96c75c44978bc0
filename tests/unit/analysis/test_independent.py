"""Two independent samples, and many tests at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cruijff_kit.analysis.independent import (
    benjamini_hochberg,
    cohen_h,
    fisher_exact,
    homogeneity,
    proportion_difference,
    welch_difference,
)
from cruijff_kit.analysis.paired import holm_adjusted

SMALL = st.integers(0, 60)


@given(SMALL, SMALL, SMALL, SMALL)
def test_fisher_agrees_with_scipy(k: int, l: int, j: int, m: int) -> None:  # noqa: E741 the letters of the table
    if k + l == 0 or j + m == 0:
        return
    expected = stats.fisher_exact([[k, l], [j, m]])[1]
    assert fisher_exact((k, k + l), (j, j + m)) == pytest.approx(expected, abs=1e-9)


def test_fisher_stays_exact_at_a_million_samples() -> None:
    expected = stats.fisher_exact([[40_300, 9_700], [760_000, 190_000]])[1]
    assert fisher_exact((40_300, 50_000), (760_000, 950_000)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "first, second, low, high",
    # Newcombe (1998), table II: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/10.
    (
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ),
)
def test_the_difference_has_the_published_interval(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    interval = proportion_difference(first, second, level=0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_groups_are_alike_as_pearson_says() -> None:
    table = [(30, 50), (20, 50), (45, 60)]
    expected = stats.chi2_contingency([[k, n - k] for k, n in table], correction=False)[1]
    assert homogeneity(table) == pytest.approx(expected)
    assert homogeneity([(5, 5), (7, 7)]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_benjamini_and_hochberg_agree_with_scipy(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values), abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_false_discovery_rate_is_never_stricter_than_holm(p_values: list[float]) -> None:
    pairs = zip(benjamini_hochberg(p_values), holm_adjusted(p_values), strict=True)
    assert all(discovery <= family + 1e-12 for discovery, family in pairs)


def test_effects_have_cohens_size() -> None:
    assert cohen_h(0.65, 0.5) == pytest.approx(0.3047, abs=1e-4)
    assert cohen_h(0.0, 1.0) == pytest.approx(-3.14159, abs=1e-5)


def test_welch_agrees_with_scipy_and_makes_no_interval_of_nothing() -> None:
    first, second = [0.61, 0.72, 0.55], [0.81, 0.79]
    found, p_value = welch_difference(first, second, level=0.9)
    wanted: Any = stats.ttest_ind(second, first, equal_var=False)
    limits = wanted.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high))
    assert (p_value, found.n) == (pytest.approx(wanted.pvalue), 5)
    assert welch_difference([0.5, 0.5], [0.7, 0.7], level=0.9)[1] is None
