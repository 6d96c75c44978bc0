"""Figures a training is watched by: false alarms, power, intervals, and rows that are never used twice."""

import numpy as np
import pytest

from cruijff_kit.schema.losses import CriticalError
from cruijff_kit.scoring.calibration_error import compute_debiased_ece, compute_ece, compute_mce
from cruijff_kit.scoring.estimates import Floats, Integers
from cruijff_kit.scoring.harm import harm_costs
from cruijff_kit.scoring.probability_scores import compute_brier_score
from cruijff_kit.scoring.watched import Watching, watched_figures

THRESHOLD = 0.05


def drawn(chance: np.random.Generator, *, n: int, options: int, heat: float = 1.0) -> tuple[Floats, Integers]:
    """Return what a model says whose logits are too large by a factor, and what comes true."""
    logits = 2 * chance.normal(size=(n, options))
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (chance.random((n, 1)) < truth.cumsum(axis=1)).argmax(axis=1)
    said = np.exp(heat * logits)
    return said / said.sum(axis=1, keepdims=True), labels


def figures(rows: Floats, labels: Integers, **how: float) -> dict[str, float]:
    costs = 1.0 - np.eye(rows.shape[1])
    return watched_figures(y_prob=rows, y_true=labels, costs=costs, how=Watching(**{"draws": 200, **how}))


@pytest.mark.parametrize("options", (2, 5))
def test_a_perfectly_calibrated_model_sets_the_monitor_off_in_at_most_one_of_twenty_evaluations(options: int) -> None:
    chance = np.random.default_rng(options)
    found = [figures(*drawn(chance, n=200, options=options), seed=trial) for trial in range(250)]
    alarms = np.mean([each["ece_debiased_low"] > THRESHOLD for each in found])
    assert alarms <= 0.05
    if options == 5:
        # The plug-in error alone would go off at most of them.
        assert np.mean([each["ece"] > THRESHOLD for each in found]) > 0.5


def test_a_model_twice_too_sure_sets_it_off_and_nearly_always_with_a_thousand_rows() -> None:
    chance = np.random.default_rng(1)
    few = [figures(*drawn(chance, n=200, options=5, heat=2.0), seed=trial) for trial in range(100)]
    many = [figures(*drawn(chance, n=1000, options=5, heat=2.0), seed=trial) for trial in range(40)]
    assert np.mean([each["ece_debiased_low"] > THRESHOLD for each in few]) > 0.35
    assert np.mean([each["ece_debiased_low"] > THRESHOLD for each in many]) > 0.95


def test_figures_are_those_of_the_scorers_and_lie_within_their_intervals() -> None:
    rows, labels = drawn(np.random.default_rng(3), n=300, options=4, heat=1.5)
    found = figures(rows, labels, bins=10)
    named = {"ece": compute_ece, "mce": compute_mce, "ece_debiased": compute_debiased_ece, "brier": compute_brier_score}
    for name, compute in named.items():
        assert found[name] == pytest.approx(compute(y_prob=rows, y_true=labels).value)
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert found["accuracy"] == pytest.approx((rows.argmax(axis=1) == labels).mean())
    assert found == figures(rows, labels, bins=10)
    assert found["ece_low"] != figures(rows, labels, bins=10, seed=1)["ece_low"]


def test_intervals_of_means_hold_the_truth_as_often_as_they_say() -> None:
    chance, held = np.random.default_rng(5), []
    for trial in range(200):
        rows, labels = drawn(chance, n=200, options=2)
        found = figures(rows, labels, seed=trial, level=0.9)
        # Calibrated: what comes true is, on average, as sure as is said.
        truth = rows.max(axis=1).mean()
        held.append(found["accuracy_low"] <= truth <= found["accuracy_high"])
    assert 0.85 <= np.mean(held) <= 0.96


def test_sets_are_measured_on_rows_that_did_not_calibrate_them() -> None:
    chance, covered = np.random.default_rng(7), []
    for trial in range(300):
        rows, labels = drawn(chance, n=200, options=5, heat=2.0)
        covered.append(figures(rows, labels, seed=trial, draws=50)["coverage"])
    # 1 - alpha, and at most 1 / (n + 1) more, however wrong the model; four standard errors of the mean around it.
    error = 4 * np.std(covered) / np.sqrt(len(covered))
    assert 0.9 - error <= np.mean(covered) <= 0.9 + 1 / 101 + error
    # Rows that calibrate say nothing of coverage: with them all right but those measured all wrong it is none.
    sure = np.tile([0.99, 0.01], (100, 1))
    order = np.random.default_rng([0, 1]).permutation(100)
    labels = np.zeros(100, dtype=np.int64)
    labels[order[50:]] = 1
    found = figures(sure, labels, seed=0)
    assert (found["coverage"], found["set_size"], found["expected_risk"]) == (0.0, 1.0, 1.0)


def test_risk_is_that_of_the_answer_whose_expected_cost_is_least() -> None:
    errors = (CriticalError(true="high", predicted="low", weight=50.0),)
    costs = harm_costs(("low", "high"), weights={"low": 1.0, "high": 10.0}, errors=errors)
    assert costs.tolist() == [[0.0, 1.0], [50.0, 0.0]]
    rows = np.tile([0.9, 0.1], (40, 1))
    labels = np.zeros(40, dtype=np.int64)
    # 0.1 x 50 is more than 0.9 x 1: the rarer, more harmful label is answered, which is wrong each time.
    assert watched_figures(y_prob=rows, y_true=labels, costs=costs, how=Watching())["expected_risk"] == 1.0


def test_too_few_rows_tell_what_they_can() -> None:
    one = figures(np.array([[0.6, 0.4]]), np.array([0]))
    assert one["accuracy"] == 1.0
    assert not {"coverage", "ece_debiased"} & one.keys()
    assert figures(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)) == {}
