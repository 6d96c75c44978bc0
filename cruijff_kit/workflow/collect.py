"""Collect: gather losses, scores and predictions into one traced table."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import groupby

from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.tables import predictions_parquet, results_parquet
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.result import ResultRow, ResultTable, RunResult
from cruijff_kit.workflow.evaluation_results import evaluation_rows, read_cell
from cruijff_kit.workflow.scaffold import sealed_plan
from cruijff_kit.workflow.training_results import read_history, training_rows

__all__ = ["collect_results", "gather_results", "record_once", "result_files"]


def collect_results(*, progress: Progress | None = None, world: World) -> ResultTable:
    """Read every run's results into `results.parquet` and `predictions/`, and return them.

    One row per planned run, task, epoch and metric; a missing value is a row with
    its reason. Collecting again what has not changed writes the same bytes and
    records nothing new.

    Raises:
        PlanError: the experiment is not scaffolded, or was changed since.
        SiteError: an extra that reads logs or writes tables is not installed.
    """
    plan, lock = sealed_plan(world=world)
    table = gather_results(plan, progress=progress, world=world)
    for path, content in result_files(table).items():
        if world.store.read(path) != content:
            world.store.write(path, content)
    record_once(_event(table, lock, world=world), world=world)
    return table


def gather_results(plan: Plan, *, progress: Progress | None = None, world: World) -> ResultTable:
    """Return the results of every planned run; never writes."""
    rows: list[ResultRow] = []
    histories: list[RunResult] = []
    predictions = []
    for number, run in enumerate(plan.runs):
        if progress is not None:
            progress(number, len(plan.runs), f"reading {run.id}")
        if run.type == "fine-tuned":
            history = read_history(run, world=world)
            histories.append(history)
            rows.extend(training_rows(run, history, plan))
        for cell in run.cells:
            result = read_cell(run, cell, world=world)
            rows.extend(evaluation_rows(run, cell, result))
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
        files[f"{ExperimentLayout.predictions}/{run}.parquet"] = predictions_parquet(tuple(predictions))
    return files


def record_once(event: AuditEvent, *, world: World) -> None:
    """Append an event, unless the last one of its action says the same."""
    last = None
    for record in world.audit.records():
        if record.action is event.action and record.subject == event.subject:
            last = record
    if last is None or (last.inputs, last.outputs) != (event.inputs, event.outputs):
        world.audit.append(event)


def _event(table: ResultTable, lock: DesignLock, *, world: World) -> AuditEvent:
    missing = sum(row.value is None for row in table.rows)
    return AuditEvent(
        actor=world.actor,
        verb="collect",
        action=Action.COLLECT_RESULTS,
        subject=table.experiment,
        inputs={"plan_id": lock.plan_id, **_sources(table.rows)},
        outputs=_hashes(result_files(table)),
        result=Outcome.WARNING if missing else Outcome.SUCCESS,
        error=f"{missing} of {len(table.rows)} planned figures are missing" if missing else None,
    )


def _sources(rows: Iterable[ResultRow]) -> dict[str, str]:
    return {row.source: row.source_sha256 for row in rows if row.source and row.source_sha256}


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: sha256(content).hexdigest() for path, content in files.items()}
