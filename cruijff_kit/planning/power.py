"""Power: the smallest difference a design can be expected to see.

A design is made where scipy need not be installed, so what follows stands on numpy alone.
"""

from collections.abc import Callable
from math import erf, lgamma, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["detectable_difference", "detectable_paired", "detectable_shift", "mcnemar_power", "t_power"]

_HALVINGS = 24
# Points of the integral over the estimated spread, and of the sum over how many items
# changed; more of either change no digit shown.
_POINTS, _CHANGES = 301, 60


def detectable_difference(n: int, *, alpha: float, power: float, share: float = 0.5) -> float:
    """Return the smallest difference of two proportions on different items.

    Solves d = z[1 - alpha/2] sqrt(2 p q / n) + z[power] sqrt((p1 q1 + p2 q2) / n) with
    p1 and p2 at p -+ d/2: two independent samples of equal size. The same items under
    both models need less wherever the two tend to be right on the same ones.
    Source: J. L. Fleiss, B. Levin, M. C. Paik, Statistical Methods for Rates and
    Proportions, 3rd ed. (2003), chapter 4.

    Args:
        n: items evaluated on each side.
        alpha: two-sided significance level.
        power: chance of finding a difference of this size.
        share: mean proportion right, p.
    """
    normal = NormalDist()
    reach, z = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    null = sqrt(2 * share * (1 - share) / n)

    def reached(gap: float) -> bool:
        # The variances of the two parts sum to 2 p q - d d / 2.
        return gap >= reach * null + z * sqrt(max(0.0, null * null - gap * gap / (2 * n)))

    return _smallest(reached, 1.0) or 1.0


def detectable_paired(n: int, *, alpha: float, power: float, discordance: float) -> float | None:
    """Return the smallest difference of two models on the same items that the exact McNemar test finds.

    Args:
        n: items that both answer.
        alpha: two-sided significance level.
        power: chance of finding a difference of this size.
        discordance: share of items on which one is right and the other wrong.

    Returns:
        None where even a difference of `discordance`, every change a gain, is not found.
    """

    def reached(gap: float) -> bool:
        return mcnemar_power(n, gap, discordance=discordance, alpha=alpha) >= power

    return _smallest(reached, discordance)


def mcnemar_power(n: int, gap: float, *, discordance: float, alpha: float) -> float:
    """Return the chance that the exact McNemar test finds a difference, summed over every outcome.

    Args:
        n: items.
        gap: true difference in accuracy, at most `discordance`.
        discordance: share of items that change.
        alpha: two-sided significance level.
    """
    import numpy as np

    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))

    def pmf(trials: int, share: float) -> "NDArray[np.float64]":
        k = np.arange(trials + 1)
        if share in {0.0, 1.0}:
            return (k == trials * share).astype(float)
        ways = log_factorial[trials] - log_factorial[k] - log_factorial[trials - k]
        return np.exp(ways + k * log(share) + (trials - k) * log(1 - share))

    up, found = (discordance + gap) / (2 * discordance), 0.0
    chances = pmf(n, discordance)
    likely = np.flatnonzero(chances > 1e-8)
    likely = likely[:: max(1, len(likely) // _CHANGES)]
    for changed, chance in zip(likely.tolist(), (chances[likely] / chances[likely].sum()).tolist(), strict=True):
        below = np.cumsum(pmf(changed, 0.5))
        # Rejected when as few of one direction as this, in both tails, are unlikely enough.
        critical = int(np.searchsorted(2 * below, alpha, side="right")) - 1
        if critical >= 0:
            gains = pmf(changed, up)
            found += chance * float(gains[: critical + 1].sum() + gains[changed - critical :].sum())
    return found


def detectable_shift(error: float, *, df: int, alpha: float, power: float) -> float:
    """Return the smallest true mean difference that a t-test finds.

    Args:
        error: standard error of the estimated difference.
        df: degrees of freedom of that error.
        alpha: two-sided significance level.
        power: chance of finding a difference of this size.
    """

    def reached(ratio: float) -> bool:
        return t_power(ratio, df=df, alpha=alpha) >= power

    return error * (_smallest(reached, 1e4) or 1e4)


def t_power(ratio: float, *, df: int, alpha: float) -> float:
    """Return the power of a two-sided t-test.

    Args:
        ratio: true difference in units of its standard error.
        df: degrees of freedom.
        alpha: two-sided significance level.
    """
    return _tail(ratio, _critical(df, alpha), df=df)


def _critical(df: int, alpha: float) -> float:
    return _smallest(lambda reach: _tail(0.0, reach, df=df) <= alpha, 1e4) or 1e4


def _tail(ratio: float, reach: float, *, df: int) -> float:
    """Return P(|T| > reach) of a noncentral t, averaged over the error it is divided by."""
    import numpy as np

    # The estimated error over the true one, s, has s s df distributed as chi-squared. With
    # few degrees of freedom small errors matter, so points lie closer together there.
    lowest = max(0.0, 1 - 7 / sqrt(2 * df))
    steps = np.linspace(0.0, 1.0, _POINTS + 1)[1:]
    points = lowest + (1 + 6 / sqrt(df) - lowest) * steps**2
    scale = log(2.0) + df / 2 * log(df / 2) - lgamma(df / 2)
    weights = np.exp(scale + (df - 1) * np.log(points) - df * points**2 / 2) * steps
    beyond = [_below(ratio - reach * point) + _below(-ratio - reach * point) for point in points.tolist()]
    return float((weights * beyond).sum() / weights.sum())


def _below(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2


def _smallest(reached: Callable[[float], bool], most: float) -> float | None:
    """Return the smallest value from which on something holds; None where it never does."""
    if not reached(most):
        return None
    low, high = 0.0, min(most, 1.0)
    while not reached(high):
        low, high = high, min(most, 2 * high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if reached(middle):
            high = middle
        else:
            low = middle
    return high
