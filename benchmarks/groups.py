"""How long a comparison of groups takes, beside fairlearn's on a size that it can do.

One million answers in 20 groups, 2,000 bootstraps: the count-based metrics alone, and the whole comparison with AUC
and calibration error in it. Then the same count-based metrics and intervals with both, on fewer rows and bootstraps;
figures are compared before times are, and the ratio is one of time per bootstrap.

    python benchmarks/groups.py [--rows 1000000] [--groups 20] [--resamples 2000] [--shared-rows 20000]
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cruijff_kit.analysis.cell_bootstrap import COUNTED, count_cells, metric_values, resample_counts
from cruijff_kit.analysis.group_columns import GroupColumns
from cruijff_kit.analysis.heterogeneity import compare_columns
from cruijff_kit.schema.groups import GroupRules

COUNT_LIMIT, WHOLE_LIMIT = 2.0, 15.0
"""Seconds: the count-based metrics, and everything."""
SHARED = ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "false_positive_rate", "selection_rate")
"""Metrics that both compute."""


def answers(rows: int, groups: int) -> GroupColumns:
    """Return made-up answers of two classes, a twentieth abstained, a tenth outside their prediction sets."""
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 1, rows)
    positive, chosen = (rng.random(rows) < probability).astype(np.int64), (probability >= 0.5).astype(np.int64)
    return GroupColumns(
        levels=tuple(map(str, range(groups))),
        group=rng.integers(0, groups, rows),
        correct=(chosen == positive).astype(np.int64),
        answered=np.ones(rows, dtype=np.int64),
        abstained=(rng.random(rows) < 0.05).astype(np.int64),
        positive=positive,
        chosen=chosen,
        covered=(rng.random(rows) < 0.9).astype(np.int64),
        set_size=np.where(rng.random(rows) < 0.3, 2.0, 1.0),
        probability=probability,
        confidence=np.maximum(probability, 1 - probability),
    )


def counted(columns: GroupColumns, *, resamples: int) -> np.ndarray:
    """Return the count-based metrics by group, having made the intervals of all of them."""
    cells = count_cells(columns)
    draws = resample_counts(cells, resamples=resamples, rng=np.random.default_rng(1))
    np.quantile(draws.groups, (0.025, 0.975), axis=0)
    np.quantile(draws.overall, (0.025, 0.975), axis=0)
    return metric_values(cells, cells.counts)


def by_fairlearn(columns: GroupColumns, *, resamples: int) -> Any:
    """Return fairlearn's metrics by group, having made their intervals."""
    from fairlearn import metrics as fair
    from sklearn import metrics as sk

    functions = {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "f1": sk.f1_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "false_positive_rate": fair.false_positive_rate,
        "selection_rate": fair.selection_rate,
    }
    frame = fair.MetricFrame(
        metrics=functions, y_true=columns.positive, y_pred=columns.chosen, sensitive_features=columns.group,
        n_boot=resamples, ci_quantiles=[0.025, 0.975], random_state=1,
    )  # fmt: skip
    assert len(frame.by_group_ci) == 2
    return frame.by_group


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and result of an action."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def main() -> int:
    """Measure, print a table, and fail where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--shared-rows", type=int, default=20_000)
    parser.add_argument("--shared-resamples", type=int, default=20)
    options = parser.parse_args()
    columns = answers(options.rows, options.groups)
    size = f"{options.rows:,} rows x {options.groups} groups, {options.resamples:,} bootstraps"
    rules = GroupRules(resamples=options.resamples)
    alone, _ = timed(partial(counted, columns, resamples=options.resamples))
    whole, _ = timed(partial(compare_columns, columns, source="made up", column="group", tier="green", rules=rules))
    print("| what | seconds | target |\n| --- | ---: | --- |")
    missed = [
        _row(f"{len(COUNTED)} count-based metrics, {size}", alone, limit=COUNT_LIMIT),
        _row("the same and AUC, calibration error, all tests", whole, limit=WHOLE_LIMIT),
    ]
    small = answers(options.shared_rows, options.groups)
    few = options.shared_resamples
    theirs, frame = timed(partial(by_fairlearn, small, resamples=few))
    ours, values = timed(partial(counted, small, resamples=options.resamples))
    places = [COUNTED.index(name) for name in SHARED]
    gap = float(np.abs(values[:, places] - frame[list(SHARED)].to_numpy()).max())
    assert gap < 1e-9, f"the two disagree by {gap}"
    _row(f"fairlearn, {options.shared_rows:,} rows, {len(SHARED)} metrics, {few} bootstraps", theirs)
    _row(f"ours, the same rows, {len(COUNTED)} metrics, {options.resamples:,} bootstraps", ours)
    ratio = (theirs / few) / (ours / options.resamples)
    print(f"\nThe shared figures agree to {gap:.0e}. A bootstrap of ours takes 1/{ratio:,.0f} of one of fairlearn's.")
    return int(any(missed))


def _row(what: str, seconds: float, *, limit: float | None = None) -> bool:
    told = "" if limit is None else f"at most {limit:g} s: {'met' if seconds <= limit else 'MISSED'}"
    print(f"| {what} | {seconds:.3f} | {told} |")
    return limit is not None and seconds > limit


if __name__ == "__main__":
    sys.exit(main())
