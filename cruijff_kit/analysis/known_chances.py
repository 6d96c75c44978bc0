"""Known chances: probabilities and sets held against the probabilities that labels were drawn with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cruijff_kit.analysis.distributions import beta_binomial_limits
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.known_chances import KnownChances
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.calibration_error import compute_ece
from cruijff_kit.scoring.calibrators import predict_sets
from cruijff_kit.scoring.records import option_records
from cruijff_kit.scoring.temperature import option_probabilities

__all__ = ["LEVEL", "known_chances"]

LEVEL = 0.99
"""Probability of what `expected` says."""


def known_chances(
    predictions: Sequence[Prediction],
    truth: ArrayLike,
    *,
    calibrator: Calibrator,
    uniforms: Sequence[float],
    most_ece: float,
) -> KnownChances:
    """Return how far a model's probabilities are from the true ones, and whether its sets cover as they should.

    Args:
        predictions: records of one evaluation that the calibrator was not fitted on, none of which errored.
        truth: the true probability of each option, a row a record.
        calibrator: one that makes sets by one quantile.
        uniforms: as `split_figures` takes them.
        most_ece: the largest calibration error wanted.

    Raises:
        ResultError: the records have no option log-probabilities, or other options.
    """
    first, true = predictions[0], np.asarray(truth, dtype=float)
    found = option_records(predictions, name=f"split `{first.split}`")
    given, tempered = (option_probabilities(found.logprobs, temperature=each) for each in (1.0, calibrator.temperature))
    n, only = len(found.labels), calibrator.thresholds[0]
    rates = np.bincount(found.labels, minlength=true.shape[1]) / n
    sets = predict_sets(found, calibrator=calibrator, uniforms=uniforms)
    return KnownChances(
        run=first.run,
        split=first.split,
        task=first.task,
        n=n,
        temperature=calibrator.temperature,
        ece=_ece(tempered, found.labels),
        ece_untempered=_ece(given, found.labels),
        ece_of_truth=_ece(true, found.labels),
        most_ece=most_ece,
        gap=_gap(tempered, true),
        gap_untempered=_gap(given, true),
        gap_of_rates=_gap(rates, true),
        held=int(sets[np.arange(n), found.labels].sum()),
        expected=(n, n)
        if only.quantile is None
        else beta_binomial_limits(n, a=only.rank, b=only.n + 1 - only.rank, level=LEVEL),
    )


def _ece(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    found = compute_ece(y_prob=rows, y_true=labels, n_bins=10).value
    return 0.0 if found is None else found


def _gap(rows: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    return float(np.abs(rows - true).sum(axis=1).mean() / 2)
