"""Every metric of every group, with its interval, its bootstrap, and the test against the rest."""

from collections.abc import Iterator
from math import isfinite, sqrt
from typing import NamedTuple

import numpy as np

from cruijff_kit.analysis.cell_bootstrap import (
    COUNTED,
    PROPORTIONS,
    count_cells,
    metric_values,
    resample_counts,
)
from cruijff_kit.analysis.distributions import normal_quantile, normal_two_sided, probit, t_quantile
from cruijff_kit.analysis.group_columns import Floats, GroupColumns, Ints
from cruijff_kit.analysis.independent import cohen_h, fisher_exact, proportion_difference
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.roc import Ranking, auc_interval, auc_variance, rank_scores
from cruijff_kit.analysis.score_cells import calibration_errors, resample_auc, resample_ece
from cruijff_kit.analysis.score_intervals import mean_interval
from cruijff_kit.schema.groups import GroupRules
from cruijff_kit.schema.report import Interval

__all__ = ["METRICS", "TESTED", "Measure", "RawDifference", "measure_groups", "percentile", "reflected"]

METRICS = (*COUNTED, "set_size", "auc", "ece", "overconfidence")
"""Everything reported by group."""
TESTED = ("accuracy", "auc", "overconfidence", "abstention", "coverage")
"""Metrics in which each group is tested against the rest."""

_FEWEST = 10
"""Samples of each class that AUC, F1 and balanced accuracy need."""
_WANTING = {
    "auc": "no sample has a probability of class 1 and a known class",
    "ece": "no sample has a confidence",
    "overconfidence": "no sample has a confidence",
    "coverage": "no sample has a prediction set",
    "set_size": "no sample has a prediction set",
    "selective_accuracy": "every sample abstained",
}


class RawDifference(NamedTuple):
    """A group against the rest, before p-values are adjusted."""

    figure: Interval
    """The group minus the rest."""
    effect: float
    """Effect size."""
    p_value: float
    """Two-sided."""


class Measure(NamedTuple):
    """One metric over all groups."""

    name: str
    """Which."""
    figures: tuple[Interval, ...]
    """By group; without a value where there is a reason."""
    reasons: tuple[str, ...]
    """Why a group has no figure; empty where it has one."""
    overall: Interval
    """Over all samples."""
    wanting: str
    """Why there is no figure at all."""
    differences: tuple[RawDifference | None, ...]
    """By group; None where it was not tested."""
    counts: tuple[tuple[int, int], ...]
    """Successes and trials by group, for proportions; else empty."""
    draws: Floats
    """Bootstrap values, shape (resamples, groups)."""


def measure_groups(columns: GroupColumns, rules: GroupRules) -> tuple[Measure, ...]:
    """Return every metric by group, in the order of `METRICS`.

    Args:
        columns: one entry a sample.
        rules: level, minimum n and bootstrap.
    """
    rng = np.random.default_rng(rules.seed)
    return (*_counted(columns, rules, rng=rng), _set_size(columns, rules), *_scored(columns, rules, rng=rng))


def _counted(columns: GroupColumns, rules: GroupRules, *, rng: np.random.Generator) -> Iterator[Measure]:
    cells = count_cells(columns)
    draws = resample_counts(cells, resamples=rules.resamples, rng=rng)
    upper, lower = (np.rint(cells.counts @ weights).astype(int) for weights in (cells.upper, cells.lower))
    values, whole = metric_values(cells, cells.counts), metric_values(cells, cells.counts.sum(axis=0))
    positives, negatives = lower[:, COUNTED.index("recall")], lower[:, COUNTED.index("false_positive_rate")]
    for place, name in enumerate(COUNTED):
        one, all_draws = draws.groups[..., place], draws.overall[:, place]
        if name in PROPORTIONS:
            pairs = tuple(zip(upper[:, place].tolist(), lower[:, place].tolist(), strict=True))
            yield _proportion(name, pairs, draws=one, rules=rules)
        else:
            short = [_shortage(p, n, rules=rules) for p, n in zip(positives.tolist(), negatives.tolist(), strict=True)]
            sizes = (positives + negatives).tolist()
            intervals = [
                percentile(value, one[:, at], n=sizes[at], level=1 - rules.alpha)
                for at, value in enumerate(values[:, place])
            ]
            overall = percentile(whole[place], all_draws, n=sum(sizes), level=1 - rules.alpha)
            yield _measure(name, intervals, short=short, overall=overall, draws=one)


def _proportion(name: str, pairs: tuple[tuple[int, int], ...], *, draws: Floats, rules: GroupRules) -> Measure:
    level = 1 - rules.alpha
    total = sum(k for k, _ in pairs), sum(n for _, n in pairs)
    short = [_fewer(n, rules.min_n) for _, n in pairs]
    measure = _measure(
        name, [wilson_interval(k, n, level=level) for k, n in pairs], short=short,
        overall=wilson_interval(*total, level=level), draws=draws,
    )  # fmt: skip
    # Where all or none succeeded there is nothing to test, and no test to pay for.
    told = name in TESTED and 0 < total[0] < total[1]
    differences = tuple(
        _share_difference((k, n), (total[0] - k, total[1] - n), level=level)
        if told and not why and n < total[1] else None
        for (k, n), why in zip(pairs, short, strict=True)
    )  # fmt: skip
    return measure._replace(differences=differences, counts=pairs)


def _share_difference(own: tuple[int, int], rest: tuple[int, int], *, level: float) -> RawDifference:
    figure = proportion_difference(own, rest, level=level)
    return RawDifference(figure, cohen_h(own[0] / own[1], rest[0] / rest[1]), fisher_exact(own, rest))


def _set_size(columns: GroupColumns, rules: GroupRules) -> Measure:
    """Return the mean number of options in a prediction set: coverage alone can be bought with large sets."""
    known, level = np.isfinite(columns.set_size), 1 - rules.alpha
    own = [columns.set_size[known & (columns.group == code)] for code in range(len(columns.levels))]
    short = [_fewer(len(each), rules.min_n) for each in own]
    intervals = [mean_interval(each, level=level) for each in own]
    overall = mean_interval(columns.set_size[known], level=level)
    return _measure("set_size", intervals, short=short, overall=overall, draws=_no_draws(len(own), rules))


def _scored(columns: GroupColumns, rules: GroupRules, *, rng: np.random.Generator) -> Iterator[Measure]:
    ranked = np.isfinite(columns.probability) & (columns.positive >= 0)
    yield _auc(columns, np.flatnonzero(ranked), rules=rules, rng=rng)
    sure = np.flatnonzero(np.isfinite(columns.confidence))
    yield _ece(columns, sure, rules=rules, rng=rng)
    yield _overconfidence(columns, sure, rules=rules)


def _auc(columns: GroupColumns, rows: Ints, *, rules: GroupRules, rng: np.random.Generator) -> Measure:
    rows = rows[np.argsort(columns.probability[rows], kind="stable")]
    score, positive, group = columns.probability[rows], columns.positive[rows], columns.group[rows]
    groups, level = len(columns.levels), 1 - rules.alpha
    own = [rank_scores(score[group == code], positive[group == code], ordered=True) for code in range(groups)]
    whole = rank_scores(score, positive, ordered=True)
    short = [_shortage(each.positives, each.negatives, rules=rules) for each in own]
    draws = _no_draws(groups, rules)
    if len(rows):
        draws = resample_auc(
            score, positive, group=group, groups=groups, resamples=rules.resamples, rng=rng
        ).groups[..., 0]  # fmt: skip
    intervals = [auc_interval(each, level=level) for each in own]
    measure = _measure("auc", intervals, short=short, overall=auc_interval(whole, level=level), draws=draws)

    def against(code: int) -> RawDifference | None:
        rest = rank_scores(score[group != code], positive[group != code], ordered=True)
        small = short[code] or _shortage(rest.positives, rest.negatives, rules=rules)
        return None if small else _auc_difference(own[code], rest, whole=whole.auc, level=level)

    return measure._replace(differences=tuple(against(code) for code in range(groups)))


def _auc_difference(own: Ranking, rest: Ranking, *, whole: float, level: float) -> RawDifference:
    value, spread = own.auc - rest.auc, sqrt(auc_variance(own, at=whole) + auc_variance(rest, at=whole))
    half = normal_quantile(level) * spread
    n = own.positives + own.negatives
    figure = Interval(value=value, low=value - half, high=value + half, n=n, level=level, method="delong")
    # d' is without bound where the classes are told apart without a fault.
    effect = sqrt(2) * (probit(min(max(own.auc, 1e-3), 0.999)) - probit(min(max(rest.auc, 1e-3), 0.999)))
    return RawDifference(figure, effect, normal_two_sided(value / spread) if spread else 1.0)


def _ece(columns: GroupColumns, rows: Ints, *, rules: GroupRules, rng: np.random.Generator) -> Measure:
    confidence, correct, group = columns.confidence[rows], columns.correct[rows], columns.group[rows]
    groups, level = len(columns.levels), 1 - rules.alpha
    sizes = np.bincount(group, minlength=groups).tolist()
    short = [_fewer(n, rules.min_n) for n in sizes]
    if not len(rows):
        nothing = [_nothing("bootstrap, bias reflected", level) for _ in sizes]
        return _measure("ece", nothing, short=short, overall=nothing[0], draws=_no_draws(groups, rules))
    values = calibration_errors(confidence, correct, group=group, groups=groups)
    whole = calibration_errors(confidence, correct, group=np.zeros_like(group), groups=1)[0]
    draws = resample_ece(confidence, correct, group=group, groups=groups, resamples=rules.resamples, rng=rng)
    intervals = [reflected(value, draws.groups[:, at, 0], n=sizes[at], level=level) for at, value in enumerate(values)]
    overall = reflected(whole, draws.overall[:, 0], n=len(rows), level=level)
    return _measure("ece", intervals, short=short, overall=overall, draws=draws.groups[..., 0])


def _overconfidence(columns: GroupColumns, rows: Ints, *, rules: GroupRules) -> Measure:
    """Return mean confidence minus accuracy, whose sign the calibration error hides."""
    confidence, group, groups = columns.confidence[rows], columns.group[rows], len(columns.levels)
    excess, level = confidence - columns.correct[rows], 1 - rules.alpha
    own = [_mean(excess[group == code], confidence[group == code]) for code in range(groups)]
    whole = _mean(excess, confidence)
    short = [_fewer(each.n, rules.min_n) for each in own]
    intervals, overall = [_mean_interval(each, level) for each in own], _mean_interval(whole, level)

    def against(code: int) -> RawDifference | None:
        rest = _mean(excess[group != code], confidence[group != code])
        if short[code] or rest.n < rules.min_n:
            return None
        value, spread = own[code].value - rest.value, sqrt(own[code].variance + rest.variance)
        half = normal_quantile(level) * spread
        figure = Interval(value=value, low=value - half, high=value + half, n=own[code].n, level=level, method="welch")
        return RawDifference(figure, value, normal_two_sided(value / spread) if spread else 1.0)

    measure = _measure("overconfidence", intervals, short=short, overall=overall, draws=_no_draws(groups, rules))
    return measure._replace(differences=tuple(against(code) for code in range(groups)))


class _Mean(NamedTuple):
    value: float
    variance: float
    """Of the mean: the larger of what was seen and what the confidences themselves imply."""
    n: int


def _mean(excess: Floats, confidence: Floats) -> _Mean:
    if len(excess) < 2:
        return _Mean(float("nan"), float("nan"), len(excess))
    # Thirty sure answers without a fault have no spread to speak of, and prove little.
    implied = float((confidence * (1 - confidence)).mean())
    return _Mean(float(excess.mean()), max(float(excess.var(ddof=1)), implied) / len(excess), len(excess))


def _mean_interval(mean: _Mean, level: float) -> Interval:
    if mean.n < 2:
        return _nothing("t over samples", level)
    half = t_quantile(level, mean.n - 1) * sqrt(mean.variance)
    low, high = mean.value - half, mean.value + half
    return Interval(value=mean.value, low=low, high=high, n=mean.n, level=level, method="t over samples")


def percentile(value: float, draws: Floats, *, n: int, level: float) -> Interval:
    """Return a value with the percentiles of its bootstrap; no interval where it never varied."""
    return _between(value, _limits(draws, level), n=n, level=level, method="bootstrap")


def reflected(value: float, draws: Floats, *, n: int, level: float) -> Interval:
    """Return a calibration error with its bootstrap reflected at the value.

    A binned calibration error is biased upwards, and its bootstrap twice as much;
    reflection takes the same bias off again.
    """

    def mirror(limits: tuple[float, float]) -> tuple[float, float]:
        return max(0.0, 2 * value - limits[1]), max(0.0, 2 * value - limits[0])

    return _between(value, mirror(_limits(draws, level)), n=n, level=level, method="bootstrap, bias reflected")


def _limits(draws: Floats, level: float) -> tuple[float, float]:
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, ((1 - level) / 2, (1 + level) / 2)).tolist()
    return low, high


def _between(value: float, limits: tuple[float, float], *, n: int, level: float, method: str) -> Interval:
    if not isfinite(value):
        return _nothing(method, level)
    varied = limits[0] < limits[1]
    low, high = limits if varied else (None, None)
    return Interval(value=float(value), low=low, high=high, n=n, level=level, method=method)


def _nothing(method: str, level: float) -> Interval:
    return Interval(value=None, low=None, high=None, n=0, level=level, method=method)


def _measure(name: str, intervals: list[Interval], *, short: list[str], overall: Interval, draws: Floats) -> Measure:
    figures = tuple(
        each.model_copy(update={"value": None, "low": None, "high": None}) if why else each
        for each, why in zip(intervals, short, strict=True)
    )
    wanting = "" if overall.value is not None else _WANTING.get(name, "no sample has one of two classes")
    return Measure(name, figures, tuple(short), overall, wanting, (None,) * len(figures), (), draws)


def _no_draws(groups: int, rules: GroupRules) -> Floats:
    return np.full((rules.resamples, groups), np.nan)


def _fewer(n: int, least: int) -> str:
    return f"not estimable: {n} samples, fewer than {least}" if n < least else ""


def _shortage(positives: int, negatives: int, *, rules: GroupRules) -> str:
    few = _fewer(positives + negatives, rules.min_n)
    if not few and min(positives, negatives) < _FEWEST:
        return f"not estimable: {positives} samples of class 1 and {negatives} of class 0, fewer than {_FEWEST} of one"
    return few
