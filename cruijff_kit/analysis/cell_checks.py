"""Checks across all cells: what no single figure tells, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.analysis.claim_evidence import Evidence, from_seeds
from cruijff_kit.analysis.claim_sides import setting_of, stem_of
from cruijff_kit.analysis.findings import subjects_of
from cruijff_kit.analysis.independent import homogeneity, proportion_difference
from cruijff_kit.analysis.intervals import wilson_interval
from cruijff_kit.analysis.known_best import check_ceilings
from cruijff_kit.analysis.last_epoch import last_epochs, outcome_rows
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.design_kinds import LatinDesign, SearchDesign
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.report import CellCheck, CellFigure, Findings
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.spec import ExperimentSpec, Level
from cruijff_kit.scoring.figure_names import FIGURES, split_metric

__all__ = ["CEILING", "check_cells"]

CEILING = 0.95
"""Share of the best possible value from which on settings are too near to it to be told apart."""

_CHANCE_OF = {"auc": 0.5}


class _Ground(NamedTuple):
    """The design and its outcome at the last epoch."""

    spec: ExperimentSpec
    plan: Plan
    table: ResultTable
    findings: Findings
    rows: dict[str, ResultRow]
    """Rows of the outcome of the runs that are trained, or of all where none is."""


def check_cells(spec: ExperimentSpec, plan: Plan, *, table: ResultTable, findings: Findings) -> tuple[CellCheck, ...]:
    """Return what was looked for across all cells and whether it was found; each only where there is data.

    Ceiling: how accuracies stand against the best possible ones, where these are known.
    Saturation: every setting so near the best possible value that none can be told apart.
    Floor: no run is shown to do better than chance. Monotonicity: the outcome turns along
    an ordered factor. Equal cells: evaluations of one configuration that disagree. Seeds:
    replicates that differ by more than their samples explain.

    Args:
        spec: the design.
        plan: its sealed plan.
        table: what was collected.
        findings: the figures of the report.
    """
    ids, rows = {run.id for run in subjects_of(plan)}, outcome_rows(table, task=findings.task, metric=findings.metric)
    ground = _Ground(spec, plan, table, findings, {run: row for run, row in rows.items() if run in ids})
    last = last_epochs(table.rows)
    ended = [each for each in findings.findings if each.epoch == last.get((each.run, each.task))]
    ceilings = check_ceilings(ended, subjects=frozenset(ids))
    return (
        *ceilings,
        *_saturation(ground),
        *_floor(ground),
        *_monotonicity(ground),
        *_equal_cells(ground),
        *_seeds(ground),
    )


def _saturation(ground: _Ground) -> Iterator[CellCheck]:
    values, top = {run: row.value or 0.0 for run, row in ground.rows.items()}, _top(ground.findings)
    if len(values) < 2 or top is None:
        return
    bests = {run: min(top, best) for run, best in _bests(ground).items()}
    tops = sorted({round(bests.get(run, top), 9) for run in values})
    flagged = all(value >= CEILING * bests.get(run, top) for run, value in values.items())
    low, most = min(values.values()), f"{tops[0]:g}" if len(tops) == 1 else f"{tops[0]:g} to {tops[-1]:g} by run"
    what = f"{ground.findings.outcome} lies between {low:.3f} and {max(values.values()):.3f} of at most {most}"
    more = "nothing above it could tell them apart" if bests else "a harder task would tell them apart"
    words = f"every run is near the {'best possible value' if bests else 'ceiling'}: {what}; {more}"
    yield CellCheck(kind="saturation", flagged=flagged, words=words if flagged else what, runs=tuple(ground.rows))


def _bests(ground: _Ground) -> dict[str, float]:
    """Return the best possible outcome of each run where it is known."""
    return {
        each.run: each.best.accuracy
        for each in ground.findings.findings
        if each.best is not None and (each.task, each.metric) == (ground.findings.task, ground.findings.metric)
    }


def _top(findings: Findings) -> float | None:
    """Return the best possible value of an outcome that is better high; None where there is none."""
    figure = FIGURES.get(split_metric(findings.metric)[1] or "accuracy")
    if findings.task == "training" or figure is None or figure.better != "higher" or not figure.high:
        return None
    return figure.high


def _floor(ground: _Ground) -> Iterator[CellCheck]:
    chance, figures = _chance(ground), _figures(ground)
    if chance is None or not figures:
        return
    value, source = chance
    bests = _bests(ground)
    able = {
        run: each for run, each in figures.items() if run not in bests or _can_exceed(bests[run], each, chance=value)
    }
    above = [run for run, figure in figures.items() if figure.low is not None and figure.low > value]
    flagged = bool(able) and not above
    what = f"{len(above)} of {len(figures)} runs lie above {value:.3f}, {source}"
    if len(able) < len(figures):
        what = f"{what}; whoever reached the best possible accuracy would in {len(able)} of them"
    words = f"no run is shown to do better than {value:.3f}, {source}: nothing may have been learnt"
    yield CellCheck(
        kind="floor", flagged=flagged, words=words if flagged else what, runs=tuple(figures), figures={"chance": value},
    )  # fmt: skip


def _can_exceed(best: float, figure: Interval, *, chance: float) -> bool:
    """Return whether the best answerer's own interval would lie above chance: a coin teaches nobody more."""
    reached = wilson_interval(round(best * figure.n), figure.n, level=figure.level)
    return reached.low is not None and reached.low > chance


def _figures(ground: _Ground) -> dict[str, Interval]:
    """Return interval figures of the outcome by run."""
    wanted = {(run, row.epoch) for run, row in ground.rows.items()}
    return {
        each.run: each.figure
        for each in ground.findings.findings
        if (each.run, each.epoch) in wanted
        and (each.task, each.metric) == (ground.findings.task, ground.findings.metric)
    }


def _chance(ground: _Ground) -> tuple[float, str] | None:
    """Return what one gets who knows nothing: by the figure, the options, or the commonest answer."""
    figure = split_metric(ground.findings.metric)[1]
    if figure in _CHANCE_OF:
        return _CHANCE_OF[figure], "what guessing gives"
    if figure or ground.findings.task == "training":
        return None
    run = next(iter(ground.rows), "")
    targets = Counter(
        each.target for each in ground.table.predictions if (each.run, each.task) == (run, ground.findings.task)
    )
    if not targets:
        return None
    # The answer itself is not told: rows may be ones that are not to be shown.
    most = targets.most_common(1)[0][1]
    return most / targets.total(), "what the commonest answer gives every time" if most > 1 else "one lucky answer"


def _monotonicity(ground: _Ground) -> Iterator[CellCheck]:
    """Yield whether the outcome turns along each ordered factor, averaged over the others."""
    if isinstance(ground.spec.design, LatinDesign | SearchDesign):
        return
    for name, levels in _ordered(ground.findings.cells).items():
        means = _level_means(ground, name, levels=levels)
        if any(each is None for each in means):
            continue
        steps = [_step(ground, name, levels=pair) for pair in pairwise(levels)]
        values = [each for each in means if each is not None]
        told = ", ".join(f"{value:.3f} at {level:g}" for level, value in zip(levels, values, strict=True))
        figures = {f"{name}/{level:g}": value for level, value in zip(levels, values, strict=True)}
        turns = [
            before * after < 0 for before, after in pairwise(later - earlier for earlier, later in pairwise(values))
        ]
        clear = {sign for step in steps if (sign := _sign(step))}
        flagged = len(clear) > 1
        shape = "does not rise or fall throughout" if any(turns) else "rises or falls throughout"
        close = "beyond the noise between seeds" if flagged else "within the noise between seeds" if any(turns) else ""
        words = f"along {name} the outcome {shape}{f', {close}' if close else ''}: {told}"
        yield CellCheck(kind="monotonicity", flagged=flagged, words=words, runs=tuple(ground.rows), figures=figures)


def _ordered(cells: Sequence[CellFigure]) -> dict[str, list[float]]:
    """Return the levels of each factor of three numbers or more, ascending."""
    found: dict[str, dict[Level, None]] = {}
    for cell in cells:
        for name, level in cell.factors.items():
            found.setdefault(name, {})[level] = None
    return {
        name: sorted(float(level) for level in levels if isinstance(level, int | float))
        for name, levels in found.items()
        if len(levels) > 2 and all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)
    }


def _number(level: Level) -> float:
    return float(level) if isinstance(level, int | float) else float("nan")


def _matched(ground: _Ground, name: str, *, levels: Sequence[float]) -> list[list[CellFigure]]:
    """Return cells by what else they have, a list a combination that has all levels, in their order."""
    groups: dict[str, dict[float, CellFigure]] = {}
    for cell in ground.findings.cells:
        rest = repr([(other, level) for other, level in cell.factors.items() if other != name])
        if cell.figure.value is not None:
            groups.setdefault(rest, {})[_number(cell.factors[name])] = cell
    return [[group[level] for level in levels] for group in groups.values() if all(level in group for level in levels)]


def _level_means(ground: _Ground, name: str, *, levels: Sequence[float]) -> list[float | None]:
    matched = _matched(ground, name, levels=levels)
    if not matched:
        return [None for _ in levels]
    return [fmean(row[place].figure.value or 0.0 for row in matched) for place in range(len(levels))]


def _step(ground: _Ground, name: str, *, levels: tuple[float, float]) -> Evidence:
    """Return the difference from one level to the next over seeds."""
    matched = _matched(ground, name, levels=levels)
    signs: dict[tuple[str, ...], float] = {}
    for low, high in matched:
        signs[low.runs], signs[high.runs] = -1 / len(matched), 1 / len(matched)
    cells = [
        [ground.rows[run].value or 0.0 for run in cell.runs if run in ground.rows] for cell in ground.findings.cells
    ]
    weights = [signs.get(cell.runs, 0.0) for cell in ground.findings.cells]
    return from_seeds(cells, weights, level=1 - ground.spec.analysis.alpha)


def _sign(step: Evidence) -> int:
    if step.figure.low is None or step.figure.high is None:
        return 0
    return 1 if step.figure.low > 0 else -1 if step.figure.high < 0 else 0


def _equal_cells(ground: _Ground) -> Iterator[CellCheck]:
    """Yield whether evaluations that differ in nothing but their names agree."""
    alike: dict[str, list[ResultRow]] = {}
    runs = {run.id: run for run in ground.plan.runs}
    for row in ground.table.rows:
        if row.successes is not None and row.run in runs:
            key = _configuration(runs[row.run], row)
            alike.setdefault(key, []).append(row)
    groups = [rows for rows in alike.values() if len({(row.run, row.task) for row in rows}) > 1]
    if not groups:
        return
    apart = [
        pair
        for rows in groups
        for pair in combinations(rows, 2)
        if _disagree(*pair, level=1 - ground.spec.analysis.alpha)
    ]
    count = sum(len(rows) for rows in groups)
    names = "; ".join(f"`{a.run}` on {a.task} {a.value:.3f}, `{b.run}` on {b.task} {b.value:.3f}" for a, b in apart[:3])
    words = f"{count} evaluations have a twin of the same configuration; all agree within their intervals"
    said = f"{len(apart)} pairs of evaluations of the same configuration disagree: {names}" if apart else words
    yield CellCheck(
        kind="equal cells", flagged=bool(apart), words=said,
        runs=tuple(dict.fromkeys(row.run for rows in groups for row in rows)),
    )  # fmt: skip


def _configuration(run: PlannedRun, row: ResultRow) -> str:
    """Return all that an evaluation's result depends on, as text."""
    task = next((cell.task for cell in run.cells if cell.task.name == row.task), None)
    measured = task.model_dump_json(exclude={"name"}) if task is not None else row.task
    settings = sorted((name, repr(each.value)) for name, each in run.settings.items())
    seed = run.seed if run.type == "fine-tuned" else None
    return repr(
        (run.type, run.model.sha256, run.dataset, settings, seed, row.epoch, row.metric, measured, run.generation)
    )


def _disagree(one: ResultRow, other: ResultRow, *, level: float) -> bool:
    if not one.n or not other.n:
        return False
    gap = proportion_difference((one.successes or 0, one.n), (other.successes or 0, other.n), level=level)
    return gap.low is not None and gap.high is not None and not gap.low <= 0 <= gap.high


def _seeds(ground: _Ground) -> Iterator[CellCheck]:
    """Yield the settings whose seeds differ by more than their samples explain."""
    runs = {run.id: run for run in ground.plan.runs if run.type == "fine-tuned"}
    settings: dict[object, list[ResultRow]] = {}
    for run, row in ground.rows.items():
        if run in runs and row.successes is not None:
            settings.setdefault(setting_of(runs[run]), []).append(row)
    tested = [(rows, p) for rows in settings.values() if (p := _homogeneous(rows)) is not None]
    if not tested:
        return
    adjusted = holm_adjusted([p_value for _, p_value in tested])
    apart = [rows for (rows, _), p_value in zip(tested, adjusted, strict=True) if p_value < ground.spec.analysis.alpha]
    names = ", ".join(f"{_setting(runs[rows[0].run])} ({_range(rows)})" for rows in apart[:3])
    fine = f"in none of {len(tested)} settings do the seeds differ by more than their samples explain"
    words = f"in {len(apart)} of {len(tested)} settings the seeds differ by more than their samples explain: {names}"
    yield CellCheck(
        kind="seeds", flagged=bool(apart), words=words if apart else fine,
        runs=tuple(row.run for rows in apart for row in rows),
    )  # fmt: skip


def _homogeneous(rows: Iterable[ResultRow]) -> float | None:
    return homogeneity([(row.successes or 0, row.n) for row in rows if row.n])


def _range(rows: Sequence[ResultRow]) -> str:
    values = [row.value or 0.0 for row in rows]
    return f"{min(values):.3f} to {max(values):.3f}"


def _setting(run: PlannedRun) -> str:
    levels: Mapping[str, Level] = run.factors
    return ", ".join(f"{name} {level}" for name, level in levels.items()) or stem_of(run)
