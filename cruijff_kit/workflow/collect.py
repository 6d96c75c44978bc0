"""Collect: gather losses, scores and predictions into one traced table."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.tables import predictions_parquet, results_parquet
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.result import ResultRow, ResultTable, RunResult
from cruijff_kit.workflow.audit import acts_of
from cruijff_kit.workflow.evaluation_results import evaluation_rows, read_cell
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier
from cruijff_kit.workflow.training_results import read_history, training_rows
from cruijff_kit.workflow.withheld import words_for_files

__all__ = [
    "Collected",
    "collect_plan",
    "collect_results",
    "gather_results",
    "hashes_of",
    "record_once",
    "result_files",
    "write_changed",
]


class Collected(NamedTuple):
    """Results, and the files they were written to."""

    table: ResultTable
    """What was collected."""
    hashes: dict[str, str]
    """SHA-256 of each file, by path."""


def collect_results(*, progress: Progress | None = None, world: World) -> ResultTable:
    """Read every run's results into `results.parquet` and `predictions/`, and return them.

    One row per planned run, task, epoch and metric; a missing value is a row with
    its reason. Collecting again what has not changed writes the same bytes and
    records nothing new.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
        SiteError: an extra that reads logs or writes tables is not installed.
    """
    plan, lock = recorded_plan(world=world)
    return collect_plan(plan, lock, progress=progress, world=world).table


def collect_plan(plan: Plan, lock: DesignLock, *, progress: Progress | None = None, world: World) -> Collected:
    """Do what `collect_results` does for a plan that was read, and say what was written."""
    table = gather_results(plan, progress=progress, world=world)
    files = result_files(table)
    hashes = hashes_of(files)
    write_changed(files, world=world)
    record_once(_event(table, lock, outputs=hashes, world=world), world=world)
    return Collected(table, hashes)


def gather_results(plan: Plan, *, progress: Progress | None = None, world: World) -> ResultTable:
    """Return the results of every planned run; never writes."""
    rows: list[ResultRow] = []
    histories: list[RunResult] = []
    predictions = []
    tier = plan_tier(plan, world)
    for number, run in enumerate(plan.runs):
        if progress is not None:
            progress(number, len(plan.runs), f"reading {run.id}")
        if run.type == "fine-tuned":
            history = read_history(run, world=world)
            histories.append(history)
            rows.extend(training_rows(run, history, plan=plan))
        for cell in run.cells:
            result = read_cell(run, cell, world=world)
            result = result._replace(reason=words_for_files(result.reason, tier=tier))
            rows.extend(evaluation_rows(run, cell, result=result))
            predictions.extend(result.predictions)
    if progress is not None:
        progress(len(plan.runs), len(plan.runs), "results read")
    return ResultTable(
        experiment=plan.experiment, rows=tuple(rows), runs=tuple(histories), predictions=tuple(predictions)
    )


def result_files(table: ResultTable) -> dict[str, bytes]:
    """Return the bytes of `results.parquet` and of one predictions file a run."""
    files = {ExperimentLayout.results: results_parquet(table)}
    for run, predictions in groupby(table.predictions, key=lambda each: each.run):
        files[ExperimentLayout.predictions_of(run)] = predictions_parquet(tuple(predictions))
    return files


def hashes_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each content."""
    return {path: sha256(content).hexdigest() for path, content in files.items()}


def write_changed(files: Mapping[str, bytes], *, world: World) -> None:
    """Write those files whose bytes on disk differ."""
    for path, content in files.items():
        if world.store.read(path) != content:
            world.store.write(path, content)


def record_once(event: AuditEvent, *, world: World) -> None:
    """Append an event, unless the last one of its action says the same."""
    same = acts_of(event.verb, event.action, world=world)
    if not same or _said(same[-1]) != _said(event):
        world.audit.append(event)


def _said(event: AuditEvent) -> tuple[object, ...]:
    return event.subject, event.reason, event.inputs, event.outputs


def _event(table: ResultTable, lock: DesignLock, *, outputs: dict[str, str], world: World) -> AuditEvent:
    missing = sum(row.value is None for row in table.rows)
    return AuditEvent(
        actor=world.actor,
        verb="collect",
        action=Action.COLLECT_RESULTS,
        subject=table.experiment,
        inputs={"plan_id": lock.plan_id, **_sources(table.rows)},
        outputs=outputs,
        result=Outcome.WARNING if missing else Outcome.SUCCESS,
        error=f"{missing} of {len(table.rows)} planned figures are missing" if missing else None,
    )


def _sources(rows: Iterable[ResultRow]) -> dict[str, str]:
    return {row.source: row.source_sha256 for row in rows if row.source and row.source_sha256}
