"""Risk control: act only where the expected cost is low enough for a guarantee, abstain elsewhere."""

from math import ceil, exp, log
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.scoring.decision_scores import NONE
from cruijff_kit.scoring.estimates import Floats, Integers, probability_rows

__all__ = [
    "RiskControlledPredictor",
    "RiskDecisions",
    "bounded_mean_limits",
    "crc_index",
    "hoeffding_bentkus",
    "ltt_index",
]

_GRID = 101
"""Thresholds tried, from 0 to the largest cost."""
_HALVINGS = 50


class RiskDecisions(NamedTuple):
    """What to do with each sample."""

    actions: Integers
    """Option chosen, -1 for abstaining."""
    expected_costs: Floats
    """Expected cost of the cheapest option, by the model's own probabilities."""


def hoeffding_bentkus(mean: float, n: int, *, alpha: float) -> float:
    """Return the p-value of the hypothesis that n losses in [0, 1] have an expectation above alpha.

    Source: S. Bates et al., J. ACM 68 (2021); A. Angelopoulos et al., arXiv 2110.01052.
    """
    if n == 0:
        return 1.0
    low = min(mean, alpha)
    gap = (low * log(low / alpha) if low > 0 else 0.0) + (1 - low) * (log((1 - low) / (1 - alpha)) if low < 1 else 0.0)
    # A sum of losses that rounding lifted over a whole number is still that number.
    tail = exp(1) * float(_special().bdtr(ceil(round(n * mean, 9)), n, alpha))
    return min(1.0, exp(-n * gap), tail)


def ltt_index(*, totals: ArrayLike, counts: ArrayLike, alpha: float, delta: float) -> int | None:
    """Return the last threshold of a fixed sequence, safest first, whose risk is certified; None for none.

    Learn then Test: each threshold's hypothesis "the mean loss exceeds alpha" is tested
    at delta, and the first that is not rejected ends the sequence. It begins where even
    no loss at all could first reject, which the counts alone decide; with a risk that
    does not fall as more is acted on, the chance that a certified one exceeds alpha is
    at most delta. Source: A. Angelopoulos et al., arXiv 2110.01052.

    Args:
        totals: sum of the losses, each in [0, 1], at each threshold.
        counts: samples that they are losses of, not falling.
        alpha: mean loss allowed, in (0, 1).
        delta: chance of a wrong certificate, in (0, 1).
    """
    found = None
    least = log(delta) / log(1 - alpha)
    for index, (total, count) in enumerate(zip(np.asarray(totals), np.asarray(counts), strict=True)):
        if count < least:
            continue
        if hoeffding_bentkus(float(total / count), int(count), alpha=alpha) > delta:
            break
        found = index
    return found


def crc_index(*, losses: ArrayLike, alpha: float, bound: float = 1.0) -> int | None:
    """Return the largest threshold at which the expected loss is at most alpha; None for none.

    Conformal risk control: n / (n + 1) mean + bound / (n + 1) <= alpha, for losses that do
    not fall from one threshold to the next. The claim is one on average, over
    calibration sets too. Source: A. Angelopoulos et al., ICLR (2024).

    Args:
        losses: (n, thresholds), each in [0, bound].
        alpha: expected loss allowed.
        bound: largest loss there can be.
    """
    given = np.asarray(losses, dtype=np.float64)
    allowed = np.flatnonzero((given.sum(axis=0) + bound) / (len(given) + 1) <= alpha)
    return int(allowed[-1]) if len(allowed) else None


def bounded_mean_limits(values: ArrayLike, *, bound: float, level: float) -> tuple[float, float]:
    """Return limits for the expectation of values in [0, bound], whatever their distribution.

    They invert the Hoeffding-Bentkus test on either side, so that they hold at every n.
    """
    shares = np.asarray(values, dtype=np.float64) / bound
    n, mean, tail = len(shares), float(shares.mean()) if len(shares) else 0.0, (1 - level) / 2
    return bound * (1 - _upper(1 - mean, n, tail=tail)), bound * _upper(mean, n, tail=tail)


class RiskControlledPredictor:
    """Cheapest option where its expected cost is low, abstention elsewhere, at a controlled risk.

    `ltt` gives P(risk <= level) >= 1 - delta over calibration sets; `crc` gives
    E[risk] <= level. The selective risk is the mean cost of the samples acted on; the
    marginal risk counts an abstention as 0, and says nothing of the selective one.
    """

    def __init__(self, *, method: str = "ltt", risk: str = "selective", delta: float = 0.1) -> None:
        """Keep what is controlled and how; `calibrate` finds the threshold."""
        if method not in {"ltt", "crc"} or risk not in {"selective", "marginal"}:
            raise ResultError(f"`{method}` of `{risk}` risk is unknown; allowed are ltt, crc and selective, marginal")
        if method == "crc" and risk == "selective":
            raise ResultError("`crc` controls losses that never fall as more is acted on; the selective risk may fall")
        self._method, self._risk, self._delta = method, risk, delta
        self._costs: Floats | None = None
        self._unnamed: tuple[Floats, Integers, float] | None = None
        self.threshold: float | None = None

    def calibrate(
        self, *, cal_probs: ArrayLike, cal_labels: ArrayLike, risk_level: float, cost_matrix: ArrayLike | None = None
    ) -> None:
        """Find the largest expected cost at which acting keeps the risk; None means never.

        Args:
            cal_probs: (n, K) option probabilities of calibration samples, or (n,) P(1).
            cal_labels: index of each one's true option.
            risk_level: risk allowed, in units of cost, below the largest cost.
            cost_matrix: (true, chosen) costs, none negative; where None 1 for a wrong choice, unless
                `predict` is given others.
        """
        rows, labels = probability_rows(cal_probs, cal_labels)
        self._unnamed = (rows, labels, risk_level) if cost_matrix is None else None
        self._costs = _cost_matrix(cost_matrix, options=rows.shape[1])
        bound = float(self._costs.max())
        if not 0 < risk_level < bound:
            raise ResultError(f"`risk_level` is `{risk_level}`; it must lie between 0 and the largest cost, {bound:g}")
        grid = bound * np.arange(_GRID) / (_GRID - 1)
        actions, estimates = _cheapest(rows, self._costs)
        acts = estimates[:, None] <= grid
        losses = np.where(acts, self._costs[labels, actions][:, None], 0.0)
        if self._method == "crc":
            found = crc_index(losses=losses, alpha=risk_level, bound=bound)
        else:
            counts = acts.sum(axis=0) if self._risk == "selective" else np.full(_GRID, len(labels))
            totals = losses.sum(axis=0) / bound
            found = ltt_index(totals=totals, counts=counts, alpha=risk_level / bound, delta=self._delta)
        self.threshold = None if found is None else float(grid[found])

    def restore(self, *, threshold: float | None, cost_matrix: ArrayLike) -> None:
        """Take a threshold found before, such as that of a file."""
        self._costs, self.threshold = np.asarray(cost_matrix, dtype=np.float64), threshold

    def predict(self, *, test_probs: ArrayLike, cost_matrix: ArrayLike | None = None) -> RiskDecisions:
        """Return the cheapest option of each sample, or -1 where its expected cost is above the threshold.

        Args:
            test_probs: (n, K) option probabilities, or (n,) P(1).
            cost_matrix: the one calibrated with; given again, it is compared. Where none was named then, the
                threshold is found anew with this one.

        Raises:
            ResultError: not calibrated, or calibrated with other costs: the guarantee is about those.
        """
        if cost_matrix is not None and self._unnamed is not None:
            cal_probs, cal_labels, level = self._unnamed
            self.calibrate(cal_probs=cal_probs, cal_labels=cal_labels, risk_level=level, cost_matrix=cost_matrix)
        if self._costs is None:
            raise ResultError("the predictor is not calibrated", hint="call `calibrate` first")
        rows, _ = probability_rows(test_probs, np.zeros(len(np.asarray(test_probs)), dtype=np.int64))
        if rows.shape[1] != len(self._costs):
            raise ResultError(f"there are {rows.shape[1]} options, and costs of {len(self._costs)}")
        if cost_matrix is not None and not np.array_equal(np.asarray(cost_matrix, dtype=np.float64), self._costs):
            raise ResultError("these are not the costs that were calibrated with", hint="calibrate with them")
        actions, estimates = _cheapest(rows, self._costs)
        limit = -1.0 if self.threshold is None else self.threshold
        return RiskDecisions(np.where(estimates <= limit, actions, NONE), estimates)


def _cheapest(rows: Floats, costs: Floats) -> tuple[Integers, Floats]:
    expected = rows @ costs
    return expected.argmin(axis=1), expected.min(axis=1)


def _cost_matrix(given: ArrayLike | None, *, options: int) -> Floats:
    costs = 1 - np.eye(options) if given is None else np.asarray(given, dtype=np.float64)
    if costs.shape != (options, options):
        raise ResultError(f"costs have shape {costs.shape}; {options} options need ({options}, {options})")
    if not (np.isfinite(costs) & (costs >= 0)).all() or costs.max() <= 0:
        raise ResultError("costs must be finite, none negative and one positive")
    return costs


def _upper(mean: float, n: int, *, tail: float) -> float:
    """Return the smallest expectation that a mean this low speaks against, or 1."""
    low, high = mean, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if 0 < middle < 1 and hoeffding_bentkus(mean, n, alpha=middle) > tail:
            low = middle
        else:
            high = middle
    return high


def _special() -> ModuleType:
    try:
        from scipy import special
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("risk control needs `scipy`, which is not installed", hint=hint) from err
    return special
