"""Quantiles and tail probabilities, computed with scipy's special functions."""

from functools import cache
from types import ModuleType
from typing import Any

from cruijff_kit.errors import SiteError

__all__ = [
    "beta_binomial_limits",
    "beta_limits",
    "binomial_at_most",
    "binomial_limits",
    "binomial_mid_p",
    "binomial_two_sided",
    "chi_squared_tail",
    "hypergeometric_two_sided",
    "noncentral_below",
    "normal_below",
    "normal_quantile",
    "normal_two_sided",
    "probit",
    "t_below",
    "t_quantile",
    "t_two_sided",
]


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies in [-z, z] with this probability."""
    return float(_special().ndtri((1 + level) / 2))


def normal_two_sided(statistic: float) -> float:
    """Return the two-sided p-value of a standard normal statistic."""
    return float(2 * _special().ndtr(-abs(statistic)))


def normal_below(statistic: float) -> float:
    """Return the probability that a standard normal lies below a statistic."""
    return float(_special().ndtr(statistic))


def probit(share: float) -> float:
    """Return the value below which a standard normal lies with this probability."""
    return float(_special().ndtri(share))


def chi_squared_tail(statistic: float, df: int) -> float:
    """Return the probability that chi-squared with `df` exceeds a statistic."""
    return float(_special().chdtrc(df, statistic))


def noncentral_below(statistic: float, df: float, *, noncentrality: float) -> float:
    """Return the probability that a noncentral chi-squared lies below a statistic."""
    return float(_special().chndtr(statistic, df, noncentrality))


def t_quantile(level: float, df: float) -> float:
    """Return t such that Student's t with `df` lies in [-t, t] with this probability."""
    return float(_special().stdtrit(df, (1 + level) / 2))


def t_below(statistic: float, df: float) -> float:
    """Return the probability that Student's t with `df` lies below a statistic."""
    return float(_special().stdtr(df, statistic))


def t_two_sided(statistic: float, df: float) -> float:
    """Return the two-sided p-value of a t statistic with `df` degrees of freedom."""
    return float(2 * _special().stdtr(df, -abs(statistic)))


def binomial_two_sided(successes: int, trials: int) -> float:
    """Return the exact two-sided p-value of a fair coin; 1 where nothing was tossed."""
    smaller = min(successes, trials - successes)
    return min(1.0, float(2 * _special().bdtr(smaller, trials, 0.5))) if trials else 1.0


def binomial_at_most(successes: int, trials: int, *, share: float) -> float:
    """Return the exact probability of at most so many successes; 0 for fewer than none."""
    return float(_special().bdtr(successes, trials, share)) if successes >= 0 else 0.0


def binomial_limits(trials: int, share: float, *, level: float) -> tuple[int, int]:
    """Return the counts between which a binomial lies, at most a tail outside on either side.

    Args:
        trials: how many.
        share: probability of a success.
        level: probability of lying within, at least.
    """
    import numpy as np

    tail, below = (1 - level) / 2, _special().bdtr(np.arange(trials + 1), trials, share)
    return int((below <= tail).sum()), int((below < 1 - tail).sum())


def binomial_mid_p(successes: int, trials: int) -> float:
    """Return the two-sided mid-p-value of a fair coin: what came out counts half; 1 where nothing was tossed."""
    smaller = min(successes, trials - successes)
    if not trials:
        return 1.0
    below = float(_special().bdtr(smaller - 1, trials, 0.5)) if smaller else 0.0
    return min(1.0, below + float(_special().bdtr(smaller, trials, 0.5)))


def beta_limits(a: float, b: float, *, level: float) -> tuple[float, float]:
    """Return the limits between which Beta(a, b) lies with this probability, equal tails outside."""
    tail = (1 - level) / 2
    return float(_special().betaincinv(a, b, tail)), float(_special().betaincinv(a, b, 1 - tail))


def beta_binomial_limits(trials: int, *, a: float, b: float, level: float) -> tuple[int, int]:
    """Return the counts between which a binomial whose share is Beta(a, b) lies, at most a tail outside on either side.

    Args:
        trials: of the binomial.
        a: as Beta has it, above 0.
        b: as Beta has it, above 0.
        level: probability of lying within, at least.
    """
    import numpy as np

    log, counts, tail = _special().gammaln, np.arange(trials + 1), (1 - level) / 2
    ways = log(trials + 1) - log(counts + 1) - log(trials - counts + 1)
    chance = np.exp(ways + _special().betaln(counts + a, trials - counts + b) - _special().betaln(a, b))
    below = np.concatenate([[0.0], np.cumsum(chance)])
    above = np.concatenate([np.cumsum(chance[::-1])[::-1], [0.0]])
    return int((below[1:] <= tail).sum()), trials - int((above[:-1] <= tail).sum())


def hypergeometric_two_sided(found: int, drawn: int, *, successes: int, total: int) -> float:
    """Return the exact two-sided p-value of a draw without replacement.

    All outcomes no likelier than the one found count as extreme.

    Args:
        found: successes drawn.
        drawn: items drawn.
        successes: successes there are.
        total: items there are.
    """
    import numpy as np

    def ways(n: int, k: Any) -> Any:
        log = _special().gammaln
        return log(n + 1) - log(k + 1) - log(n - k + 1)

    lowest = max(0, drawn + successes - total)
    outcomes = np.arange(lowest, min(drawn, successes) + 1)
    log = ways(successes, outcomes) + ways(total - successes, drawn - outcomes)
    likelihood = np.exp(log - log.max())
    # Equal likelihoods differ in their last digits.
    extreme = likelihood <= likelihood[found - lowest] * (1 + 1e-7)
    return float(likelihood[extreme].sum() / likelihood.sum())


@cache
def _special() -> ModuleType:
    try:
        from scipy import special
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("reports need `scipy`, which is not installed", hint=hint) from err
    return special
