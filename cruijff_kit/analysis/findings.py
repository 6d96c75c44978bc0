"""Findings: every figure of a report, computed from the design and the result table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from cruijff_kit.analysis.breakdown import compare_with_base, group_figures, rank_runs
from cruijff_kit.analysis.claim_sides import stem_of
from cruijff_kit.analysis.clustered import Clusters, cluster_of, clustered_proportion, design_effect
from cruijff_kit.analysis.factorial import Observation, cell_figures, factor_effects
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.known_best import known_bests
from cruijff_kit.analysis.last_epoch import last_samples, outcome_rows
from cruijff_kit.analysis.losses import loss_figure
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.ceiling import KnownBest
from cruijff_kit.schema.design_kinds import LatinDesign, SearchDesign
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import (
    CellFigure,
    Comparison,
    Finding,
    Findings,
    GroupFigure,
    Incomplete,
    Interval,
    LossFigure,
    TiedSet,
)
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.spec import ExperimentSpec, Factors, Level
from cruijff_kit.scoring.figure_names import FIGURES, shown_name, split_metric

__all__ = ["TRAINING", "control_of", "find_all", "subjects_of"]

TRAINING = "training"
"""Task name of rows that hold losses."""

_BASE = "base"
_POINT = "point"
_RUN = "run"


class _Outcome(NamedTuple):
    """What the effects are effects on."""

    task: str
    metric: str
    words: str
    loss: bool
    low: float | None = None
    high: float | None = None


class _Sheet(NamedTuple):
    """The design and what came of it."""

    spec: ExperimentSpec
    plan: Plan
    table: ResultTable
    level: float
    samples: Mapping[tuple[str, str], Sequence[Prediction]]


def find_all(spec: ExperimentSpec, plan: Plan, *, table: ResultTable) -> Findings:
    """Return every figure a report shows; the bottom line is left to whoever words it.

    Args:
        spec: the design, analysis settings included.
        plan: the sealed plan of that design.
        table: what was collected.
    """
    sheet = _Sheet(spec, plan, table, 1 - spec.analysis.alpha, last_samples(table))
    outcome, factors = _outcome(sheet), _factors(spec, plan)
    observations = _observations(sheet, outcome)
    if isinstance(spec.design, SearchDesign):
        # Trials were chosen by their results: what a search may claim its fresh seeds say, and nothing else does.
        observations, factors = [], {}
    crossed = bool(factors) and not isinstance(spec.design, LatinDesign)
    if isinstance(spec.design, LatinDesign):
        observations, factors = _by_point(observations)
    elif not factors:
        observations, factors = _by_name(observations, plan)
    incomplete = _incomplete(table.rows)
    complete = len(plan.runs) - len({each.run for each in incomplete})
    comparisons, unpaired = _comparisons(sheet)
    planned = [name for name in spec.analysis.comparisons if name != _BASE]
    only_base = bool(spec.analysis.comparisons) and not planned
    return Findings(
        experiment=spec.name,
        bottom_line=(),
        losses=_losses(sheet),
        findings=_accuracies(sheet),
        effects=()
        if only_base or not crossed
        else factor_effects(observations, factors, level=sheet.level, planned=planned),
        comparisons=comparisons,
        groups=_groups(sheet),
        ranking=_ranking(sheet, outcome),
        incomplete=incomplete,
        complete=complete,
        planned=len(plan.runs),
        verdict=_verdict(table.rows, incomplete),
        outcome=outcome.words,
        task=outcome.task,
        metric=outcome.metric,
        cells=_cells(observations, factors, outcome=outcome, level=sheet.level),
        lower_is_better=outcome.loss,
        notes=(*_damaged(table), *unpaired),
    )


def _outcome(sheet: _Sheet) -> _Outcome:
    analysis, tasks = sheet.spec.analysis, sheet.spec.evaluation.tasks
    if sheet.spec.tools.evaluation != "none" and tasks:
        task = analysis.primary_task or tasks[0].name
        metric = _metric(sheet, task)
        figure = FIGURES.get(split_metric(metric)[1], FIGURES["accuracy"])
        lower, words = figure.better == "lower", f"{shown_name(metric)} on {task}"
        return _Outcome(task, metric, words, lower, figure.low, figure.high)
    validated = any(row.metric == "val_loss" and row.value is not None for row in sheet.table.rows)
    name, words = ("val_loss", "validation loss") if validated else ("train_loss", "training loss")
    return _Outcome(TRAINING, name, words, loss=True)


def _metric(sheet: _Sheet, task: str) -> str:
    """Return the primary metric, or the first that was collected of the task where it has no such one."""
    wanted = sheet.spec.analysis.primary_metric
    found = dict.fromkeys(row.metric for row in sheet.table.rows if row.task == task)
    return wanted if wanted in found or not found else next(iter(found))


def _factors(spec: ExperimentSpec, plan: Plan) -> Factors:
    """Return the factors and levels that the plan's runs have, in the design's order."""
    used: dict[str, dict[str, Level]] = {name: {} for name in spec.factors}
    for run in subjects_of(plan):
        for name, level in run.factors.items():
            used.setdefault(name, {})[repr(level)] = level
    ordered: Factors = {}
    for name, levels in used.items():
        designed = [level for level in spec.factors.get(name, ()) if repr(level) in levels]
        rest = [level for key, level in levels.items() if key not in {repr(each) for each in designed}]
        ordered[name] = (*designed, *rest)
    return {name: levels for name, levels in ordered.items() if levels}


def subjects_of(plan: Plan) -> list[PlannedRun]:
    """Return the runs whose factors have effects: those trained, or all where none is."""
    return _tuned(plan) or list(plan.runs)


def _tuned(plan: Plan) -> list[PlannedRun]:
    return [run for run in plan.runs if run.type == "fine-tuned"]


def _observations(sheet: _Sheet, outcome: _Outcome) -> list[Observation]:
    subjects = {run.id for run in subjects_of(sheet.plan)}
    rows = outcome_rows(sheet.table, task=outcome.task, metric=outcome.metric)
    return [
        Observation(run, row.factors, row.value)
        for run, row in rows.items()
        if run in subjects and row.value is not None
    ]


def _by_point(observations: Sequence[Observation]) -> tuple[list[Observation], Factors]:
    """Return outcomes by the points of a Latin hypercube, whose levels make no combinations with each other."""
    named = [
        each._replace(factors={_POINT: ", ".join(f"{name} {level}" for name, level in each.factors.items())})
        for each in observations
    ]
    return named, {_POINT: tuple(dict.fromkeys(each.factors[_POINT] for each in named))} if named else {}


def _by_name(observations: Sequence[Observation], plan: Plan) -> tuple[list[Observation], Factors]:
    """Return outcomes by the names of runs that a design lists: those of one name differ in nothing but their seed."""
    named = _listed_names(subjects_of(plan))
    names = tuple(dict.fromkeys(named[each.run] for each in observations))
    # Of several names that were listed one alone may have ended: it is not all there is.
    if len(set(named.values())) < 2 or not names:
        return list(observations), {}
    return [each._replace(factors={_RUN: named[each.run]}) for each in observations], {_RUN: names}


def _listed_names(runs: Sequence[PlannedRun]) -> dict[str, str]:
    """Return what each run is called by its id, without its seed; names that ids cut to the same one are numbered."""
    kinds: dict[str, list[object]] = {}
    names: dict[str, str] = {}
    for run in runs:
        name = stem_of(run)
        known, kind = kinds.setdefault(name, []), (run.model, run.dataset, run.settings, run.generation)
        if kind not in known:
            known.append(kind)
        place = known.index(kind)
        names[run.id] = f"{name} ({place + 1})" if place else name
    return names


def _cells(
    observations: Sequence[Observation], factors: Factors, *, outcome: _Outcome, level: float
) -> tuple[CellFigure, ...]:
    cells = cell_figures(observations, factors, level=level)
    # A proportion lies in [0, 1] whatever its t interval says; cutting costs no coverage.
    return tuple(each.model_copy(update={"figure": _cut(each.figure, outcome)}) for each in cells)


def _cut(figure: Interval, outcome: _Outcome) -> Interval:
    if figure.low is None or figure.high is None:
        return figure
    low = figure.low if outcome.low is None else max(outcome.low, figure.low)
    high = figure.high if outcome.high is None else min(outcome.high, figure.high)
    return figure.model_copy(update={"low": low, "high": high})


def _losses(sheet: _Sheet) -> tuple[LossFigure, ...]:
    results = {result.run: result for result in sheet.table.runs}
    return tuple(loss_figure(run, results[run.id]) for run in _tuned(sheet.plan) if run.id in results)


def _accuracies(sheet: _Sheet) -> tuple[Finding, ...]:
    samples: dict[tuple[str, str, int | None], list[Prediction]] = {}
    for each in sheet.table.predictions:
        samples.setdefault((each.run, each.task, each.epoch), []).append(each)
    effects = {key: _clusters(found, sheet.spec.analysis.cluster) for key, found in samples.items()}
    # numpy comes with it; a design without results needs none.
    from cruijff_kit.analysis.figure_intervals import FigureIntervals

    intervals, bests = FigureIntervals(sheet.spec, level=sheet.level), known_bests(sheet.spec, sheet.plan)
    found = []
    for row in sheet.table.rows:
        if row.task != TRAINING:
            key = (row.run, row.task, row.epoch)
            seen = samples.get(key, ())
            plain = _figure(row, effects.get(key), level=sheet.level)
            best = bests.get((row.run, row.task, row.metric))
            found.append(_finding(row, seen, figure=intervals.of(row, seen) or plain, best=best))
    return tuple(found)


def _finding(row: ResultRow, samples: Sequence[Prediction], *, figure: Interval, best: KnownBest | None) -> Finding:
    unanswered = sum(each.error is not None or not each.parse_ok for each in samples)
    at_best = None
    if row.successes is not None and row.value is not None:
        at_best = min(row.n, row.successes + unanswered) / row.n
    return Finding(
        run=row.run,
        task=row.task,
        epoch=row.epoch,
        metric=row.metric,
        figure=figure,
        errored=sum(each.error is not None for each in samples),
        unparsed=sum(not each.parse_ok for each in samples),
        at_best=at_best,
        source=row.source,
        best=best,
        reason=row.reason,
    )


def _clusters(samples: Iterable[Prediction], column: str | None) -> Clusters | None:
    """Return what clusters cost a run's figures, by its primary scorer; other scorers are taken as alike."""
    if column is None:
        return None
    outcomes: dict[str, list[bool]] = {}
    for each in samples:
        outcomes.setdefault(cluster_of(each, column), []).append(each.correct is True)
    return design_effect(outcomes)


def _figure(row: ResultRow, clusters: Clusters | None, *, level: float) -> Interval:
    if row.successes is None or row.value is None:
        return Interval(value=row.value, low=None, high=None, n=row.n, level=level, method="none")
    if clusters is None:
        return wilson_interval(row.successes, row.n, level=level)
    return clustered_proportion(row.successes, row.n, clusters=clusters, level=level)


def _ranking(sheet: _Sheet, outcome: _Outcome) -> tuple[TiedSet, ...]:
    """Return runs in tied sets on the outcome's task, where its scorer is the one that predictions carry."""
    task = next((each for each in sheet.spec.evaluation.tasks if each.name == outcome.task), None)
    if task is None or (task.scorers and outcome.metric != task.scorers[0]) or "/" in outcome.metric:
        return ()
    samples = sheet.samples
    found = [samples[run.id, task.name] for run in sheet.plan.runs if (run.id, task.name) in samples]
    return rank_runs(found, cluster=sheet.spec.analysis.cluster, level=sheet.level)


def _comparisons(sheet: _Sheet) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Return each fine-tuned run against its base model, or each against the first, and why some have no pair."""
    wanted, tuned_runs = sheet.spec.analysis.comparisons, _tuned(sheet.plan)
    if wanted and _BASE not in wanted and tuned_runs:
        return (), ()
    samples, found, unpaired = sheet.samples, [], []
    for run in tuned_runs or sheet.plan.runs[1:]:
        for task in dict.fromkeys(cell.task.name for cell in run.cells):
            base = control_of(sheet.plan, run, task=task) if tuned_runs else sheet.plan.runs[0]
            tuned = samples.get((run.id, task))
            if base is None or not tuned or (base.id, task) not in samples:
                continue
            pair = compare_with_base(
                tuned, samples[base.id, task], cluster=sheet.spec.analysis.cluster, level=sheet.level
            )
            if pair is None:
                unpaired.append(f"`{run.id}` and `{base.id}` share no sample of {task}; they are not compared")
            else:
                found.append(pair)
    adjusted = holm_adjusted([pair.p_value for pair in found])
    pairs = zip(found, adjusted, strict=True)
    return tuple(pair.model_copy(update={"p_adjusted": p_value}) for pair, p_value in pairs), tuple(unpaired)


def control_of(plan: Plan, run: PlannedRun, *, task: str) -> PlannedRun | None:
    """Return the control run of the same model, evaluated on the same data."""
    for other in plan.runs:
        if other.type != "control" or other.model.name != run.model.name:
            continue
        cells = [cell.task for cell in other.cells if cell.task.name == task]
        if cells and (other.dataset == run.dataset or any(cell.dataset is not None for cell in cells)):
            return other
    return None


def _groups(sheet: _Sheet) -> tuple[GroupFigure, ...]:
    samples = sheet.samples
    chosen, cluster = sheet.spec.analysis.groups, sheet.spec.analysis.cluster
    if cluster is not None and not chosen:
        # Every column is broken down by where none is named; clusters are no breakdown.
        chosen = tuple({name for each in sheet.table.predictions for name in each.groups} - {cluster}) or ("",)
    by_run: dict[str, list[Prediction]] = {}
    for (name, _), found in samples.items():
        by_run.setdefault(name, []).extend(found)
    ordered = [each for run in sheet.plan.runs for each in by_run.get(run.id, ())]
    return group_figures(ordered, chosen, level=sheet.level)


def _incomplete(rows: Iterable[ResultRow]) -> tuple[Incomplete, ...]:
    """Return one entry per run and missing thing, however many metrics it would have had."""
    missing = {}
    for row in rows:
        if row.value is None:
            what = TRAINING if row.task == TRAINING else f"{row.task}, {_epoch(row.epoch)}"
            missing.setdefault((row.run, what, row.reason), None)
    return tuple(Incomplete(run=run, what=what, reason=reason) for run, what, reason in missing)


def _epoch(epoch: int | None) -> str:
    return "base model" if epoch is None else f"epoch {epoch}"


def _verdict(rows: Sequence[ResultRow], incomplete: Sequence[Incomplete]) -> Literal["complete", "partial", "empty"]:
    if not any(row.value is not None for row in rows):
        return "empty"
    return "partial" if incomplete else "complete"


def _damaged(table: ResultTable) -> tuple[str, ...]:
    return tuple(f"`{result.run}`: {result.reason}" for result in table.runs if result.reason)
