"""Quantiles and tail probabilities, computed with scipy's special functions."""

from types import ModuleType

from cruijff_kit.errors import SiteError

__all__ = ["beta_limits", "binomial_two_sided", "normal_quantile", "t_quantile", "t_two_sided"]


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies in [-z, z] with this probability."""
    return float(_special().ndtri((1 + level) / 2))


def t_quantile(level: float, df: int) -> float:
    """Return t such that Student's t with `df` lies in [-t, t] with this probability."""
    return float(_special().stdtrit(df, (1 + level) / 2))


def t_two_sided(statistic: float, df: int) -> float:
    """Return the two-sided p-value of a t statistic with `df` degrees of freedom."""
    return float(2 * _special().stdtr(df, -abs(statistic)))


def binomial_two_sided(successes: int, trials: int) -> float:
    """Return the exact two-sided p-value of a fair coin; 1 where nothing was tossed."""
    smaller = min(successes, trials - successes)
    return min(1.0, float(2 * _special().bdtr(smaller, trials, 0.5))) if trials else 1.0


def beta_limits(a: float, b: float, *, level: float) -> tuple[float, float]:
    """Return the limits between which Beta(a, b) lies with this probability, equal tails outside."""
    tail = (1 - level) / 2
    return float(_special().betaincinv(a, b, tail)), float(_special().betaincinv(a, b, 1 - tail))


def _special() -> ModuleType:
    try:
        from scipy import special
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("reports need `scipy`, which is not installed", hint=hint) from err
    return special
