"""Earlier runs of the project: what speed they were measured to reach."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.planning.throughput import Measured, Pace, likeness, pace, settled
from cruijff_kit.ports import World
from cruijff_kit.schema.compute import ComputeReport, Speed
from cruijff_kit.schema.layout import ARCHIVE, ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.run import Manifest, MetricPoint

__all__ = ["PriorRuns", "measured_run", "search_prior_runs"]

# Newest first; more tell nothing new and take time.
_MOST_RUNS = 100


class PriorRuns(NamedTuple):
    """What a search for earlier runs found."""

    measured: tuple[Measured, ...]
    """Finished runs of the models asked about, newest experiment first."""
    experiments: int
    """Scaffolded experiments looked at."""


def search_prior_runs(models: Collection[str], *, world: World) -> PriorRuns:
    """Return finished training runs of these models, in every experiment beside this one and in it.

    Experiments are the folders of the project, and of its archive, that hold a `plan.json`. A run counts once
    its manifest is there: it trained to its end. Nothing is written.

    Args:
        models: content hashes of base models.
        world: the experiment; its folder lies in the project's.
    """
    project, plan = world.store.root.parent, ExperimentLayout.plan
    found = [*project.glob(f"*/{plan}"), *project.glob(f"{ARCHIVE}/*/{plan}")]
    places = sorted(found, key=_changed, reverse=True)
    measured: list[Measured] = []
    for place in places:
        for found in _of_experiment(place, models):
            measured.append(found)
            if len(measured) == _MOST_RUNS:
                return PriorRuns(tuple(measured), len(places))
    return PriorRuns(tuple(measured), len(places))


def _of_experiment(place: Path, models: Collection[str]) -> Iterator[Measured]:
    try:
        plan = Plan.model_validate_json(place.read_bytes())
    except (OSError, ValidationError):
        # A plan of a newer or damaged form tells nothing here; its own verbs say so.
        return
    kept = _kept(place.parent)
    for run in plan.runs:
        if run.type == "fine-tuned" and run.model.sha256 in models:
            found = measured_run(run, plan, root=place.parent) or _from_compute(run, plan, kept=kept)
            if found is not None:
                yield found


def _kept(root: Path) -> dict[str, Speed]:
    """Return the speeds that `compute.json` keeps, for runs whose own files are gone."""
    try:
        report = ComputeReport.model_validate_json((root / ExperimentLayout.compute).read_bytes())
    except (OSError, ValidationError):
        return {}
    return {job.run_id: job.speed for job in report.jobs if job.speed is not None}


def _from_compute(run: PlannedRun, plan: Plan, *, kept: dict[str, Speed]) -> Measured | None:
    speed = kept.get(run.id)
    if speed is None or "batch_size" not in run.settings:
        return None
    return Measured(
        run_id=run.id,
        model_sha256=speed.model_sha256,
        pace=Pace(speed.middle, speed.slow, speed.fast),
        like=likeness(run, gpus=plan.resources.all_gpus if speed.on_gpu else 0),
        batch_size=run.settings["batch_size"].value,
        beside=speed.beside,
        tokens=speed.tokens,
    )


def measured_run(run: PlannedRun, plan: Plan, *, root: Path) -> Measured | None:
    """Return what a run of the experiment in a folder measured; None where it has not finished, or told nothing."""
    layout = RunLayout(run.id)
    try:
        manifest = Manifest.found_in((root / layout.manifest).read_bytes())
        points = [MetricPoint.model_validate(json.loads(line)) for line in _lines(root / layout.metrics)]
    except (OSError, ValueError):
        return None
    speeds = [point.tokens_per_second for point in points if point.tokens_per_second]
    found = pace(speeds)
    sha256 = manifest.inputs.get("model", run.model.sha256) if manifest is not None else None
    if manifest is None or found is None or sha256 is None or "batch_size" not in run.settings:
        return None
    return Measured(
        run_id=run.id,
        model_sha256=sha256,
        pace=found,
        like=likeness(run, gpus=_gpus(plan, manifest)),
        batch_size=run.settings["batch_size"].value,
        beside=_beside(manifest, points),
        tokens=max((point.tokens or 0 for point in points), default=0),
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _gpus(plan: Plan, manifest: Manifest) -> int:
    """Return the GPUs that a run really had: a job that asked for one may have been run by hand without."""
    return plan.resources.all_gpus if manifest.device.startswith(("cuda", "mps")) else 0


def _beside(manifest: Manifest, points: list[MetricPoint]) -> float:
    """Return the seconds of a job that were no optimiser steps: loading, validating, saving."""
    tokens = max((point.tokens or 0 for point in points), default=0)
    speeds = settled([point.tokens_per_second for point in points if point.tokens_per_second])
    if manifest.ended is None or not speeds:
        return 0.0
    return max(0.0, (manifest.ended - manifest.started).total_seconds() - tokens / median(speeds))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
