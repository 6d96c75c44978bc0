"""Intervals of figures of probabilities: they cover as often as they say, and end where nothing is known."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from cruijff_kit.analysis.distributions import noncentral_below
from cruijff_kit.analysis.score_intervals import (
    aurc_interval,
    debiased_ece_interval,
    line_interval,
    mean_interval,
)
from cruijff_kit.schema.interval import Interval
from cruijff_kit.scoring.calibration_error import compute_debiased_ece
from cruijff_kit.scoring.decision_scores import compute_aurc
from cruijff_kit.scoring.probability_scores import (
    compute_brier_score,
    compute_calibration_slope,
    fit_intercept,
    fit_slope,
)

World = tuple[np.ndarray, np.ndarray]
TRIALS = 300


def answers(rng: np.random.Generator, n: int, *, sharpness: float) -> World:
    """Return probabilities and outcomes; at a sharpness above 1 the log-odds are that many times too large."""
    truth = rng.beta(3, 1.2, n)
    right = (rng.random(n) < truth).astype(np.float64)
    return 1 / (1 + np.exp(-sharpness * np.log(truth / (1 - truth)))), right


def share_covered(interval: Callable[[World], Interval], truth: float, *, n: int, sharpness: float) -> float:
    rng = np.random.default_rng(n)
    found = [interval(answers(rng, n, sharpness=sharpness)) for _ in range(TRIALS)]
    return sum((each.low or 0.0) <= truth <= (each.high or 0.0) for each in found) / TRIALS


@pytest.mark.parametrize("n", (50, 200, 1000))
def test_a_calibrated_model_is_seldom_said_to_err_and_an_overconfident_ones_error_is_held(n: int) -> None:
    def interval(world: World) -> Interval:
        return debiased_ece_interval(*world, level=0.95)

    sure, right = answers(np.random.default_rng(1), 400_000, sharpness=1.8)
    truth = compute_debiased_ece(y_prob=sure, y_true=right).value or 0.0
    assert truth > 0.08
    # Binomial slack of 300 trials is 0.038 at three standard errors.
    assert share_covered(interval, 0.0, n=n, sharpness=1.0) >= 0.95
    assert share_covered(interval, truth, n=n, sharpness=1.8) >= 0.912


@pytest.mark.parametrize("n", (100, 500))
@pytest.mark.parametrize("sharpness", (1.0, 2.0))
def test_selective_risk_the_recalibration_line_and_mean_scores_cover_as_often_as_they_say(
    n: int, sharpness: float
) -> None:
    sure, right = answers(np.random.default_rng(1), 400_000, sharpness=sharpness)
    area = compute_aurc(confidence=sure, correct=right).value or 0.0
    slope = compute_calibration_slope(y_prob=sure, y_true=right).value or 0.0
    large = fit_intercept(y_prob=sure, y_true=right).estimate.value or 0.0
    brier = compute_brier_score(y_prob=sure, y_true=right).value or 0.0
    assert slope == pytest.approx(1 / sharpness, rel=0.03)
    fitted = {
        area: lambda world: aurc_interval(*world, level=0.95),
        slope: lambda world: line_interval(fit_slope(y_prob=world[0], y_true=world[1]), level=0.95),
        large: lambda world: line_interval(fit_intercept(y_prob=world[0], y_true=world[1]), level=0.95),
        brier: lambda world: mean_interval((world[0] - world[1]) ** 2, level=0.95),
    }
    for truth, interval in fitted.items():
        assert 0.89 <= share_covered(interval, truth, n=n, sharpness=sharpness) <= 0.99


def test_the_limits_of_the_debiased_error_are_where_its_noncentral_chi_squared_has_the_tails() -> None:
    rng = np.random.default_rng(5)
    sure = np.repeat(np.linspace(0.55, 0.95, 10), 40)
    right = (rng.random(400) < sure - 0.2).astype(np.float64)
    found = debiased_ece_interval(sure, right, level=0.9)
    share, forecast = right.reshape(10, 40).mean(axis=1), np.linspace(0.55, 0.95, 10)
    spread = np.maximum(share * (1 - share) * 40 / 39, forecast * (1 - forecast))
    scale, df = (spread**2).sum() / spread.sum(), spread.sum() ** 2 / (spread**2).sum()
    statistic = 40 * ((share - forecast) ** 2).sum() / scale
    tails = [stats.ncx2.cdf(statistic, df, 400 * (limit or 0.0) ** 2 / scale) for limit in (found.low, found.high)]
    assert tails == pytest.approx([0.95, 0.05], abs=1e-6)
    assert (found.low or 0) < (found.value or 0) < (found.high or 0)


@pytest.mark.parametrize("statistic, df, noncentrality", ((12.0, 9.3, 0.0), (900.0, 10.0, 850.0), (4e5, 8.0, 4e5)))
def test_the_noncentral_distribution_is_scipys(statistic: float, df: float, noncentrality: float) -> None:
    expected = stats.ncx2.cdf(statistic, df, noncentrality) if noncentrality else stats.chi2.cdf(statistic, df)
    assert noncentral_below(statistic, df, noncentrality=noncentrality) == pytest.approx(expected, rel=1e-4)


def test_sure_answers_without_a_fault_are_no_proof_of_an_error() -> None:
    found = debiased_ece_interval(np.full(20, 0.97), np.ones(20), level=0.95)
    assert found.low == 0.0
    assert (found.high or 0.0) > 0.03


def test_where_nothing_varies_there_is_no_interval_of_no_width() -> None:
    assert debiased_ece_interval(np.ones(30), np.ones(30), level=0.95).low is None
    assert aurc_interval(np.linspace(0.5, 0.9, 30), np.ones(30), level=0.95).high is None
    assert mean_interval(np.full(30, 0.25), level=0.95).low is None
    assert debiased_ece_interval(np.array([0.4]), np.array([1.0]), level=0.95).value is None
    assert mean_interval(np.array([]), level=0.95).value is None


def test_an_infinite_loss_has_no_mean() -> None:
    assert mean_interval(np.array([0.1, np.inf]), level=0.95).value is None


def test_a_mean_has_students_interval() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.9])
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    found = mean_interval(values, level=0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_line_without_a_coefficient_has_no_limits() -> None:
    found = line_interval(fit_slope(y_prob=[0.2, 0.4, 0.6, 0.8], y_true=[0, 0, 1, 1]), level=0.95)
    assert (found.value, found.low) == (None, None)
