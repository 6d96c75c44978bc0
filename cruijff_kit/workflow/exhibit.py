"""Exhibit: a made-up experiment for a demo of the pages; its figures are computed as those of any other."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import exp
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.errors import SpecError
from cruijff_kit.planning.exhibit import COSTS, OPTIONS, exhibit_design, exhibit_plan
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import join_summary
from cruijff_kit.schema.audit import Action, Anchor, AuditEvent
from cruijff_kit.schema.calibration import CalibrationSettings
from cruijff_kit.schema.imported import Foreign, ForeignLog
from cruijff_kit.schema.job import Attempt, Intent, JobState, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Cell, DesignLock, Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from cruijff_kit.workflow.calibrate import calibrate_run
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.seal import plan_text, seal

__all__ = ["make_exhibit"]

_SAMPLES = 400
_NOTHING = "0" * 64
_EVERY = 20
"""Steps between two looks at the calibration."""


def make_exhibit(*, world: World) -> None:
    """Write a made-up experiment into an empty directory: designed, trained, evaluated, calibrated and reported.

    One of its runs is still under way. No model is there and no row of data.

    Raises:
        SpecError: there is an experiment already.
        SiteError: the extra that computes and draws reports is not installed.
    """
    if world.store.read(ExperimentLayout.summary) is not None:
        raise SpecError("there is an experiment here already", hint="name an empty directory")
    spec = exhibit_design()
    plan = exhibit_plan(design_hash(spec), samples=_SAMPLES)
    world.store.write(ExperimentLayout.summary, join_summary(spec, "", source=""))
    text = plan_text(plan)
    world.store.write(ExperimentLayout.plan, text)
    made = world._replace(evaluations=_MadeLogs(world))
    _seal(plan, made)
    now = world.clock.now()
    for number, run in enumerate(plan.runs):
        ended = now - timedelta(hours=len(plan.runs) - number)
        _train(run, number, ended=ended, over=run is not plan.runs[-1], world=made)
    for run in plan.runs[:-1]:
        _evaluate(run, world=made)
    collect_results(world=made)
    first, second, *_ = plan.runs
    calibrate_run(first.id, settings=CalibrationSettings(alpha=0.1), world=made)
    risk = CalibrationSettings(method="ltt", alpha=0.15, delta=0.1, costs=COSTS)
    calibrate_run(second.id, settings=risk, world=made)
    write_report(reason="made up for a demo", world=made)


class _MadeLogs:
    """Reads logs that were made up: the record itself, as JSON."""

    def __init__(self, world: World) -> None:
        self._store = world.store

    def look(self, path: Path) -> ForeignLog:
        return ForeignLog(sha256=self.read(path).sha256, status="success")

    def read(self, path: Path, *, about: Foreign | None = None) -> EvalLogRecord:
        del about
        inside = path.relative_to(self._store.root).as_posix()
        record = EvalLogRecord.model_validate_json(self._store.read(inside) or b"")
        return record.model_copy(update={"path": str(path), "sha256": self._store.digest(inside) or _NOTHING})


def _seal(plan: Plan, world: World) -> None:
    event = AuditEvent(
        actor=world.actor, verb="scaffold", action=Action.CREATE_RUN_DIR, subject=plan.experiment,
        reason="made up for a demo", outputs={"runs": str(len(plan.runs))},
    )  # fmt: skip
    head: Anchor = world.audit.append(event)
    lock = DesignLock(
        plan_id=_NOTHING,
        spec_sha256=plan.spec_sha256,
        runs=tuple(run.id for run in plan.runs),
        files={ExperimentLayout.plan: world.store.digest(ExperimentLayout.plan) or _NOTHING},
        inputs={},
        anchor_seq=head.seq,
        anchor_sha256=head.sha256,
    )
    world.store.write(ExperimentLayout.lock, seal(lock))


def _train(run: PlannedRun, number: int, *, ended: datetime, over: bool, world: World) -> None:
    """Write what a training leaves, or has left so far."""
    layout, job, began = RunLayout(run.id), f"demo-{number}", ended - timedelta(minutes=31)
    steps = run.total_steps if over else 150
    lines = "".join(json.dumps(each) + "\n" for each in _course(run, steps))
    world.store.write(layout.metrics, lines)
    intent = Intent(
        run_id=run.id, step=Step.TRAIN, number=1, tag=f"{job}-train", why="first attempt", recorded=began
    )  # fmt: skip
    attempt = Attempt(intent=intent, job_id=job, scheduler="demo", submitted=began)
    if over:
        attempt = attempt.model_copy(update={"verdict": JobState.SUCCEEDED, "started": began, "ended": ended})
    own = JobStatus(
        state="done" if over else "running", step=steps, total=run.total_steps, job_id=job, started=began, updated=ended
    )
    files = {
        layout.intent("train", 1): intent.model_dump_json(indent=1),
        layout.job("train", 1): attempt.model_dump_json(indent=1),
        layout.status("train"): own.model_dump_json(indent=1),
        layout.job_output(job): "this job was made up for a demo of the pages\n",
    }
    if over:
        manifest = Manifest(
            run_id=run.id, git_sha=None, git_patch_sha256=None, packages={}, inputs={}, seeds={"all": run.seed},
            host="nowhere", device="none", threads=1, job_ids=(job,), started=began, ended=ended,
        )  # fmt: skip
        files[layout.manifest] = manifest.model_dump_json(indent=1)
    for path, text in files.items():
        world.store.write(path, text)
    if over:
        artefacts = {layout.metrics: world.store.digest(layout.metrics) or _NOTHING}
        done = Done(exit_code=0, artefacts=artefacts, finished=ended)
        world.store.write(layout.done("train"), done.model_dump_json(indent=1))


def _course(run: PlannedRun, steps: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of a training whose calibration suffers from a high learning rate."""
    import numpy as np

    chance = np.random.default_rng([run.seed, run.total_steps, int(1e6 * _rate(run))])
    fast = _rate(run) > 2e-4
    for step in range(1, steps + 1):
        done = step / run.total_steps
        loss = 0.35 + 1.1 * exp(-(7 if fast else 4) * done) + float(chance.normal(0, 0.03))
        yield {
            "step": step,
            "epoch": 0,
            "loss": round(max(loss, 0.05), 4),
            "lr": _rate(run) * (1 - 0.9 * done) * min(1.0, step / 12),
            "tokens_per_second": round(float(chance.normal(21_000, 500)), 1),
            "peak_memory_bytes": int(2.1e10 + 2e9 * min(1.0, step / 20)),
            **(_look(done, loss, fast=fast, spread=float(chance.normal(0, 0.006))) if step % _EVERY == 0 else {}),
        }


def _rate(run: PlannedRun) -> float:
    return float(str(run.factors["lr"]))


def _look(done: float, loss: float, *, fast: bool, spread: float) -> dict[str, Any]:
    """Return what a look at the validation rows would have found."""
    ece = (0.02 + 0.11 * done if fast else 0.09 * exp(-3 * done) + 0.012) + spread
    figures = {
        "ece_debiased": (max(ece, 0.001), 0.02),
        "ece": (ece + 0.025, 0.022),
        "mce": (2.2 * ece + 0.06, 0.05),
        "brier": (0.62 - 0.3 * done, 0.03),
        "mean_confidence": (0.45 + 0.4 * done, 0.02),
        "abstention_rate": (0.62 * exp(-2.4 * done), 0.03),
        "coverage": (0.905 - (0.02 if fast else 0) + spread, 0.024),
        "set_size": (2.9 - 1.1 * done, 0.1),
        "expected_risk": (0.29 - 0.17 * done, 0.02),
    }
    limits = {
        f"{name}_{end}": round(max(0.0, value + sign * half), 4)
        for name, (value, half) in figures.items()
        for end, sign in (("low", -1), ("high", 1))
    }
    points = {name: round(value, 4) for name, (value, _) in figures.items()}
    return {"val_loss": round(loss * (1.25 if fast else 1.05), 4), "custom": {**points, **limits}}


class _Scored(NamedTuple):
    """One sample that was never asked."""

    label: int
    logprobs: tuple[float, ...]


def _evaluate(run: PlannedRun, *, world: World) -> None:
    """Write the logs that evaluations of a run would have left."""
    layout, now = RunLayout(run.id), world.clock.now()
    for cell in run.cells:
        records = tuple(_records(run, cell))
        name = f"{cell.task.name}.eval"
        log = EvalLogRecord(
            path=name,
            sha256=_NOTHING,
            status="success",
            samples=len(records),
            predictions=records,
            verdicts={cell.task.scorers[0]: tuple(each.correct for each in records)},
        )
        path = f"{layout.cell_logs(cell.name)}/{name}"
        world.store.write(path, log.model_dump_json())
        done = Done(
            exit_code=0, artefacts={path: world.store.digest(path) or _NOTHING}, samples=len(records), finished=now
        )
        world.store.write(layout.cell_done(cell.name), done.model_dump_json(indent=1))
    done = Done(exit_code=0, artefacts={}, finished=now)
    world.store.write(layout.done("eval"), done.model_dump_json(indent=1))


def _records(run: PlannedRun, cell: Cell) -> Iterator[Prediction]:
    for number, each in enumerate(_scored(run, cell)):
        best = max(range(len(OPTIONS)), key=lambda option: each.logprobs[option])
        yield Prediction(
            sample_id=f"{cell.task.split}-{number}",
            run=run.id,
            epoch=cell.epoch,
            task=cell.task.name,
            split=cell.task.split,
            groups={"channel": "letter" if number % 3 else "call"},
            target=OPTIONS[each.label],
            options=OPTIONS,
            option_logprobs=each.logprobs,
            option_mass=0.98,
            prediction=OPTIONS[best],
            correct=best == each.label,
            confidence=exp(each.logprobs[best]),
            completion=OPTIONS[best],
            prompt_token_sha256=content_hash([cell.task.split, number]),
            checkpoint_sha256=_NOTHING,
        )


def _scored(run: PlannedRun, cell: Cell) -> Iterator[_Scored]:
    """Yield labels drawn from known probabilities, and what a model that is too sure would have said of them."""
    import numpy as np

    chance = np.random.default_rng([run.seed + 2, cell.task.split == "test"])
    scores = chance.normal(0, 3.2, (_SAMPLES, len(OPTIONS)))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = [int(chance.choice(len(OPTIONS), p=row)) for row in shares]
    said = scores * (1.9 if _rate(run) > 2e-4 else 1.1)
    logs = said - np.log(np.exp(said).sum(axis=1, keepdims=True))
    for label, row in zip(labels, logs, strict=True):
        yield _Scored(label, tuple(float(value) for value in row))
