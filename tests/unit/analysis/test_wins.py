"""What counts as a win: the exact test, the noise floor, and how often chance alone gets one."""

from collections.abc import Callable

import numpy as np
import pytest

from cruijff_kit.analysis.wins import judge_win

SEEDS, TRIALS, SEARCHES = 6, 40, 2_000
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

SHAPES: dict[str, Noise] = {
    "normal": lambda dice, shape: dice.normal(size=shape),
    "heavy tails": lambda dice, shape: dice.standard_t(2.5, size=shape),
    "skewed": lambda dice, shape: dice.lognormal(sigma=1.2, size=shape),
    "coarse": lambda dice, shape: dice.integers(0, 4, size=shape).astype(float),
}


def test_the_p_value_is_the_share_of_signs_that_do_as_well() -> None:
    win = judge_win("trial-001", (3.0, 3.0, 3.0), values=(1.0, 2.0, 2.5), minimise=True, alpha=0.125)
    assert (win.improvement, win.p_value) == pytest.approx((3.5 / 3, 1 / 8))
    other = judge_win("trial-001", (0.0, 0.0, 0.0), values=(2.0, 1.0, -1.0), minimise=False, alpha=0.125)
    # Sums of +-2 +-1 +-1 that are at least 2: 4, 2, 2 of eight.
    assert other.p_value == pytest.approx(3 / 8)


def test_a_win_needs_the_test_and_twice_the_noise_floor() -> None:
    clear = judge_win("t", (5.0, 5.1, 4.9, 5.0, 5.1), values=(4.0, 4.1, 3.9, 4.0, 4.1), minimise=True, alpha=0.05)
    assert clear.won
    assert clear.noise == pytest.approx((2 * 0.007 / 5) ** 0.5)
    # Better on every seed, so that the test rejects, and yet by less than seeds differ.
    steps = tuple(float(at) for at in range(6))
    faint = judge_win("t", steps, values=tuple(at - 0.1 for at in steps), minimise=True, alpha=0.05)
    assert faint.p_value < 0.05
    assert not faint.won


def test_results_that_are_all_the_same_win_nothing() -> None:
    assert not judge_win("t", (1.0,) * 6, values=(1.0,) * 6, minimise=True, alpha=0.05).won


def searches(shape: str, *, effect: float, shared: float) -> float:
    """Return the share of whole searches that claim a win: best of many trials, then fresh seeds beside the default."""
    dice, draw, won = np.random.default_rng(7), SHAPES[shape], 0
    gains = np.linspace(0, effect, TRIALS)
    for _ in range(SEARCHES):
        scores = draw(dice, (TRIALS,)) - gains
        default = draw(dice, (1,))[0]
        best = int(np.argmin(scores))
        if scores[best] >= default:
            continue
        common = shared * draw(dice, (SEEDS,))
        fresh = draw(dice, (2, SEEDS)) + common - np.array([[0.0], [gains[best]]])
        own, others = fresh.tolist()
        won += judge_win("t", own, values=others, minimise=True, alpha=0.05).won
    return won / SEARCHES


@pytest.mark.parametrize("shared", (0.0, 2.0))
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_where_nothing_has_an_effect_at_most_one_search_in_twenty_claims_a_win(shape: str, shared: float) -> None:
    assert searches(shape, effect=0.0, shared=shared) <= 0.05


def test_a_real_effect_is_found() -> None:
    assert searches("normal", effect=4.0, shared=0.0) > 0.8


def test_the_best_of_forty_is_no_win_by_itself() -> None:
    # What the fresh seeds are for: judged on the scores that chose it, noise would win almost always.
    dice = np.random.default_rng(3)
    flattered = sum(dice.normal(size=TRIALS).min() < dice.normal() for _ in range(SEARCHES))
    assert flattered / SEARCHES > 0.9
