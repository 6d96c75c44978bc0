"""Intervals of a scorer's figures: by counts, by formula, by leaving samples out, or by drawing them anew."""

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np

from cruijff_kit.analysis.clustered import cluster_of
from cruijff_kit.analysis.distributions import t_quantile
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.score_intervals import FORECASTS, OPTIONS
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Interval
from cruijff_kit.schema.result import ResultRow
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.scoring.estimates import Estimate, Floats, Integers
from cruijff_kit.scoring.figure_names import FIGURES, split_metric
from cruijff_kit.scoring.figures import Answers, forecasts, measure_answers, scored_options
from cruijff_kit.scoring.records import scorer_answers

__all__ = ["FigureIntervals", "figure_difference", "figure_interval"]

# Shares of samples, whose counts are known.
_SHARES = frozenset({"accuracy", "abstention_rate", "coverage", "parse_rate", "selective_accuracy"})
# Biased upwards by chance, and with kinks where bins or the largest of them change.
_BINNED = frozenset({"ece", "ece_adaptive", "ece_debiased", "ece_event", "mce"})
_GROUPS = 64
_RESAMPLES = 500
_SEED = 20


class FigureIntervals:
    """Intervals of the rows `<scorer>/<figure>` of a result table, the samples of each scorer read once."""

    def __init__(self, spec: ExperimentSpec, *, level: float) -> None:
        """Keep what scorers were told, and at which level intervals are wanted."""
        self._tasks = {task.name: task for task in spec.evaluation.tasks}
        self._cluster = spec.analysis.cluster
        self._level = level
        self._last: tuple[object, Answers] | None = None

    def of(self, row: ResultRow, samples: Sequence[Prediction]) -> Interval | None:
        """Return a figure's interval from the samples it is of; None where it is no figure of a planned scorer."""
        scorer, figure = split_metric(row.metric)
        task = self._tasks.get(row.task)
        if not samples or row.value is None or task is None or scorer not in task.scorers or figure not in FIGURES:
            return None
        key = (row.run, row.task, row.epoch, scorer)
        if self._last is None or self._last[0] != key:
            self._last = (key, scorer_answers(samples, scorer, rules=task.rules))
        clusters = None if self._cluster is None else [cluster_of(each, self._cluster) for each in samples]
        return figure_interval(figure, self._last[1], clusters=clusters, level=self._level)


def figure_interval(name: str, answers: Answers, *, clusters: Sequence[str] | None = None, level: float) -> Interval:
    """Return a figure of `FIGURES` with its interval, cut to the values it can have.

    Shares get Wilson's interval, and figures of probabilities that have a formula the one
    that the tables of probabilities show. Other calibration errors get a bootstrap reflected
    at the figure, since chance biases a resample once more. All else, and what has clusters,
    gets Student's t over a jackknife that leaves out samples in up to 64 groups. Without spread there is no
    interval. Sources: F. Busing et al., Statistics and Computing 9 (1999), 3-8;
    A. Davison, D. Hinkley, Bootstrap Methods and their Application (1997), section 5.2.

    Args:
        name: which figure.
        answers: the samples.
        clusters: of each sample, the cluster it stands or falls with.
        level: confidence level in (0, 1).
    """
    found = measure_answers(name, answers)
    if found.value is None:
        return Interval(value=None, low=None, high=None, n=found.n, level=level, method="none")
    if name in _SHARES and clusters is None:
        return wilson_interval(round(found.value * found.n), found.n, level=level)
    told = None if clusters is not None else _by_formula(name, answers, level=level)
    if told is not None and told.low is not None:
        return told
    labels = np.arange(len(answers.true)) if clusters is None else np.unique(clusters, return_inverse=True)[1]

    def measure(index: Integers) -> Estimate:
        return measure_answers(name, answers.at(index))

    limits, method = (
        (_reflected(found.value, measure, labels=labels, level=level), "bootstrap, reflected")
        if name in _BINNED
        else (_jackknifed(found.value, measure, labels=labels, level=level), "t over a jackknife")
    )
    if limits is None:
        return Interval(value=found.value, low=None, high=None, n=found.n, level=level, method="none")
    kind = FIGURES[name]
    low, high = (min(limits[0], found.value), max(limits[1], found.value))
    low = low if kind.low is None else max(kind.low, low)
    high = high if kind.high is None else min(kind.high, high)
    named = method if clusters is None else f"{method}, clustered"
    return Interval(value=found.value, low=low, high=high, n=found.n, level=level, method=named)


def figure_difference(
    name: str, pair: tuple[Answers, Answers], *, clusters: Sequence[str] | None = None, level: float
) -> Interval:
    """Return a figure of one model minus that of another on the same samples, by Student's t over a jackknife.

    Whatever leaves a sample out leaves it out of both. Binned figures, whose jackknife does not hold, get the
    reflected bootstrap that they get alone.

    Args:
        name: which figure of `FIGURES`.
        pair: one model's samples, whose figure is subtracted, and the other's, in the same order.
        clusters: of each sample, the cluster it stands or falls with.
        level: confidence level in (0, 1).
    """
    labels = np.arange(len(pair[0].true)) if clusters is None else np.unique(clusters, return_inverse=True)[1]

    def measure(index: Integers) -> Estimate:
        one, other = (measure_answers(name, each.at(index)) for each in pair)
        if one.value is None or other.value is None:
            return other._replace(value=None)
        return other._replace(value=other.value - one.value)

    whole = measure(np.arange(len(labels)))
    empty = Interval(value=whole.value, low=None, high=None, n=len(labels), level=level, method="none")
    if whole.value is None:
        return empty
    binned = name in _BINNED
    limits = (_reflected if binned else _jackknifed)(whole.value, measure, labels=labels, level=level)
    if limits is None:
        return empty
    method = "paired bootstrap, reflected" if binned else "paired, t over a jackknife"
    return empty.model_copy(update={"low": limits[0], "high": limits[1], "method": method})


def _by_formula(name: str, answers: Answers, *, level: float) -> Interval | None:
    """Return the interval that a diagnosis has of the figure; None where there is no formula."""
    if name in FORECASTS:
        return FORECASTS[name](*forecasts(answers), level=level)
    kind = "brier" if name.startswith("brier_") else name
    return OPTIONS[kind](*scored_options(answers), level=level) if kind in OPTIONS else None


def _jackknifed(
    value: float, measure: Callable[[Integers], Estimate], *, labels: Integers, level: float
) -> tuple[float, float] | None:
    """Return limits by Student's t over groups left out; None where one cannot be, or nothing changes."""
    groups = min(_GROUPS, int(labels.max(initial=-1)) + 1)
    if groups < 2:
        return None
    # Neighbours fall into different groups, whatever order the rows came in.
    part = labels % groups
    left = [measure(np.flatnonzero(part != each)).value for each in range(groups)]
    known = np.array([each for each in left if each is not None], dtype=np.float64)
    if len(known) < groups:
        return None
    ratio = len(labels) / np.bincount(part, minlength=groups)
    pseudo = ratio * value - (ratio - 1) * known
    centre = float((value - (1 - 1 / ratio) * known).sum())
    variance = float(((pseudo - centre) ** 2 / (ratio - 1)).mean())
    # What rounding leaves is no spread.
    if variance <= (1e-12 * max(1.0, abs(value))) ** 2:
        return None
    half = t_quantile(level, groups - 1) * sqrt(variance)
    return value - half, value + half


def _reflected(
    value: float, measure: Callable[[Integers], Estimate], *, labels: Integers, level: float
) -> tuple[float, float] | None:
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return None
    members = _members(labels, count)
    chance = np.random.default_rng(_SEED)
    drawn: list[float] = []
    for _ in range(_RESAMPLES):
        index = np.concatenate([members[each] for each in chance.integers(0, count, count)])
        found = measure(index).value
        if found is not None:
            drawn.append(found)
    if len(drawn) < _RESAMPLES or min(drawn) == max(drawn):
        return None
    return _mirrored(value, np.array(drawn), level=level)


def _mirrored(value: float, drawn: Floats, *, level: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return 2 * value - float(high), 2 * value - float(low)


def _members(labels: Integers, count: int) -> list[Integers]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])
