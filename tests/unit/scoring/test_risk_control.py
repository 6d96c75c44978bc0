"""Risk control: the test behind it, its sequence, and the decisions it allows."""

import numpy as np
import pytest
from scipy import stats

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.risk_control import (
    RiskControlledPredictor,
    bounded_mean_limits,
    crc_index,
    hoeffding_bentkus,
    ltt_index,
)
from cruijff_kit.scoring.temperature import option_probabilities
from tests.drawn import drawn_answers

COSTS = [[0.0, 1.0], [5.0, 0.0]]


@pytest.mark.parametrize("alpha", (0.05, 0.1, 0.3))
@pytest.mark.parametrize("n", (10, 45, 200))
def test_the_p_value_is_at_most_delta_that_often_where_the_risk_is_alpha(n: int, alpha: float) -> None:
    values = np.array([hoeffding_bentkus(k / n, n, alpha=alpha) for k in range(n + 1)])
    for delta in (0.01, 0.1, 0.3):
        assert stats.binom.pmf(np.arange(n + 1), n, alpha)[values <= delta].sum() <= delta


def test_the_p_value_is_hoeffdings_or_bentkus_whichever_is_smaller() -> None:
    hoeffding = np.exp(-100 * (0.02 * np.log(0.02 / 0.1) + 0.98 * np.log(0.98 / 0.9)))
    bentkus = np.e * stats.binom.cdf(2, 100, 0.1)
    assert hoeffding_bentkus(0.02, 100, alpha=0.1) == pytest.approx(min(hoeffding, bentkus))
    assert hoeffding_bentkus(0.1, 100, alpha=0.1) == 1.0
    assert hoeffding_bentkus(1.0, 100, alpha=0.1) == 1.0
    assert hoeffding_bentkus(0.0, 0, alpha=0.1) == 1.0


def test_no_loss_at_all_certifies_from_twenty_two_samples_at_ten_percent() -> None:
    assert ltt_index(totals=[0.0], counts=[21], alpha=0.1, delta=0.1) is None
    assert ltt_index(totals=[0.0], counts=[22], alpha=0.1, delta=0.1) == 0


def test_the_sequence_ends_at_the_first_threshold_that_is_not_certified() -> None:
    totals, counts = [0.0, 0.0, 1.0, 50.0, 2.0], [5, 40, 100, 200, 400]
    assert ltt_index(totals=totals, counts=counts, alpha=0.1, delta=0.1) == 2


def test_conformal_risk_control_keeps_the_largest_threshold_allowed() -> None:
    losses = np.zeros((99, 4))
    losses[:4, 1], losses[:9, 2], losses[:10, 3] = 1, 1, 1
    assert crc_index(losses=losses, alpha=0.1) == 2
    assert crc_index(losses=losses, alpha=0.009) is None
    assert crc_index(losses=losses * 5, alpha=0.5, bound=5.0) == 2


def test_the_cheapest_option_is_chosen_and_rows_are_truth() -> None:
    predictor = RiskControlledPredictor()
    predictor.restore(threshold=5.0, cost_matrix=COSTS)
    found = predictor.predict(test_probs=[[0.9, 0.1], [0.7, 0.3]])
    # Choosing 0 costs five times P(1), choosing 1 once P(0).
    assert found.expected_costs.tolist() == pytest.approx([0.5, 0.7])
    assert found.actions.tolist() == [0, 1]


def test_a_confident_harmful_class_is_acted_on_and_doubt_abstains() -> None:
    rows = np.repeat([[0.001, 0.999], [0.999, 0.001], [0.6, 0.4]], 200, axis=0)
    predictor = RiskControlledPredictor()
    labels = np.repeat([1, 0, 0], 200)
    labels[-80:] = 1
    predictor.calibrate(cal_probs=rows, cal_labels=labels, risk_level=0.2, cost_matrix=COSTS)
    found = predictor.predict(test_probs=rows[::200], cost_matrix=COSTS)
    assert found.actions.tolist() == [1, 0, -1]


@pytest.mark.parametrize("method,risk", (("ltt", "selective"), ("ltt", "marginal"), ("crc", "marginal")))
def test_too_little_data_abstains_on_everything(method: str, risk: str) -> None:
    predictor = RiskControlledPredictor(method=method, risk=risk)
    predictor.calibrate(cal_probs=[[0.9, 0.1]] * 5, cal_labels=[0] * 5, risk_level=0.1)
    assert predictor.threshold is None
    assert predictor.predict(test_probs=[[1.0, 0.0]]).actions.tolist() == [-1]


def test_p_of_class_one_alone_is_enough_for_two_options() -> None:
    predictor = RiskControlledPredictor(risk="marginal")
    predictor.calibrate(cal_probs=[0.99] * 100, cal_labels=[1] * 100, risk_level=0.1)
    assert predictor.predict(test_probs=[0.999, 0.001]).actions.tolist() == [1, 0]


def test_costs_scale_the_risk_and_change_no_decision() -> None:
    logits, labels = drawn_answers(500, seed=4, options=2, spread=3.0)
    rows = option_probabilities(logits)
    small, large = RiskControlledPredictor(), RiskControlledPredictor()
    small.calibrate(cal_probs=rows, cal_labels=labels, risk_level=0.1)
    large.calibrate(cal_probs=rows, cal_labels=labels, risk_level=0.8, cost_matrix=8 * (1 - np.eye(2)))
    assert small.threshold is not None
    assert large.threshold == pytest.approx(8 * small.threshold)
    assert np.array_equal(small.predict(test_probs=rows).actions, large.predict(test_probs=rows).actions)


def test_limits_of_a_mean_hold_for_any_distribution_of_losses() -> None:
    for share in (0.02, 0.3, 0.9):
        limits = [bounded_mean_limits([5.0] * k + [0.0] * (60 - k), bound=5.0, level=0.95) for k in range(61)]
        held = [low <= 5 * share <= high for low, high in limits]
        assert stats.binom.pmf(np.arange(61), 60, share)[held].sum() >= 0.95
        assert all(
            0 <= low <= 5 * k / 60 + 1e-9 and 5 * k / 60 - 1e-9 <= high <= 5 for k, (low, high) in enumerate(limits)
        )


def test_other_costs_than_those_calibrated_with_are_refused() -> None:
    predictor = RiskControlledPredictor()
    predictor.restore(threshold=0.1, cost_matrix=COSTS)
    with pytest.raises(ResultError, match="not the costs that were calibrated with"):
        predictor.predict(test_probs=[[0.5, 0.5]], cost_matrix=[[0, 2], [5, 0]])
    with pytest.raises(ResultError, match="3 options, and costs of 2"):
        predictor.predict(test_probs=[[0.5, 0.5, 0.0]])


@pytest.mark.parametrize(
    "costs,risk,said",
    (
        (COSTS, 5.0, "between 0 and the largest cost, 5"),
        ([[0, 1]], 0.1, "2 options need"),
        ([[0, -1], [1, 0]], 0.1, "none negative"),
        ([[0, 0], [0, 0]], 0.1, "one positive"),
        ([[0, float("inf")], [1, 0]], 0.1, "finite"),
    ),
)
def test_costs_that_allow_no_guarantee_are_refused(costs: list[list[float]], risk: float, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        RiskControlledPredictor().calibrate(cal_probs=[[0.5, 0.5]], cal_labels=[0], risk_level=risk, cost_matrix=costs)


@pytest.mark.parametrize("method,risk", (("crc", "selective"), ("rcps", "marginal"), ("ltt", "total")))
def test_a_control_that_does_not_exist_is_refused(method: str, risk: str) -> None:
    with pytest.raises(ResultError, match="crc"):
        RiskControlledPredictor(method=method, risk=risk)


def test_a_predictor_without_a_threshold_to_use_says_so() -> None:
    with pytest.raises(ResultError, match="not calibrated"):
        RiskControlledPredictor().predict(test_probs=[[0.5, 0.5]])
