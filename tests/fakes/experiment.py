"""A finished experiment on disk, made without training: the files that jobs would leave."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import exp
from pathlib import Path
from random import Random
from typing import NamedTuple

from cruijff_kit.schema.audit import Anchor
from cruijff_kit.schema.data import DatasetFacts, DataSpec, TrainingData
from cruijff_kit.schema.evaluation import EvalTask, Evaluation
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Cell, DesignLock, Plan, PlannedRun, Resolved
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import Done, Manifest, MetricPoint
from cruijff_kit.schema.spec import Analysis, ExperimentSpec, Level, ModelRef, Tools
from cruijff_kit.workflow.plan import design_hash
from tests.fakes.eval_logs import write_log

__all__ = [
    "SMALL",
    "Size",
    "adapter_files",
    "answers",
    "design_of",
    "history",
    "make_experiment",
    "plan_of",
    "seal",
    "write_cell",
    "write_training",
]

STARTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NOWHERE = Anchor(seq=0, sha256="0" * 64)
MODEL = ModelRef(name="tiny", path="/models/tiny", sha256="ab" * 32)
TASKS = (
    EvalTask(name="capitalization", task="capitalization", split="test", scorers=("match", "includes")),
    EvalTask(name="other_lengths", task="capitalization", split="other_lengths", scorers=("match", "includes")),
)


class Size(NamedTuple):
    """How large the experiment is."""

    words: int = 40
    """Samples of the primary task."""
    others: int = 8
    """Samples of each other word length."""
    steps: int = 40
    """Optimiser steps a run."""
    seeds: tuple[int, ...] = (1, 2)
    """Replicates."""
    evaluated: bool = True
    """Whether the design has evaluations."""


SMALL = Size()
"""Enough for every figure, and quick to write."""


def make_experiment(root: Path, size: Size = SMALL) -> Plan:
    """Write a complete 2 x 2 experiment with its base model as control; return its plan."""
    spec, plan = design_of(size), plan_of(size)
    seal(root, spec, plan=plan)
    for run in plan.runs:
        if run.type == "fine-tuned":
            write_training(root, run)
        for cell in run.cells:
            write_cell(root, run, cell=cell, size=size)
        if run.cells:
            _write(root, RunLayout(run.id).done("eval"), text=_done({}).model_dump_json())
    return plan


def seal(root: Path, spec: ExperimentSpec, *, plan: Plan, anchor: Anchor = NOWHERE) -> None:
    """Write the design, the plan and the seal."""
    front = json.dumps(spec.model_dump(mode="json"), indent=1)
    _write(root, ExperimentLayout.summary, text=f"---\n{front}\n---\n\n# {spec.name}\n")
    content = _write(root, ExperimentLayout.plan, text=plan.model_dump_json())
    lock = DesignLock(
        plan_id="cd" * 32,
        spec_sha256=design_hash(spec),
        runs=tuple(run.id for run in plan.runs),
        files={ExperimentLayout.plan: content},
        inputs={},
        anchor_seq=anchor.seq,
        anchor_sha256=anchor.sha256,
    )
    _write(root, ExperimentLayout.lock, text=lock.model_dump_json())


def write_training(root: Path, run: PlannedRun, *, upto: int | None = None) -> None:
    """Write a run's training record; with `upto` one that is still under way."""
    layout = RunLayout(run.id)
    points = list(history(run))[: upto or run.total_steps]
    metrics = _write(
        root, layout.metrics, text="".join(point.model_dump_json(exclude_none=True) + "\n" for point in points)
    )
    if upto is not None:
        return
    manifest = Manifest(
        run_id=run.id, git_sha=None, git_patch_sha256=None, packages={}, inputs={}, seeds={"all": run.seed},
        host="node1", device="cpu", threads=1, job_ids=("17",), started=STARTED,
        ended=STARTED + timedelta(seconds=21.5 + run.seed),
    )  # fmt: skip
    _write(root, layout.manifest, text=manifest.model_dump_json())
    kept = {
        f"outputs/{layout.epoch(epoch)}/{name}": text for epoch in run.epochs_saved for name, text in adapter_files(run)
    }
    made = {path: _write(root, path, text=text) for path, text in kept.items()}
    _write(root, layout.done("train"), text=_done({layout.metrics: metrics, **made}).model_dump_json())


def adapter_files(run: PlannedRun) -> tuple[tuple[str, str], ...]:
    """Return name and content of the files of a run's adapter, its weights first; no library reads them."""
    return ("adapter_model.safetensors", f"weights of {run.id}"), ("adapter_config.json", '{"peft_type":"LORA"}')


def write_cell(root: Path, run: PlannedRun, *, cell: Cell, size: Size = SMALL) -> Path:
    """Write one evaluation's log and its `DONE`; return the log."""
    layout = RunLayout(run.id)
    name = f"2026-11-20T09-05-00+00-00_{cell.task.name}_x{run.seed}.eval"
    path = root / layout.cell_logs(cell.name) / name
    predictions = list(answers(run, cell, size=size))
    write_log(path, predictions, scorers=cell.task.scorers)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    done = _done({str(path): digest}, samples=len(predictions))
    _write(root, layout.cell_done(cell.name), text=done.model_dump_json())
    return path


def design_of(size: Size) -> ExperimentSpec:
    """Return a 2 x 2 design over rank and learning rate."""
    return ExperimentSpec(
        name="capitalize_2026-11-20",
        question="Do a higher LoRA rank and a higher learning rate teach a small model to capitalise words?",
        hypothesis="Both help, and the rank helps more at the higher learning rate.",
        created="2026-11-20",
        models=(MODEL,),
        tools=Tools(evaluation="inspect-ai" if size.evaluated else "none"),
        data=DataSpec(training=TrainingData(generator="words"), tier="green"),
        factors={"lora_rank": (4, 16), "lr": (3e-4, 1e-3)},
        evaluation=Evaluation(tasks=TASKS if size.evaluated else ()),
        analysis=Analysis(groups=("word_length",)),
    )


def plan_of(size: Size) -> Plan:
    """Return the plan of that design, the base model as control last."""
    dataset = DatasetFacts(
        key="words-1f2e3d4c", path="data/words-1f2e3d4c.json", sha256="ef" * 32, bytes=48_213,
        splits={"train": 1_000, "validation": 100, "test": size.words, "other_lengths": 7 * size.others},
        generator="words", generator_version="1", arguments={"length": 5, "seed": 14},
    )  # fmt: skip
    tuned = [
        _run({"lora_rank": rank, "lr": lr}, seed, size=size)
        for rank in (4, 16)
        for lr in (3e-4, 1e-3)
        for seed in size.seeds
    ]
    control = [_run({}, 14, size=size)] if size.evaluated else []
    spec = design_of(size)
    return Plan(
        experiment=spec.name, spec_sha256=design_hash(spec), datasets=(dataset,), runs=(*tuned, *control), tier="green"
    )


def _run(factors: Mapping[str, Level], seed: int, *, size: Size) -> PlannedRun:
    slug = f"rank{factors['lora_rank']}_lr{factors['lr']:.0e}_seed{seed}" if factors else "base"
    epoch = 0 if factors else None
    return PlannedRun(
        id=f"{slug}-{hashlib.sha256(slug.encode()).hexdigest()[:8]}",
        type="fine-tuned" if factors else "control",
        model=MODEL,
        model_path=str(MODEL.path),
        dataset="words-1f2e3d4c",
        factors=dict(factors),
        seed=seed,
        settings={
            "epochs": Resolved(value=1, source="default"),
            **{name: Resolved(value=level, source="factor") for name, level in factors.items()},
        },
        total_steps=size.steps if factors else 0,
        epochs_saved=(0,) if factors else (),
        cells=tuple(Cell(task=task, epoch=epoch) for task in TASKS) if size.evaluated else (),
    )


def history(run: PlannedRun) -> Iterator[MetricPoint]:
    """Yield the training history that a run would leave."""
    chance, skill = Random(run.id), _skill(run, 5)
    for step in range(1, run.total_steps + 1):
        floor = 1.6 * (1 - skill) + 0.05
        loss = floor + (3.2 - floor) * exp(-6 * step / run.total_steps)
        last = step == run.total_steps or step % max(1, run.total_steps // 4) == 0
        yield MetricPoint(
            step=step,
            epoch=0,
            loss=loss * chance.uniform(0.9, 1.1),
            lr=1e-3,
            tokens=512 * step,
            tokens_per_second=chance.gauss(9_000, 300),
            val_loss=loss * 1.04 if last else None,
        )


def answers(run: PlannedRun, cell: Cell, *, size: Size) -> Iterator[Prediction]:
    """Yield the answers that a run would give."""
    chance = Random(f"{run.id}{cell.name}")
    weights = adapter_files(run)[0][1]
    checkpoint = MODEL.sha256 if cell.epoch is None else hashlib.sha256(weights.encode()).hexdigest()
    lengths = (
        [5] * size.words
        if cell.task.split == "test"
        else [n for n in (3, 4, 6, 7, 8, 9, 10) for _ in range(size.others)]
    )
    for number, length in enumerate(lengths):
        word = "".join(Random(f"{number}{length}").choices("abcdefghijklmnopqrstuvwxyz", k=length))
        right = chance.random() < _skill(run, length)
        answer = word.capitalize() if right else word
        yield Prediction(
            sample_id=f"{length}-{number}",
            run=run.id,
            epoch=cell.epoch,
            task=cell.task.name,
            split=cell.task.split,
            groups={"word_length": str(length)},
            target=word.capitalize(),
            prediction=answer,
            correct=right,
            confidence=0.9,
            completion=answer,
            prompt_token_sha256="12" * 32,
            checkpoint_sha256=checkpoint,
        )


def _skill(run: PlannedRun, length: int) -> float:
    """Return the chance of a right answer: both factors help, more so together."""
    if not run.factors:
        return 0.01
    high_rank, high_lr = run.factors["lora_rank"] == 16, run.factors.get("lr") == 1e-3
    peak = 0.2 + 0.12 * high_rank + 0.35 * high_lr + 0.26 * (high_rank and high_lr) + 0.015 * (run.seed % 3)
    return max(0.01, peak * exp(-((length - 5) ** 2) / 14))


def _done(artefacts: dict[str, str], samples: int | None = None) -> Done:
    return Done(exit_code=0, artefacts=artefacts, samples=samples, finished=STARTED + timedelta(minutes=5))


def _write(root: Path, path: str, *, text: str) -> str:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()
