"""Split conformal prediction: sets of options that hold the right one as often as promised."""

from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.estimates import Floats

__all__ = ["CONFORMAL_METHODS", "ConformalPredictor", "Quantile", "conformal_quantile", "conformity_scores"]

CONFORMAL_METHODS = ("lac", "aps", "aps_deterministic", "raps", "raps_deterministic")
"""Conformity scores; `aps` and `raps` are randomised by one uniform number a sample."""

_ALL = None
"""The one category of samples that are not told apart."""


class Quantile(NamedTuple):
    """The k-th smallest of n calibration scores."""

    n: int
    """Calibration scores."""
    rank: int
    """k = ceil((n + 1)(1 - alpha))."""
    value: float
    """The score; infinite where k exceeds n, so that every option is in the set."""


def conformal_quantile(*, scores: ArrayLike, alpha: float) -> Quantile:
    """Return the k-th smallest score, k = ceil((n + 1)(1 - alpha)), never interpolated.

    Coverage then lies in [1 - alpha, 1 - alpha + 1 / (n + 1)) for scores without ties.
    Source: V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World (2005).

    Raises:
        ResultError: alpha is not in (0, 1), or a score is not a number.
    """
    if not 0 < alpha < 1:
        raise ResultError(f"`alpha` is `{alpha}`; it must lie between 0 and 1")
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if np.isnan(ordered).any():
        raise ResultError("a calibration score is not a number")
    n = len(ordered)
    # As written, not as stored: 1 - 0.9 is a little less than 0.1, and (n + 1) times it may pass a whole number.
    rank = ceil((n + 1) * (1 - Fraction(str(float(alpha)))))
    return Quantile(n, rank, float(ordered[rank - 1]) if rank <= n else float("inf"))


def conformity_scores(
    *,
    probabilities: ArrayLike,
    method: str = "lac",
    uniforms: ArrayLike | None = None,
    penalty: float = 0.1,
    spared_ranks: int = 1,
) -> Floats:
    """Return (n, K) scores, one for each option as if it were the right one; the smaller the likelier.

    - `lac`: 1 - p. Source: M. Sadinle, J. Lei, L. Wasserman, JASA 114 (2019), 223-234.
    - `aps`: the probabilities above p, plus U p. Source: Y. Romano et al., NeurIPS (2020).
    - `raps`: `aps` plus a penalty for each rank beyond the spared ones. Source: A. Angelopoulos et al., ICLR (2021).

    The `_deterministic` ones have U = 1: valid too, with larger sets. Options of equal
    probability share rank and score.

    Args:
        probabilities: (n, K) option probabilities.
        method: one of `CONFORMAL_METHODS`.
        uniforms: for the randomised methods, one number in [0, 1] a sample.
        penalty: what `raps` adds a rank.
        spared_ranks: how many first ranks `raps` leaves alone.

    Raises:
        ResultError: the method is unknown, or it is randomised and has no uniform numbers.
    """
    if method not in CONFORMAL_METHODS:
        raise ResultError(f"`{method}` is no conformal method; allowed are {', '.join(CONFORMAL_METHODS)}")
    rows = np.asarray(probabilities, dtype=np.float64)
    if method == "lac":
        return 1 - rows
    above, rank = _above(rows)
    scores = above + _shares(method, uniforms, n=len(rows)) * rows
    return scores + penalty * np.maximum(0, rank - spared_ranks) if method.startswith("raps") else scores


class ConformalPredictor:
    """Prediction sets at one error rate, with one quantile or one per category.

    Categories are classes of samples that are known before the right option is, such as
    a group; or the option itself, for coverage within each class (Mondrian). What is
    promised then holds within every category.
    """

    def __init__(self, *, method: str = "lac", penalty: float = 0.1, spared_ranks: int = 1) -> None:
        """Keep the score function; `calibrate` finds the quantiles."""
        self._method, self._penalty, self._spared = method, penalty, spared_ranks
        self.quantiles: Mapping[Hashable, Quantile] = {}

    def scores(self, *, probabilities: ArrayLike, uniforms: ArrayLike | None = None) -> Floats:
        """Return the (n, K) scores of this predictor's method, to calibrate with and to predict from."""
        return conformity_scores(
            probabilities=probabilities,
            method=self._method,
            uniforms=uniforms,
            penalty=self._penalty,
            spared_ranks=self._spared,
        )

    def calibrate(
        self, *, cal_scores: ArrayLike, alpha: float, cal_categories: Sequence[Hashable] | None = None
    ) -> None:
        """Find the quantiles from the scores of the true options.

        Args:
            cal_scores: (n,) scores of the true options of calibration samples.
            alpha: share of sets that may miss the right option, in (0, 1).
            cal_categories: category of each sample; None for one quantile in all.
        """
        scores = np.asarray(cal_scores, dtype=np.float64)
        names = [_ALL] * len(scores) if cal_categories is None else list(cal_categories)
        if scores.shape != (len(names),):
            raise ResultError(f"scores of shape {scores.shape} and {len(names)} categories do not belong together")
        places: dict[Hashable, list[int]] = {} if cal_categories is not None else {_ALL: []}
        for at, name in enumerate(names):
            places.setdefault(name, []).append(at)
        self.quantiles = {name: conformal_quantile(scores=scores[at], alpha=alpha) for name, at in places.items()}

    def restore(self, quantiles: Mapping[Hashable, Quantile]) -> None:
        """Take quantiles found before, such as those of a file."""
        self.quantiles = dict(quantiles)

    def predict(
        self, *, test_scores: ArrayLike, test_categories: Sequence[Sequence[Hashable]] | None = None
    ) -> NDArray[np.bool_]:
        """Return (n, K) flags: which options are in each sample's set.

        A set that would be empty gets the likeliest option, which can only raise
        coverage. A category that was not calibrated has full sets.

        Args:
            test_scores: (n, K) scores, from the same score function.
            test_categories: the category of each sample (rows of 1) or of each option of
                each sample (rows of K); None where there is one quantile in all.
        """
        scores = np.asarray(test_scores, dtype=np.float64)
        if not self.quantiles:
            raise ResultError("the predictor is not calibrated", hint="call `calibrate` first")
        rows = [[_ALL]] * len(scores) if test_categories is None else test_categories
        limits = {name: quantile.value for name, quantile in self.quantiles.items()}
        bounds = np.array([[limits.get(name, np.inf) for name in row] for row in rows], dtype=np.float64)
        sets = scores <= bounds.reshape(len(scores), -1)
        empty = ~sets.any(axis=1)
        sets[empty, scores[empty].argmin(axis=1)] = True
        return sets


def _above(rows: Floats) -> tuple[Floats, Floats]:
    """Return for each option the sum of the probabilities above its own, and its rank from 1."""
    order = np.argsort(-rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    # Equal probabilities stand where the first of them does.
    first = np.concatenate([np.ones((len(rows), 1), bool), np.diff(ordered, axis=1) != 0], axis=1)
    at = np.maximum.accumulate(np.where(first, np.arange(rows.shape[1]), 0), axis=1)
    above, rank = np.empty_like(rows), np.empty_like(rows)
    np.put_along_axis(above, order, np.take_along_axis(before, at, axis=1), axis=1)
    np.put_along_axis(rank, order, at + 1.0, axis=1)
    return above, rank


def _shares(method: str, uniforms: ArrayLike | None, *, n: int) -> Floats:
    if method.endswith("_deterministic"):
        return np.ones((n, 1))
    if uniforms is None:
        hint = f"give `uniforms`, or use `{method}_deterministic`"
        raise ResultError(f"`{method}` is randomised and was given no uniform numbers", hint=hint)
    drawn = np.asarray(uniforms, dtype=np.float64)
    if drawn.shape != (n,) or not ((drawn >= 0) & (drawn <= 1)).all():
        raise ResultError(f"`uniforms` must be {n} numbers in [0, 1], one a sample")
    return drawn[:, None]
