"""Training results: histories read from `metrics.jsonl`, and their rows."""

import hashlib
from collections.abc import Iterator
from statistics import fmean

from pydantic import ValidationError

from cruijff_kit.ports import RunStore, World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.result import ResultRow, RunResult
from cruijff_kit.schema.run import Done, Manifest, MetricPoint

__all__ = ["read_history", "training_rows"]

_TASK = "training"


def read_history(run: PlannedRun, *, world: World) -> RunResult:
    """Read one run's training history; whatever is odd about it becomes its reason.

    A torn last line is left out and told. A file that differs from the hash its
    job recorded, or holds a foreign line, is told and not used.
    """
    layout, store = RunLayout(run.id), world.store
    content, marker = store.read(layout.metrics), store.read(layout.done("train"))
    done = Done.found_in(marker)
    # Of the bytes that are used: a file that grows meanwhile would have another hash by now.
    found = RunResult(
        run=run.id,
        points=(),
        seconds=_seconds(layout, store),
        source=layout.metrics,
        source_sha256=None if content is None else hashlib.sha256(content).hexdigest(),
        finished=False,
    )
    if content is None:
        return found.model_copy(update={"reason": "training has left no `metrics.jsonl`"})
    recorded = done.below(layout.folder).get("metrics.jsonl") if done is not None else None
    if recorded is not None and recorded != found.source_sha256:
        return found.model_copy(update={"reason": "`metrics.jsonl` was changed after training ended; it is not used"})
    points, oddity = _points(content)
    if done is not None and done.exit_code == 0:
        return found.model_copy(update={"points": points, "reason": oddity, "finished": True})
    stage = f"training has not finished: {points[-1].step if points else 0} of {run.total_steps} steps are on record"
    if done is not None:
        stage = f"the training ended with exit code {done.exit_code}"
    elif marker is not None:
        stage = f"its `DONE` cannot be read: {Done.unread(marker)}"
    return found.model_copy(update={"points": points, "reason": "; ".join(filter(None, (stage, oddity)))})


def training_rows(run: PlannedRun, result: RunResult, *, plan: Plan) -> Iterator[ResultRow]:
    """Yield the losses of every planned epoch, missing ones with their reason."""
    history = result.points if result.finished else ()
    validated = plan.dataset(run.dataset).splits.get("validation", 0) > 0
    for epoch in range(_epochs(run)):
        points = [point for point in history if point.epoch == epoch]
        losses = [point.loss for point in points if point.loss is not None]
        tail = losses[-max(1, len(losses) // 10) :]
        yield _row(run, result, epoch=epoch, figure=("train_loss", fmean(tail) if tail else None, len(tail)))
        if validated:
            values = [point.val_loss for point in points if point.val_loss is not None]
            yield _row(
                run, result, epoch=epoch, figure=("val_loss", values[-1] if values else None, min(1, len(values)))
            )


def _epochs(run: PlannedRun) -> int:
    setting = run.settings.get("epochs")
    return int(setting.value) if setting is not None else max(run.epochs_saved, default=0) + 1


def _row(run: PlannedRun, result: RunResult, *, epoch: int, figure: tuple[str, float | None, int]) -> ResultRow:
    metric, value, n = figure
    last = result.points[-1] if result.points else None
    early = f"training ended early, at step {last.step}" if last is not None and last.epoch < epoch else ""
    missing = result.reason or early or f"`metrics.jsonl` holds no {metric} of epoch {epoch}"
    return ResultRow(
        run=run.id,
        type=run.type,
        model=run.model.name,
        factors=run.factors,
        seed=run.seed,
        task=_TASK,
        epoch=epoch,
        metric=metric,
        value=value,
        n=n,
        reason="" if value is not None else missing,
        source=result.source,
        source_sha256=result.source_sha256,
    )


def _points(content: bytes) -> tuple[tuple[MetricPoint, ...], str]:
    """Return the points of whole lines, and what was wrong with the file."""
    lines = content.split(b"\n")
    whole, torn = lines[:-1], lines[-1]
    points = []
    for number, line in enumerate(whole, start=1):
        try:
            points.append(MetricPoint.model_validate_json(line))
        except ValidationError:
            return (), f"line {number} of `metrics.jsonl` is not a metrics record; the file is not used"
    return tuple(points), "the last line of `metrics.jsonl` is torn and left out" if torn else ""


def _seconds(layout: RunLayout, store: RunStore) -> float | None:
    manifest = Manifest.found_in(store.read(layout.manifest))
    return (manifest.ended - manifest.started).total_seconds() if manifest and manifest.ended else None
