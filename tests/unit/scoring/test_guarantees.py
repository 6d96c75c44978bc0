"""What is promised, counted over 300 worlds whose true probabilities are known."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
import pytest
from numpy.typing import NDArray

from cruijff_kit.scoring.conformal import ConformalPredictor
from cruijff_kit.scoring.risk_control import RiskControlledPredictor
from cruijff_kit.scoring.temperature import option_probabilities
from tests.drawn import drawn_answers

TRIALS, TESTED, ALPHA, DELTA = 300, 500, 0.1, 0.1
LONG = pytest.param(3_000, marks=pytest.mark.soak)


def _within(shares: Sequence[float], low: float, *, high: float) -> bool:
    """Return whether a mean over trials lies in a range, four standard errors allowed."""
    slack = 4 * float(np.std(shares)) / len(shares) ** 0.5
    return low - slack <= float(np.mean(shares)) <= high + slack


@pytest.mark.parametrize("trials", (TRIALS, LONG))
@pytest.mark.parametrize("n", (50, 500))
@pytest.mark.parametrize(
    "method,temperature",
    (
        *((method, heat) for method in ("lac", "aps") for heat in (0.5, 1.0, 2.0)),
        ("aps_deterministic", 0.5),
        ("raps", 0.5),
    ),
)
def test_sets_hold_the_right_option_as_often_as_promised(method: str, temperature: float, n: int, trials: int) -> None:
    shares = []
    for trial in range(trials):
        logits, labels = drawn_answers(n + TESTED, seed=trial)
        predictor = ConformalPredictor(method=method)
        uniforms = np.random.default_rng([trial, 1]).random(n + TESTED)
        scores = predictor.scores(
            probabilities=option_probabilities(logits, temperature=temperature), uniforms=uniforms
        )
        predictor.calibrate(cal_scores=scores[np.arange(n), labels[:n]], alpha=ALPHA)
        sets = predictor.predict(test_scores=scores[n:])
        shares.append(float(sets[np.arange(TESTED), labels[n:]].mean()))
    # Empty sets that got an option, and the ties of a sum that rounds to 1, lift the deterministic ones.
    lift = 0.02 if method == "aps_deterministic" else 0.002
    assert _within(shares, ceil((n + 1) * (1 - ALPHA)) / (n + 1), high=1 - ALPHA + 1 / (n + 1) + lift)


def _by_class(labels: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], list[list[int]]]:
    return labels, [[0, 1, 2, 3, 4]] * n


def _by_group(labels: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], list[list[int]]]:
    groups = np.random.default_rng(int(labels.sum())).choice(3, size=len(labels), p=(0.7, 0.25, 0.05))
    return groups, [[int(each)] for each in groups[-n:]]


@pytest.mark.parametrize("n", (50, 500))
@pytest.mark.parametrize("told_apart", (_by_class, _by_group))
def test_sets_hold_the_right_option_within_each_category_too(told_apart: Callable[..., tuple], n: int) -> None:
    found: dict[int, list[float]] = {}
    expected: dict[int, list[float]] = {}
    for trial in range(TRIALS):
        # Two options are likelier than the others, so that the classes differ in size and difficulty.
        logits, labels = drawn_answers(n + TESTED, seed=trial, tilt=(1.0, 0.6, 0.0, -0.4, -0.8))
        names, rows = told_apart(labels, TESTED)
        scores = 1 - option_probabilities(logits, temperature=0.5)
        predictor = ConformalPredictor()
        predictor.calibrate(cal_scores=scores[np.arange(n), labels[:n]], alpha=ALPHA, cal_categories=names[:n].tolist())
        sets = predictor.predict(test_scores=scores[n:], test_categories=rows)
        held = sets[np.arange(TESTED), labels[n:]]
        for name in np.unique(names[n:]).tolist():
            size = int((names[:n] == name).sum())
            rank = ceil((size + 1) * (1 - ALPHA) - 1e-9)
            found.setdefault(name, []).append(float(held[names[n:] == name].mean()))
            expected.setdefault(name, []).append(rank / (size + 1) if rank <= size else 1.0)
    for name, shares in found.items():
        differences = np.array(shares) - np.array(expected[name])
        assert _within(differences.tolist(), 0.0, high=0.002), name


@pytest.mark.parametrize("trials", (TRIALS, LONG))
@pytest.mark.parametrize("temperature", (0.5, 1.0))
def test_learn_then_test_acts_and_seldom_breaks_its_promise(temperature: float, trials: int) -> None:
    certified, acting, broken = 0, [], 0
    for trial in range(trials):
        logits, labels = drawn_answers(4_500, seed=trial, spread=3.0)
        rows = option_probabilities(logits, temperature=temperature)
        predictor = RiskControlledPredictor(delta=DELTA)
        predictor.calibrate(cal_probs=rows[:500], cal_labels=labels[:500], risk_level=ALPHA)
        actions = predictor.predict(test_probs=rows[500:]).actions
        acts = actions >= 0
        certified += predictor.threshold is not None
        acting.append(float(acts.mean()))
        broken += bool(acts.any() and (actions != labels[500:])[acts].mean() > ALPHA)
    assert certified >= 0.6 * trials
    assert np.mean(acting) > 0.2
    # Delta of them, plus 3.3 standard errors: 47 of 300.
    assert broken <= DELTA * trials + 3.3 * (trials * DELTA * (1 - DELTA)) ** 0.5


def test_marginal_risk_is_kept_with_costs_and_a_guarantee_on_average() -> None:
    costs = np.array([[0, 1, 2, 3, 4]] * 5) * 1.0
    costs = np.abs(costs - costs.T) * np.where(costs > costs.T, 1.0, 4.0)
    risks: dict[str, list[float]] = {"crc": [], "ltt": []}
    for trial in range(TRIALS):
        logits, labels = drawn_answers(2_500, seed=trial, spread=2.0)
        rows = option_probabilities(logits, temperature=0.5)
        for method, kept in risks.items():
            predictor = RiskControlledPredictor(method=method, risk="marginal", delta=DELTA)
            predictor.calibrate(cal_probs=rows[:500], cal_labels=labels[:500], risk_level=0.8, cost_matrix=costs)
            actions = predictor.predict(test_probs=rows[500:]).actions
            paid = np.where(actions >= 0, costs[labels[500:], actions], 0.0)
            kept.append(float(paid.mean()))
    assert _within(risks["crc"], 0.0, high=0.8)
    assert np.mean(risks["crc"]) > 0.6
    assert np.mean(np.array(risks["ltt"]) > 0.8) <= DELTA + 3.3 * (DELTA * (1 - DELTA) / TRIALS) ** 0.5
    assert np.mean(risks["ltt"]) > 0.2
