"""Gathers what speaks for and against one claim: which runs, which figures, which samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.analysis.breakdown import paired_changes
from cruijff_kit.analysis.claim_evidence import Evidence, from_changes, from_counts, from_seeds
from cruijff_kit.analysis.claim_sides import Setting, contrast_weights, runs_of, setting_of
from cruijff_kit.analysis.clustered import Clusters, cluster_of, design_effect
from cruijff_kit.analysis.findings import TRAINING, control_of, subjects_of
from cruijff_kit.analysis.last_epoch import outcome_rows
from cruijff_kit.schema.claims import BASE, LOSSES, Claim, Side
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Findings
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Case", "Samples", "gather_case"]


Samples = Mapping[tuple[str, str], Sequence[Prediction]]
"""Samples by run and task."""


class Case(NamedTuple):
    """One claim and the evidence on it."""

    claim: Claim
    """The claim."""
    task: str
    """Task looked at."""
    metric: str
    """Figure looked at."""
    evidence: tuple[Evidence, ...] = ()
    """One piece over seeds, or one a run, each of which must bear the claim out."""
    runs: tuple[str, ...] = ()
    """Runs it rests on; beside several pieces of evidence, the run of each."""
    lacking: bool = False
    """Whether a piece is missing without which the claim cannot be confirmed."""
    reason: str = ""
    """What is missing, in words."""


class _Ground(NamedTuple):
    """The design and what came of it, as one claim sees them."""

    spec: ExperimentSpec
    plan: Plan
    samples: Samples
    rows: dict[str, ResultRow]
    level: float
    case: Case


def gather_case(
    claim: Claim,
    spec: ExperimentSpec,
    *,
    plan: Plan,
    table: ResultTable,
    findings: Findings,
    samples: Samples,
) -> Case:
    """Return the evidence on one claim.

    Trained settings are compared over their seeds. With base models, and where nothing is
    trained, answers to the same samples are paired; a bound on right answers is held
    against the samples of each run, a bound on any other figure against the mean over seeds.

    Args:
        claim: the claim.
        spec: the design.
        plan: its sealed plan.
        table: what was collected.
        findings: the figures of the report, for the outcome.
        samples: those of each run and task at its last epoch.
    """
    metric = claim.metric or findings.metric
    task = TRAINING if metric in LOSSES else claim.task or spec.analysis.primary_task or findings.task
    case = Case(claim, task, metric)
    if not claim.testable:
        return case
    rows = outcome_rows(table, task=task, metric=metric)
    return _weighed(_Ground(spec, plan, samples, rows, 1 - spec.analysis.alpha, case))


def _weighed(ground: _Ground) -> Case:
    claim = ground.case.claim
    if claim.compare is None:
        chosen = subjects_of(ground.plan) if claim.of is None else _side(claim.of, ground.plan)
        known = [ground.rows[run.id] for run in chosen if run.id in ground.rows]
        counted = all(row.successes is not None for row in known)
        return _each_bounded(ground, chosen) if counted else _over_seeds(ground, chosen)
    if BASE in claim.compare or not any(run.type == "fine-tuned" for run in ground.plan.runs):
        return _each_paired(ground)
    wanted = contrast_weights(claim, subjects_of(ground.plan))
    if not wanted:
        return ground.case._replace(reason="no two settings differ in what it names alone")
    return _over_seeds(ground, [run for run in subjects_of(ground.plan) if setting_of(run) in wanted])


def _over_seeds(ground: _Ground, chosen: Sequence[PlannedRun]) -> Case:
    """Return evidence over the seeds of settings; the spread is that of all settings."""
    claim, known = ground.case.claim, [run for run in subjects_of(ground.plan) if run.id in ground.rows]
    runs = [run for run in chosen if run.id in ground.rows]
    weights = contrast_weights(claim, known) if claim.compare is not None else _mean_of(runs)
    case = ground.case._replace(runs=tuple(run.id for run in runs), reason=_missing(chosen, runs))
    if not weights:
        return case._replace(reason="a side of it has no result")
    cells: dict[Setting, list[float]] = {}
    for run in known:
        cells.setdefault(setting_of(run), []).append(ground.rows[run.id].value or 0.0)
    each = from_seeds(list(cells.values()), [weights.get(key, 0.0) for key in cells], level=ground.level)
    return case._replace(evidence=(each,), reason=each.reason or case.reason)


def _each_bounded(ground: _Ground, chosen: Sequence[PlannedRun]) -> Case:
    """Return the share of right answers of each run, over its samples."""
    known = [run for run in chosen if run.id in ground.rows]
    pieces = [_counted(ground, run) for run in known]
    case = ground.case._replace(lacking=len(known) < len(chosen), reason=_missing(chosen, known))
    if not known:
        return case._replace(reason="none of its runs has a result")
    return _with(case, pieces, runs=[run.id for run in known])


def _counted(ground: _Ground, run: PlannedRun) -> Evidence:
    row, column = ground.rows[run.id], ground.spec.analysis.cluster
    clusters: Clusters | None = None
    if column is not None:
        outcomes: dict[str, list[bool]] = {}
        for each in ground.samples.get((run.id, ground.case.task), ()):
            outcomes.setdefault(cluster_of(each, column), []).append(each.correct is True)
        clusters = design_effect(outcomes)
    return from_counts(row.successes or 0, row.n, clusters=clusters, level=ground.level)


def _each_paired(ground: _Ground) -> Case:
    """Return the paired difference of each run of the first side with each of the second."""
    cluster, task = ground.spec.analysis.cluster, ground.case.task
    pairs = list(_pairs(ground))
    pieces, runs, answered = [], [], False
    for first, second in pairs:
        left, right = ground.samples.get((first.id, task)), ground.samples.get((second.id, task)) if second else None
        answered = answered or bool(left and right)
        changes = paired_changes(left, right, cluster=cluster) if left and right else {}
        if changes:
            margin = bool(ground.case.claim.margin)
            pieces.append(from_changes(changes, clustered=cluster is not None, margin=margin, level=ground.level))
            runs.append(first.id)
    lacking = len(pieces) < len(pairs)
    reason = f"{len(pairs) - len(pieces)} of {len(pairs)} pairs without a shared sample" if lacking else ""
    case = ground.case._replace(lacking=lacking, reason=reason)
    if pieces:
        return _with(case, pieces, runs=runs)
    return case._replace(reason="its sides share no sample" if answered else "a side of it has no result")


def _pairs(ground: _Ground) -> Iterator[tuple[PlannedRun, PlannedRun | None]]:
    first, second = ground.case.claim.compare or ({}, {})
    for run in _side(first, ground.plan):
        if second == BASE:
            yield run, control_of(ground.plan, run, task=ground.case.task)
        else:
            yield from ((run, other) for other in _side(second, ground.plan))


def _with(case: Case, pieces: Sequence[Evidence], *, runs: Sequence[str]) -> Case:
    reason = next((each.reason for each in pieces if each.reason), case.reason)
    return case._replace(evidence=tuple(pieces), runs=tuple(runs), reason=reason)


def _side(side: Side, plan: Plan) -> list[PlannedRun]:
    """Return the runs of a side; a listed run may be one that is not trained."""
    return runs_of(side, plan.runs if isinstance(side, str) else subjects_of(plan))


def _mean_of(runs: Sequence[PlannedRun]) -> dict[Setting, float]:
    settings = dict.fromkeys(setting_of(run) for run in runs)
    return {setting: 1 / len(settings) for setting in settings}


def _missing(chosen: Sequence[PlannedRun], known: Sequence[PlannedRun]) -> str:
    lost = len(chosen) - len(known)
    return f"{lost} of {len(chosen)} runs without a result" if lost else ""
