"""A design with calibration and test splits, scaffolded and evaluated as jobs would leave it: two options scored."""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import Done
from cruijff_kit.scoring.temperature import option_probabilities
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.eval_logs import write_log

__all__ = ["BINARY", "SIZES", "binary_answers", "evaluated_world", "prompt_hash", "write_evaluation"]

BINARY = ("no", "yes")
SIZES = {"train": 40, "validation": 60, "calibration": 200, "test": 300}
"""Rows of each split."""


def evaluated_world(root: Path, *, sizes: Mapping[str, int] = SIZES, **changes: Any) -> tuple[World, Plan]:
    """Return a scaffolded experiment of which every cell has been evaluated, and its plan."""
    data = root.parent / "given" / "opinions.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    rows = {split: [row(split, number) for number in range(n)] for split, n in sizes.items()}
    data.write_text(json.dumps(rows), encoding="utf-8")
    tasks = [
        {"name": f"opinions_{split}", "task": "rows", "split": split} for split in sizes if split != "train"
    ]  # fmt: skip
    wanted = {
        "data": {"training": {"path": str(data)}, "tier": "green"},
        "controls": {"seeds": [1, 2], "batch_size": 4, "epochs": 1},
        "evaluation": {"tasks": tasks},
        "analysis": {"groups": ["site"], "primary_task": "opinions_test"},
        "factors": {"lora_rank": [4, 16]},
    }
    put_design(root, design(**{**wanted, **changes}))
    world = world_at(root)._replace(evaluations=InspectLogs())
    scaffold_runs(world=world)
    plan, _ = recorded_plan(world=world)
    for run in plan.runs:
        for cell in run.cells:
            write_evaluation(world, run, cell=cell, n=sizes[cell.task.split])
    return world, plan


def row(split: str, number: int) -> dict[str, str]:
    """Return one row of the data set."""
    return {"input": f"{split} question {number}", "output": BINARY[number % 2], "site": _site(number)}


def write_evaluation(
    world: World, run: PlannedRun, *, cell: Cell, n: int = 0, answers: Sequence[Prediction] = ()
) -> None:
    """Write the log and the `DONE` of one cell: so many answers as an overconfident model gives, or those given."""
    answers = answers or list(binary_answers(run, cell, n=n))
    log = world.store.root / RunLayout(run.id).cell_logs(cell.name) / "2026-11-20T09-05-00_opinions.eval"
    write_log(log, answers)
    done = Done(
        exit_code=0,
        artefacts={str(log): sha256(log.read_bytes()).hexdigest()},
        samples=len(answers),
        finished=world.clock.now(),
    )
    world.store.write(RunLayout(run.id).cell_done(cell.name), done.model_dump_json())


def binary_answers(run: PlannedRun, cell: Cell, *, n: int) -> Iterator[Prediction]:
    """Yield the answers of an overconfident model; a trained one knows more than its base."""
    seed = int.from_bytes(sha256(f"{run.id}{cell.name}".encode()).digest()[:4], "big")
    told = 2.0 if run.type == "fine-tuned" else 0.05
    labels = np.arange(n) % 2
    # Normal with mean t or -t by class and variance 2 t, log-odds are those of the classes; doubled, they are too sure.
    odds = 2 * ((2 * labels - 1) * told + np.random.default_rng(seed).normal(0, (2 * told) ** 0.5, n))
    rows = np.log(option_probabilities(np.column_stack([np.zeros(n), odds]))) - 0.05
    for number, (scores, label) in enumerate(zip(rows, labels, strict=True)):
        chosen = int(scores.argmax())
        yield Prediction(
            sample_id=f"{cell.task.split}-{number}",
            run=run.id,
            epoch=cell.epoch,
            task=cell.task.name,
            split=cell.task.split,
            groups={"site": _site(number)},
            target=BINARY[label],
            options=BINARY,
            option_logprobs=tuple(float(each) for each in scores),
            option_mass=float(np.exp(scores).sum()),
            prediction=BINARY[chosen],
            correct=chosen == label,
            confidence=float(np.exp(scores.max())),
            completion=BINARY[chosen],
            prompt_token_sha256=prompt_hash(f"{cell.task.split} question {number}"),
            checkpoint_sha256=sha256(f"{run.id}{cell.epoch}".encode()).hexdigest(),
        )


def prompt_hash(text: str) -> str:
    """Return what stands for the hash of a prompt's ids."""
    return sha256(text.encode()).hexdigest()


def _site(number: int) -> str:
    return ("north", "south", "west")[min(2, number % 20 // 8)]
