"""Metrics of counts against libraries, and their bootstrap against rows drawn one by one."""

import numpy as np
import pytest
from fairlearn import metrics as fair
from sklearn import metrics as sk

from cruijff_kit.analysis.cell_bootstrap import COUNTED, count_cells, metric_values, resample_counts
from cruijff_kit.analysis.group_columns import GroupColumns
from cruijff_kit.analysis.score_cells import calibration_errors, resample_auc, resample_ece
from tests.unit.analysis.group_cases import draw_answers

LIBRARY = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "f1": sk.f1_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "false_positive_rate": fair.false_positive_rate,
    "selection_rate": fair.selection_rate,
}


def _all_answered(columns: GroupColumns) -> GroupColumns:
    chosen = (columns.probability >= 0.5).astype(np.int64)
    return columns._replace(chosen=chosen, correct=(chosen == columns.positive).astype(np.int64))


def test_every_metric_by_group_is_that_of_fairlearn_and_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    for _ in range(25):
        columns = _all_answered(draw_answers(rng, n=int(rng.integers(60, 400)), groups=int(rng.integers(1, 6))))
        cells = count_cells(columns)
        ours, whole = metric_values(cells, cells.counts), metric_values(cells, cells.counts.sum(axis=0))
        theirs = fair.MetricFrame(
            metrics=LIBRARY, y_true=columns.positive, y_pred=columns.chosen, sensitive_features=columns.group
        )
        for name in LIBRARY:
            place = COUNTED.index(name)
            by_group = dict(theirs.by_group[name])
            expected = [by_group.get(code, np.nan) for code in range(len(columns.levels))]
            assert ours[:, place] == pytest.approx(expected, abs=1e-9, nan_ok=True), name
            assert whole[place] == pytest.approx(theirs.overall[name], abs=1e-9), name


def test_unparsed_and_abstained_answers_stay_in_every_denominator_they_belong_to() -> None:
    def ints(*values: int) -> np.ndarray:
        return np.asarray(values, dtype=np.int64)

    # Right, wrong, unparsed of class 1, abstained of class 0, right.
    columns = GroupColumns(
        levels=("all",), group=ints(0, 0, 0, 0, 0), correct=ints(1, 0, 0, 0, 1), answered=ints(1, 1, 0, 1, 1),
        abstained=ints(0, 0, 0, 1, 0), positive=ints(1, 0, 1, 0, 0), chosen=ints(1, 1, -1, -1, 0),
        covered=ints(1, 1, 0, -1, 1), set_size=np.full(5, np.nan),
        probability=np.full(5, np.nan), confidence=np.full(5, np.nan),
    )  # fmt: skip
    cells = count_cells(columns)
    assert dict(zip(COUNTED, metric_values(cells, cells.counts)[0].tolist(), strict=True)) == pytest.approx(
        {
            "accuracy": 2 / 5, "balanced_accuracy": (1 / 2 + 1 / 3) / 2, "f1": 2 / (2 + 1 + 1), "precision": 1 / 2,
            "recall": 1 / 2, "false_positive_rate": 1 / 3, "selection_rate": 2 / 5, "abstention": 1 / 5,
            "selective_accuracy": 2 / 4, "parse_rate": 4 / 5, "coverage": 3 / 4,
        }
    )  # fmt: skip


def test_drawing_cells_is_drawing_rows() -> None:
    rng = np.random.default_rng(2)
    columns = draw_answers(rng, n=240, groups=3)
    ours = resample_counts(count_cells(columns), resamples=4_000, rng=rng)
    rows = []
    for _ in range(4_000):
        drawn = rng.integers(0, 240, 240)
        parts = {name: value[drawn] for name, value in columns._asdict().items() if name != "levels"}
        cells = count_cells(GroupColumns(levels=columns.levels, **parts))
        rows.append(metric_values(cells, cells.counts))
    theirs = np.asarray(rows)
    spread = theirs.std(axis=0)
    # Four standard errors of a mean of 4,000, and of a standard deviation.
    assert np.abs(ours.groups.mean(axis=0) - theirs.mean(axis=0)) == pytest.approx(0, abs=4 * spread.max() / 44)
    assert ours.groups.std(axis=0) == pytest.approx(spread, rel=0.09)


def test_the_bootstrap_of_a_proportion_has_its_analytic_spread() -> None:
    columns = draw_answers(np.random.default_rng(3), n=5_000, groups=1)
    accuracy = columns.correct.mean()
    draws = resample_counts(count_cells(columns), resamples=20_000, rng=np.random.default_rng(4)).overall[:, 0]
    assert draws.mean() == pytest.approx(accuracy, abs=3e-4)
    assert draws.std() == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 5_000), rel=0.03)


@pytest.mark.parametrize("digits", (2, None))
def test_the_bootstrap_of_the_auc_has_delong_s_spread(digits: int | None) -> None:
    from cruijff_kit.analysis.roc import rank_scores

    columns = draw_answers(np.random.default_rng(5), n=3_000, groups=2, digits=digits)
    draws = resample_auc(
        columns.probability, columns.positive, group=columns.group, groups=2, resamples=3_000,
        rng=np.random.default_rng(6),
    )  # fmt: skip
    for code in range(2):
        own = columns.group == code
        ranking = rank_scores(columns.probability[own], columns.positive[own])
        assert draws.groups[:, code, 0].mean() == pytest.approx(ranking.auc, abs=1.5e-3)
        assert draws.groups[:, code, 0].std() == pytest.approx(np.sqrt(ranking.variance), rel=0.06)


def test_the_calibration_error_is_that_of_the_hand_example() -> None:
    confidence = np.asarray([0.1, 0.2, 0.35, 0.45, 0.55, 0.6, 0.75, 0.85, 0.95, 1.0])
    correct = np.asarray([0, 0, 1, 0, 1, 0, 1, 1, 1, 1])
    one = np.zeros(10, dtype=int)
    # 0.55 and 0.6 share a bin, 0.95 and 1 another; each other answer has its own.
    alone = 0.1 + 0.2 + 0.65 + 0.45 + 0.25 + 0.15
    assert calibration_errors(confidence, correct, group=one, groups=1) == pytest.approx(
        [(alone + abs(0.55 + 0.6 - 1) + abs(0.95 + 1 - 2)) / 10]
    )
    together = calibration_errors(np.asarray([0.0, 0.1, 0.3]), np.asarray([1, 0, 0]), group=one[:3], groups=2)
    # 0 and 0.1 share the first bin, 0.3 is the end of the third; the second group has no answer.
    assert together == pytest.approx([(abs(0.1 - 1) + 0.3) / 3, np.nan], nan_ok=True)


def test_the_bootstrap_of_the_calibration_error_is_that_of_rows() -> None:
    rng = np.random.default_rng(8)
    confidence = rng.uniform(0.5, 1, 500)
    correct = (rng.random(500) < confidence - 0.1).astype(np.int64)
    group = rng.integers(0, 2, 500)
    ours = resample_ece(confidence, correct, group=group, groups=2, resamples=3_000, rng=rng)
    rows = []
    for _ in range(3_000):
        drawn = rng.integers(0, 500, 500)
        rows.append(calibration_errors(confidence[drawn], correct[drawn], group=group[drawn], groups=2))
    assert ours.groups[..., 0].mean(axis=0) == pytest.approx(np.mean(rows, axis=0), abs=3e-3)
    assert ours.groups[..., 0].std(axis=0) == pytest.approx(np.std(rows, axis=0), rel=0.08)
