"""Wins: whether the best of many trials beats the default on seeds that had no part in choosing it.

The best of many noisy results is too good by selection, so it proves nothing of itself.
Trial and default are therefore run again on the same seeds, used nowhere before. If the
trial is no better, each pair of results might as well have come the other way round, so
every choice of signs of the differences is equally likely; the share of choices whose sum
is at least the one seen is an exact p-value, whatever the distribution of the noise and
however many trials there were. Only the improvement over twice the noise floor is asked
for besides, which can but lower the rate of false wins.
Source: R. A. Fisher, The Design of Experiments (1935), section 21.
"""

from collections.abc import Sequence
from statistics import fmean, variance

from cruijff_kit.schema.sweep import Win

__all__ = ["judge_win"]

_FLOORS = 2.0


def judge_win(trial: str, default: Sequence[float], *, values: Sequence[float], minimise: bool, alpha: float) -> Win:
    """Return whether a trial beats the default, by results on the same fresh seeds.

    Args:
        trial: name of the trial.
        default: the default's results, at least two.
        values: the trial's, in the order of the same seeds.
        minimise: whether less is better.
        alpha: one-sided level.
    """
    sign = -1.0 if minimise else 1.0
    gains = [sign * (mine - other) for mine, other in zip(values, default, strict=True)]
    improvement = fmean(gains)
    pooled = (variance(default) + variance(values)) / 2
    noise = (2 * pooled / len(gains)) ** 0.5
    p_value = _sign_flip(gains)
    return Win(
        trial=trial,
        default=tuple(default),
        values=tuple(values),
        improvement=improvement,
        noise=noise,
        p_value=p_value,
        alpha=alpha,
        won=p_value <= alpha and improvement >= _FLOORS * noise and improvement > 0,
    )


def _sign_flip(gains: Sequence[float]) -> float:
    """Return the share of all choices of signs whose sum is at least the one seen."""
    sums = [0.0]
    for gain in gains:
        sums = [total + signed for total in sums for signed in (gain, -gain)]
    # Sums of the same terms in another order may differ in their last digits.
    seen = sum(gains) - 1e-9 * sum(map(abs, gains))
    return sum(total >= seen for total in sums) / len(sums)
