"""Effects of factors over seeds."""

from collections.abc import Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cruijff_kit.analysis.factorial import Observation, cell_figures, factor_effects
from cruijff_kit.analysis.independent import proportion_difference

TWO = {"rank": (4, 16), "lr": (3e-4, 1e-3)}
BALANCED = {(4, 3e-4): (0.1, 0.2), (4, 1e-3): (0.6, 0.5), (16, 3e-4): (0.3, 0.5), (16, 1e-3): (0.9, 0.95)}


def _observed(cells: Mapping[Any, Sequence[float]], names: Sequence[str] = ("rank", "lr")) -> list[Observation]:
    pairs = [(cell, value) for cell, values in cells.items() for value in values]
    return [Observation(f"r{i}", dict(zip(names, cell, strict=True)), value) for i, (cell, value) in enumerate(pairs)]


def test_effects_of_a_two_by_two_design_are_those_computed_by_hand() -> None:
    rank, lr, both = factor_effects(_observed(BALANCED), TWO, level=0.95)
    assert (rank.factor, rank.contrast) == ("rank", "16 - 4")
    assert (both.factor, both.contrast) == ("rank x lr", "(16 - 4) at 0.001 minus at 0.0003")
    values = [each.figure.value for each in (rank, lr, both)]
    assert values == pytest.approx([0.3125, 0.4625, 0.125])
    # Sums of squares within the four pairs: (0.005 + 0.005 + 0.02 + 0.00125) / 4 = 0.0078125;
    # a main effect has half that variance, and t(0.975, 4) = 2.776445.
    assert rank.figure.high == pytest.approx(0.3125 + 2.776445 * (0.0078125 / 2) ** 0.5)
    assert both.figure.high == pytest.approx(0.125 + 2.776445 * (0.0078125 * 2) ** 0.5)
    assert rank.p_value == pytest.approx(2 * stats.t.sf(0.3125 / 0.0625, 4))
    assert rank.figure.n == 8


def test_unequal_numbers_of_seeds_agree_with_least_squares_on_the_saturated_model() -> None:
    chance, factors = Random(3), {"a": (1, 2), "b": ("x", "y", "z")}
    cells = {cell: [chance.random() for _ in range(1 + n % 3)] for n, cell in enumerate(product(*factors.values()))}
    found = {(e.factor, e.contrast): e for e in factor_effects(_observed(cells, ("a", "b")), factors, level=0.95)}
    rows = np.array([[float(cell == each) for each in cells] for cell, values in cells.items() for _ in values])
    outcomes = np.array([value for values in cells.values() for value in values])
    means, residual, *_ = np.linalg.lstsq(rows, outcomes, rcond=None)
    weights = np.array([(cell[1] == "z") / 2 - (cell[1] == "x") / 2 for cell in cells])
    df = len(outcomes) - len(cells)
    error = (residual[0] / df * weights @ np.linalg.inv(rows.T @ rows) @ weights) ** 0.5
    effect = found["b", "z - x"]
    assert effect.figure.value == pytest.approx(weights @ means)
    assert effect.figure.low == pytest.approx(weights @ means - stats.t.ppf(0.975, df) * error)


def test_factors_of_more_levels_are_compared_with_their_first_level() -> None:
    cells = {(level,): (0.1 * level, 0.1 * level + 0.02) for level in (1, 2, 4)}
    found = factor_effects(_observed(cells, ("n",)), {"n": (1, 2, 4)}, level=0.95)
    assert [(each.contrast, round(each.figure.value or 0, 6)) for each in found] == [("2 - 1", 0.1), ("4 - 1", 0.3)]


def test_true_and_one_are_different_levels() -> None:
    levels = [True, True, 1, 1]
    observed = [Observation(f"r{i}", {"flag": levels[i]}, value) for i, value in enumerate((0.5, 0.6, 0.8, 0.9))]
    (effect,) = factor_effects(observed, {"flag": (True, 1)}, level=0.95)
    assert effect.figure.value == pytest.approx(0.3)


def test_one_seed_a_combination_gives_estimates_without_intervals_and_says_why() -> None:
    effects = factor_effects(_observed({cell: values[:1] for cell, values in BALANCED.items()}), TWO, level=0.95)
    assert [each.figure.low for each in effects] == [None] * 3
    assert all("spread between seeds is unknown" in each.reason for each in effects)
    assert all(each.p_value is None and each.figure.value is not None for each in effects)


def test_seeds_without_any_spread_give_no_interval_of_no_width() -> None:
    effects = factor_effects(_observed({cell: (values[0],) * 3 for cell, values in BALANCED.items()}), TWO, level=0.95)
    assert all(each.figure.high is None and "no spread" in each.reason for each in effects)


def test_an_interaction_whose_corner_is_missing_cannot_be_estimated_and_names_the_corner() -> None:
    cells = {cell: values for cell, values in BALANCED.items() if cell != (16, 1e-3)}
    rank, lr, both = factor_effects(_observed(cells), TWO, level=0.95)
    assert both.figure.value is None
    assert both.reason == "cannot be estimated: no result for rank=16, lr=0.001"
    # Without an interaction the corner that is left on each side carries the effect.
    assert (rank.figure.value, lr.figure.value) == pytest.approx((0.25, 0.4))
    assert "without interactions" in rank.figure.method


def test_factors_that_changed_together_cannot_be_told_apart() -> None:
    cells = {cell: values for cell, values in BALANCED.items() if cell in {(4, 3e-4), (16, 1e-3)}}
    effects = factor_effects(_observed(cells), TWO, level=0.95)
    assert [each.figure.value for each in effects] == [None] * 3


def test_a_planned_analysis_adjusts_over_its_own_comparisons_alone() -> None:
    (rank,) = factor_effects(_observed(BALANCED), TWO, level=0.95, planned=["rank"])
    assert rank.p_adjusted == rank.p_value


def test_settings_show_their_mean_with_the_error_of_all() -> None:
    low, *_ = cell_figures(_observed(BALANCED), TWO, level=0.95)
    assert (low.factors, low.runs) == ({"rank": 4, "lr": 3e-4}, ("r0", "r1"))
    assert low.figure.value == pytest.approx(0.15)
    assert low.figure.high == pytest.approx(0.15 + 2.776445 * (0.0078125 / 2) ** 0.5)


def test_no_varied_factor_has_no_effect() -> None:
    assert factor_effects(_observed({(4,): (0.5, 0.6)}, ("rank",)), {"rank": (4,)}, level=0.95) == ()


def test_effects_cover_the_truth_as_often_as_they_say() -> None:
    assert _coverage(experiments=400) == pytest.approx(0.95, abs=0.025)


@pytest.mark.soak
def test_effects_cover_the_truth_as_often_as_they_say_in_many_experiments() -> None:
    assert _coverage(experiments=20_000) == pytest.approx(0.95, abs=0.004)


def test_seeds_are_clusters_of_their_samples_and_an_effect_over_them_covers_the_truth() -> None:
    """Samples of one seed share its luck: intervals over seeds hold, intervals over pooled samples do not."""
    held, pooled, experiments = 0, 0, 400
    chance = np.random.default_rng(7)
    for _ in range(experiments):
        skills = {(level,): np.clip(chance.normal(mean, 0.06, 4), 0, 1) for level, mean in ((4, 0.6), (16, 0.7))}
        hits = {cell: chance.binomial(200, each) for cell, each in skills.items()}
        cells = {cell: (each / 200).tolist() for cell, each in hits.items()}
        (effect,) = factor_effects(_observed(cells, ("rank",)), {"rank": (4, 16)}, level=0.95)
        held += (effect.figure.low or 0.0) <= 0.1 <= (effect.figure.high or 0.0)
        low, high = (int(hits[level,].sum()) for level in (4, 16))
        naive = proportion_difference((high, 800), (low, 800), level=0.95)
        pooled += (naive.low or 0.0) <= 0.1 <= (naive.high or 0.0)
    assert held / experiments == pytest.approx(0.95, abs=0.03)
    assert pooled / experiments < 0.8


def _coverage(*, experiments: int) -> float:
    """Return how often the interval of a true effect of 0.2 holds it, at two seeds a combination."""
    chance, held = Random(14), 0
    for _ in range(experiments):
        cells = {cell: [0.2 * (cell[0] == 16) + chance.gauss(0.4, 0.05) for _ in range(2)] for cell in BALANCED}
        figure = factor_effects(_observed(cells), TWO, level=0.95)[0].figure
        held += (figure.low or 0.0) <= 0.2 <= (figure.high or 0.0)
    return held / experiments
