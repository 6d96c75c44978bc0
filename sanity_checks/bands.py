"""Bands: ends derived from what is known, and ends from pilots, each with the reason in words.

Derived ends allow for chance alone, at a stated level:

- No answerer is right more often than the Bayes-optimal one, so right answers among n are
  at most a binomial's upper quantile.
- Where a rule can be learnt, whoever only guesses is right no oftener than a binomial's upper
  quantile, and a floor that guessing reaches would let a training pass that learnt nothing.
- No model gives held-out answers more probability than the truth does but by luck: by
  Markov's inequality the likelihood ratio of n answers exceeds 1 / level with probability
  level at most. So the loss summed over n answers stays above the truth's own by no less
  than ln(level), and the truth's own is its entropy, less what n draws of it may miss.

Ends from pilots allow for another training of the same kind: the limit that one training
in a thousand passes, at 95 % confidence in that share (a normal tolerance limit; Natrella,
Experimental Statistics, NBS Handbook 91, 1963, 2-1.5), and for right answers also what is
foretold of a count by the counts of all pilots (beta-binomial). A loss may exceed that limit
by as much as chance is allowed to take off it: pilots say nothing of other machines' last bits.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from cruijff_kit.analysis.distributions import beta_binomial_limits, binomial_limits
from cruijff_kit.sanity_checks.checks import Known
from cruijff_kit.schema.sanity import Band, PilotFigure

__all__ = ["LEAST_PILOTS", "LEVEL", "accuracy_band", "accuracy_floor", "loss_band", "rule_band"]

LEVEL = 1e-4
"""Probability with which one sound figure passes a derived end: one in a hundred runs of all checks raises a false
alarm, or fewer."""
LEAST_PILOTS = 10
"""Pilots that a floor needs."""

_SHARE, _CONFIDENCE = 0.999, 0.95


def accuracy_band(known: Known, n: int, *, pilots: Sequence[PilotFigure]) -> Band:
    """Return where the share of right answers among n must lie."""
    high = binomial_limits(n, known.accuracy, level=1 - 2 * LEVEL)[1] / n
    ceiling = f"Bayes-optimal accuracy {known.accuracy:.4g}, of {n} answers"
    floor, least = accuracy_floor(pilots, n), _above_guessing(known, n)
    low = max((end for end in (floor, least) if end is not None), default=None)
    why = f"more than guessing may reach, {known.guessed:.4g}, of {n} answers"
    low_from = _told(pilots, floor) if low == floor else why
    return Band(low=low, high=high, low_from=low_from, high_from=ceiling)


def _above_guessing(known: Known, n: int) -> float | None:
    """Return the least share of right answers that guessing does not reach; None where there is no more to know."""
    if not 0 < known.guessed < known.accuracy:
        return None
    least = binomial_limits(n, known.guessed, level=1 - 2 * LEVEL)[1] + 1
    return least / n if least <= binomial_limits(n, known.accuracy, level=1 - 2 * LEVEL)[0] else None


def accuracy_floor(pilots: Sequence[PilotFigure], n: int) -> float | None:
    """Return the least share of right answers among n that pilots let one expect; None where they are too few."""
    values = [each.value for each in pilots]
    limit = _limit(values, up=False)
    if limit is None:
        return None
    right, asked = sum(each.successes or 0 for each in pilots), sum(each.n for each in pilots)
    counted = beta_binomial_limits(n, a=right + 0.5, b=asked - right + 0.5, level=1 - 2 * LEVEL)[0] / n
    return max(0.0, min(counted, limit))


def loss_band(known: Known, *, n: int, tokens: float, on_input: bool, pilots: Sequence[PilotFigure]) -> Band:
    """Return where the validation loss must lie, in nats a supervised token.

    Args:
        known: what is known of the arm.
        n: rows it is measured on.
        tokens: supervised tokens a row, as the check supervises them.
        on_input: whether questions are learnt too.
        pilots: losses of pilots.
    """
    quantile = NormalDist().inv_cdf(1 - LEVEL)
    surprise = known.entropy + (known.question if on_input else 0.0)
    luck = math.log(1 / LEVEL) / n
    least = surprise - quantile * known.spread / math.sqrt(n) - luck
    what = "of answers and questions" if on_input else "of answers"
    floor = f"entropy {what}, {surprise:.4g} nats in {tokens:.4g} tokens, of {n} rows"
    limit = _limit([each.value for each in pilots], up=True)
    ceiling = None if limit is None else limit + luck / tokens
    return Band(low=max(0.0, least / tokens), high=ceiling, low_from=floor, high_from=_told(pilots, ceiling))


def rule_band(known: Known, n: int) -> Band:
    """Return where the share of n rows must lie whose answer is the likeliest one."""
    low, high = binomial_limits(n, known.accuracy, level=1 - 2 * LEVEL)
    why = f"{known.accuracy:.4g} by the rule, of {n} rows"
    return Band(low=low / n, high=high / n, low_from=why, high_from=why)


def _limit(values: Sequence[float], *, up: bool) -> float | None:
    """Return the limit that hardly any training passes, by these pilots; None where they are too few."""
    n = len(values)
    if n < LEAST_PILOTS:
        return None
    share, confidence = NormalDist().inv_cdf(_SHARE), NormalDist().inv_cdf(_CONFIDENCE)
    a = 1 - confidence**2 / (2 * (n - 1))
    b = share**2 - confidence**2 / n
    off = (share + math.sqrt(share**2 - a * b)) / a * stdev(values)
    return fmean(values) + off if up else fmean(values) - off


def _told(pilots: Sequence[PilotFigure], end: float | None) -> str:
    return "" if end is None else f"{len(pilots)} pilots, {_SHARE:.1%} of trainings at {_CONFIDENCE:.0%} confidence"
