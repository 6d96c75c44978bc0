"""Readings: what one arm's runs say of one task and metric, with what that figure is a figure of."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from cruijff_kit.analysis.arms import Arm
from cruijff_kit.analysis.clustered import cluster_of, clustered_proportion, design_effect
from cruijff_kit.analysis.distributions import t_quantile
from cruijff_kit.analysis.figure_intervals import FigureIntervals
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.schema.compared import ArmFigure, CompareRules
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultRow
from cruijff_kit.scoring.figure_names import FIGURES, split_metric
from cruijff_kit.scoring.judging import JUDGES, judge

__all__ = ["Reading", "definition", "figure_of", "judged_anew", "readings_of", "verdicts_of"]

_TEXT_SCORERS = ("match", "includes")

_Samples = Mapping[str, tuple[Prediction, ...]]


class Reading(NamedTuple):
    """One metric of one arm on one task, at the last epoch planned."""

    arm: Arm
    """The arm."""
    task: EvalTask
    """The task as the design has it."""
    metric: str
    """Scorer, or `<scorer>/<figure>`."""
    rows: tuple[ResultRow, ...]
    """Row of each run, those without a value included."""
    samples: _Samples
    """Run to its samples, where it has any."""

    @property
    def known(self) -> tuple[ResultRow, ...]:
        """Return the rows that have a value."""
        return tuple(row for row in self.rows if row.value is not None)

    @property
    def values(self) -> tuple[float, ...]:
        """Return the values that there are."""
        return tuple(row.value for row in self.rows if row.value is not None)

    @property
    def place(self) -> str:
        """Return label and task, as tables call them."""
        return f"{self.arm.entry.label} {self.task.name}"


def readings_of(arm: Arm, rules: CompareRules) -> list[Reading]:
    """Return what an arm says of each task and metric asked for; metrics that nobody measured are left out."""
    table, ids = arm.entry.table, {run.id for run in arm.runs}
    own = [row for row in table.rows if row.run in ids]
    found = []
    for name, (task, epoch) in _last_cells(arm).items():
        if rules.tasks and name not in rules.tasks:
            continue
        rows = [row for row in own if (row.task, row.epoch) == (name, epoch)]
        samples = {run: _samples_of(run, name, epoch=epoch, arm=arm) for run in ids}
        for metric in _metrics(arm, rows, rules=rules):
            chosen = tuple(row for row in rows if row.metric == metric)
            found.append(Reading(arm, task, metric, chosen, {run: each for run, each in samples.items() if each}))
    return found


def definition(reading: Reading) -> dict[str, str]:
    """Return what a figure is a figure of; two of them are comparable where all of it is the same."""
    task, scorer = reading.task, split_metric(reading.metric)[0]
    rules = task.rules.model_dump(mode="json") if task.scorers else {}
    told = ", ".join(f"{name} {value}" for name, value in sorted(rules.items()) if value not in (None, [], {}, ""))
    whose = "this package's" if scorer in task.scorers else "the log's own"
    return {
        "task": task.task,
        "data": _data(reading),
        "split": task.split,
        "rows": "all" if task.samples is None else f"{task.samples} of them",
        "metric": f"{reading.metric}, {whose} scorer" + (f" ({told})" if told else ""),
    }


def verdicts_of(reading: Reading, run: str) -> tuple[Prediction, ...]:
    """Return a run's samples with `correct` as the metric has it; none where the metric is no share of right answers.

    Errored and unparsed samples count as wrong.
    """
    row = next((row for row in reading.known if row.run == run), None)
    samples = reading.samples.get(run, ())
    if row is None or row.successes is None or "/" in reading.metric or row.n != len(samples):
        return ()
    own = tuple(reading.task.scorers)
    if reading.metric in own[1:] and reading.metric in JUDGES:
        samples = tuple(judge(each, reading.metric, rules=reading.task.rules) for each in samples)
    # The records are those of the first scorer: whatever does not add up to its count is another one's.
    return samples if sum(each.correct is True for each in samples) == row.successes else ()


def judged_anew(reading: Reading, task: EvalTask) -> Reading | None:
    """Return a reading whose answers are judged by this package's scorer, as another task tells it; None where not.

    A log of another system holds answers and targets, and its own scorer's verdicts: those are another definition.
    """
    ours = reading.metric in task.scorers and reading.metric in _TEXT_SCORERS and not reading.task.scorers
    complete = all(row.run in reading.samples and row.n == len(reading.samples[row.run]) for row in reading.known)
    if not ours or not complete or not reading.known:
        return None
    samples = {
        run: tuple(judge(each, reading.metric, rules=task.rules) for each in every)
        for run, every in reading.samples.items()
    }
    counts = {run: sum(each.correct is True for each in every) for run, every in samples.items()}
    rows = tuple(
        row.model_copy(update={"successes": counts[row.run], "value": counts[row.run] / row.n})
        if row.value is not None
        else row
        for row in reading.rows
    )
    told = {name: getattr(task, name) for name in ("options", "ignore_case", "threshold", "costs", "abstain_cost")}
    own = reading.task.model_copy(update={**told, "scorers": (reading.metric,)})
    return reading._replace(task=own, rows=rows, samples=samples)


def figure_of(reading: Reading, *, level: float) -> ArmFigure:
    """Return a reading as a figure with its interval: over samples for one run, over seeds for several."""
    known, missing = reading.known, [row for row in reading.rows if row.value is None]
    reason = "; ".join(dict.fromkeys(f"{row.run}: {row.reason}" for row in missing))
    return ArmFigure(
        experiment=reading.arm.entry.label,
        arm=reading.arm.name,
        task=reading.task.name,
        metric=reading.metric,
        epoch=reading.rows[0].epoch,
        runs=tuple(row.run for row in known),
        values=reading.values,
        figure=_interval(reading, level=level),
        sources={row.source: row.source_sha256 for row in known if row.source and row.source_sha256},
        reason=reason,
    )


def _last_cells(arm: Arm) -> dict[str, tuple[EvalTask, int | None]]:
    last: dict[str, tuple[EvalTask, int | None]] = {}
    for cell in (cell for run in arm.runs for cell in run.cells):
        known = last.get(cell.task.name)
        if known is None or (cell.epoch or 0) > (known[1] or 0):
            last[cell.task.name] = (cell.task, cell.epoch)
    return last


def _metrics(arm: Arm, rows: Sequence[ResultRow], *, rules: CompareRules) -> list[str]:
    there = list(dict.fromkeys(row.metric for row in rows))
    if rules.metrics:
        return [metric for metric in rules.metrics if metric in there]
    primary = arm.entry.spec.analysis.primary_metric
    return [primary] if primary in there else there[:1]


def _samples_of(run: str, task: str, *, epoch: int | None, arm: Arm) -> tuple[Prediction, ...]:
    return tuple(
        each for each in arm.entry.table.predictions if (each.run, each.task, each.epoch) == (run, task, epoch)
    )


def _data(reading: Reading) -> str:
    plan, other = reading.arm.entry.plan, reading.task.dataset
    key = reading.arm.runs[0].dataset
    own = [
        each
        for each in plan.datasets
        if (each.key == key if other is None else each.path == other or each.path.endswith(f"/{other}"))
    ]
    return own[0].sha256 if own else UNKNOWN_SHA256


def _interval(reading: Reading, *, level: float) -> Interval:
    values, spec = reading.values, reading.arm.entry.spec
    if not values:
        return Interval(value=None, low=None, high=None, n=0, level=level, method="none")
    if len(values) > 1:
        return _over_seeds(values, reading.metric, level=level)
    row = reading.known[0]
    samples = reading.samples.get(row.run, ())
    if row.successes is None:
        found = FigureIntervals(spec, level=level).of(row, samples) if samples else None
        return found or Interval(value=row.value, low=None, high=None, n=row.n, level=level, method="none")
    judged, column = verdicts_of(reading, row.run), spec.analysis.cluster
    if column is None or not judged:
        return wilson_interval(row.successes, row.n, level=level)
    outcomes: dict[str, list[bool]] = {}
    for each in judged:
        outcomes.setdefault(cluster_of(each, column), []).append(each.correct is True)
    return clustered_proportion(row.successes, row.n, clusters=design_effect(outcomes), level=level)


def _over_seeds(values: Sequence[float], metric: str, *, level: float) -> Interval:
    count, mean, spread = len(values), fmean(values), stdev(values)
    kind = FIGURES.get(split_metric(metric)[1] or "accuracy")
    if not spread:
        return Interval(value=mean, low=None, high=None, n=count, level=level, method="seeds agree to the last digit")
    half = t_quantile(level, count - 1) * spread / count**0.5
    low, high = mean - half, mean + half
    if kind is not None:
        low = low if kind.low is None else max(kind.low, low)
        high = high if kind.high is None else min(kind.high, high)
    return Interval(value=mean, low=low, high=high, n=count, level=level, method="t over seeds")
