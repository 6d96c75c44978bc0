"""Agreement to 1e-9 with independent libraries on generated cases, the nasty ones among them.

Values on bin edges and tied probabilities are left to hand-computed cases: there the libraries differ.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import calibration
import numpy as np
import pytest
import scoringrules
from calibration.utils import difference_mean, fast_bin, get_equal_bins, get_equal_prob_bins, unbiased_l2_ce
from crepes import ConformalClassifier
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from cruijff_kit.scoring.calibration_error import compute_adaptive_ece, compute_debiased_ece, compute_ece, compute_mce
from cruijff_kit.scoring.conformal import ConformalPredictor, conformity_scores
from cruijff_kit.scoring.decision_scores import compute_balanced_accuracy, compute_f1
from cruijff_kit.scoring.probability_scores import (
    compute_auc,
    compute_brier_score,
    compute_calibration_slope,
    compute_log_loss,
)
from cruijff_kit.scoring.temperature import option_probabilities
from tests.drawn import drawn_answers

CASES = 500
CLOSE = {"rel": 0, "abs": 1e-9}
WHOLE: dict[str, Any] = {"scale_by_half": False}
"""The sum over all options, in [0, 2]; the library's own type for it knows one value alone."""


class Case(NamedTuple):
    """Forecasts of an event, and whether it came."""

    probabilities: NDArray[np.float64]
    outcomes: NDArray[np.int64]
    bins: int


def cases() -> Iterator[Case]:
    """Yield generated cases; every kind of nasty one comes up in a fifth of them or more."""
    for number in range(CASES):
        chance = np.random.default_rng([number, 11])
        n = int(chance.integers(2, 120))
        sure = chance.random(n) if number % 5 else chance.uniform(0.8, 1.0, n)  # many an empty bin
        if number % 2:
            sure[: n // 4] = 0.0
        if number % 3 == 0:
            sure[-(n // 4) or n :] = 1.0
        came = (chance.random(n) < sure**2).astype(int)
        if number % 7 == 0:
            came[:] = number % 2  # one class alone
        yield Case(sure, came, int(chance.integers(1, 25)))


def test_the_cases_hold_everything_that_is_nasty() -> None:
    found = list(cases())
    assert len(found) == CASES
    assert sum(bool((case.probabilities == 0).any()) for case in found) > CASES / 5
    assert sum(bool((case.probabilities == 1).any()) for case in found) > CASES / 5
    assert sum(len(set(case.outcomes)) == 1 for case in found) > CASES / 10
    assert sum(len(np.unique(np.ceil(case.probabilities * case.bins))) < case.bins for case in found) > CASES / 5


def test_ece_and_mce_agree_with_two_libraries() -> None:
    for sure, came, bins in cases():
        ece, mce = (
            compute_ece(y_prob=sure, y_true=came, n_bins=bins),
            compute_mce(y_prob=sure, y_true=came, n_bins=bins),
        )
        shares, means = calibration_curve(came, sure, n_bins=bins)
        counts = np.histogram(sure, bins=np.linspace(0, 1, bins + 1))[0]
        gaps = np.abs(shares - means)
        assert ece.value == pytest.approx(np.dot(gaps, counts[counts > 0]) / len(sure), **CLOSE)
        assert mce.value == pytest.approx(gaps.max(), **CLOSE)
        binned: Any = fast_bin(list(zip(sure, came, strict=True)), get_equal_prob_bins(sure.tolist(), bins))
        assert ece.value == pytest.approx(calibration.get_ece(sure, came, num_bins=bins), **CLOSE)
        assert mce.value == pytest.approx(max(abs(difference_mean(each)) for each in binned if len(each)), **CLOSE)


def test_top_label_ece_agrees_with_two_libraries() -> None:
    for number in range(CASES):
        logits, labels = drawn_answers(60, seed=number, options=4)
        rows = option_probabilities(logits, temperature=0.3)
        sure, right = rows.max(axis=1), rows.argmax(axis=1) == labels
        found = compute_ece(y_prob=rows, y_true=labels, n_bins=10).value
        shares, means = calibration_curve(right, sure, n_bins=10)
        counts = np.histogram(sure, bins=np.linspace(0, 1, 11))[0]
        assert found == pytest.approx(np.dot(np.abs(shares - means), counts[counts > 0]) / 60, **CLOSE)
        assert found == pytest.approx(calibration.get_ece(rows, labels, num_bins=10), **CLOSE)


def test_adaptive_and_debiased_ece_agree_with_the_library_of_the_paper() -> None:
    for number in range(CASES):
        chance = np.random.default_rng([number, 12])
        bins = int(chance.integers(1, 12))
        sure = chance.random(bins * int(chance.integers(2, 12)))
        came = (chance.random(len(sure)) < sure**2).astype(int)
        adaptive = compute_adaptive_ece(y_prob=sure, y_true=came, n_bins=bins).value
        debiased = compute_debiased_ece(y_prob=sure, y_true=came, n_bins=bins).value
        assert adaptive == pytest.approx(calibration.get_ece_em(sure, came, num_bins=bins), **CLOSE)
        binned: Any = fast_bin(list(zip(sure, came, strict=True)), get_equal_bins(sure.tolist(), bins))
        assert debiased == pytest.approx(unbiased_l2_ce(binned), rel=0, abs=1e-7)


def test_brier_scores_agree_with_two_libraries() -> None:
    for sure, came, _ in cases():
        found = compute_brier_score(y_prob=sure, y_true=came).value
        assert found == pytest.approx(metrics.brier_score_loss(came, sure, pos_label=1), **CLOSE)
        assert found == pytest.approx(np.mean(scoringrules.brier_score(came, sure)), **CLOSE)
    for number in range(CASES):
        logits, labels = drawn_answers(40, seed=number, options=3)
        rows = option_probabilities(logits, temperature=0.2)
        found = compute_brier_score(y_prob=rows, y_true=labels).value
        assert found == pytest.approx(metrics.brier_score_loss(labels, rows, labels=[0, 1, 2], **WHOLE), **CLOSE)
        parts = [np.mean(scoringrules.brier_score(labels == each, rows[:, each])) for each in range(3)]
        assert found == pytest.approx(sum(parts), **CLOSE)


def test_the_auc_agrees_with_two_libraries_ties_included() -> None:
    seen = 0
    for sure, came, _ in cases():
        found = compute_auc(y_prob=sure, y_true=came)
        if len(set(came)) == 1:
            assert found.value is None
            continue
        seen += 1
        assert found.value == pytest.approx(metrics.roc_auc_score(came, sure), **CLOSE)
        wins = mannwhitneyu(sure[came == 1], sure[came == 0]).statistic
        assert found.value == pytest.approx(wins / ((came == 1).sum() * (came == 0).sum()), **CLOSE)
    assert seen > CASES / 2


def test_log_loss_f1_balanced_accuracy_and_slope_agree_with_one_library() -> None:
    for number in range(60):
        logits, labels = drawn_answers(80, seed=number, options=3)
        rows = option_probabilities(logits)
        chosen = np.where(np.arange(80) % 9 == 0, -1, rows.argmax(axis=1))
        assert compute_log_loss(y_prob=rows, y_true=labels).value == pytest.approx(
            metrics.log_loss(labels, rows, labels=[0, 1, 2]), **CLOSE
        )
        assert compute_f1(y_pred=chosen, y_true=labels).value == pytest.approx(
            metrics.f1_score(labels, chosen, labels=[0, 1, 2], average="macro"), **CLOSE
        )
        assert compute_balanced_accuracy(y_pred=chosen, y_true=labels).value == pytest.approx(
            metrics.recall_score(labels, chosen, labels=[0, 1, 2], average="macro"), **CLOSE
        )
        sure = np.random.default_rng(number).uniform(0.02, 0.98, 80)
        came = (np.random.default_rng([number, 1]).random(80) < sure).astype(int)
        odds = np.log(sure / (1 - sure))
        line = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(odds[:, None], came)
        assert compute_calibration_slope(y_prob=sure, y_true=came).value == pytest.approx(line.coef_[0, 0], abs=1e-6)


class Told(ClassifierMixin, BaseEstimator):
    """A classifier that was told its probabilities."""

    classes_ = np.arange(4)
    fitted_ = True

    def fit(self, X: NDArray[np.float64], y: object = None) -> "Told":
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return X

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return X.argmax(axis=1)


def told_rows(number: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return probabilities that are wrong in three ways of four; in some, certain and impossible options."""
    logits, labels = drawn_answers(n, seed=number, options=4)
    rows = option_probabilities(logits, temperature=(0.01, 0.5, 1.0, 2.0)[number % 4])
    if number % 7 == 0:
        labels[:] = number % 4
    return rows, labels


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels:UserWarning")
def test_lac_sets_agree_with_two_libraries_set_by_set() -> None:
    for number in range(CASES):
        # Where (n + 1) / 10 is whole, one of the libraries goes one score further than it must.
        n = 12 + number % 60
        n += n % 10 == 9
        rows, labels = told_rows(number, n + 30)
        mine = ConformalPredictor()
        scores = mine.scores(probabilities=rows)
        mine.calibrate(cal_scores=scores[np.arange(n), labels[:n]], alpha=0.1)
        found = mine.predict(test_scores=scores[n:])
        other = ConformalClassifier()
        other.fit(scores[np.arange(n), labels[:n]])
        crepes = np.asarray(other.predict_set(scores[n:], confidence=0.9, smoothing=False), dtype=bool)
        # That library leaves sets empty.
        assert np.array_equal(found[crepes.any(axis=1)], crepes[crepes.any(axis=1)])
        third = SplitConformalClassifier(Told(), confidence_level=0.9, conformity_score="lac", prefit=True)
        third.conformalize(rows[:n], labels[:n])
        mapie = third.predict_set(rows[n:])[1][:, :, 0]
        assert np.array_equal(found, mapie), number


def test_adaptive_scores_agree_with_one_library_that_draws_the_same_numbers() -> None:
    for number in range(CASES):
        rows, labels = told_rows(number, 50)
        theirs = APSConformityScore()
        theirs.set_external_attributes(classes=np.arange(4), random_state=number)
        expected = theirs.get_conformity_scores(labels, rows, y_enc=labels).ravel()
        # There U takes away from the sum that includes the option; here it adds to the sum that does not.
        uniforms = 1 - np.random.RandomState(number).uniform(size=50)
        found = conformity_scores(probabilities=rows, method="aps", uniforms=uniforms)[np.arange(50), labels]
        assert found.tolist() == pytest.approx(expected.tolist(), **CLOSE)
