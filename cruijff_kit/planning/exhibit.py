"""The experiment that a demo of the pages shows: its design and plan, made up from end to end."""

from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.schema.data import DatasetFacts, DataSpec, TrainingData
from cruijff_kit.schema.evaluation import EvalTask, Evaluation
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun, Resolved
from cruijff_kit.schema.spec import Analysis, ExperimentSpec, ModelRef, Tools

__all__ = ["COSTS", "EXHIBIT", "OPTIONS", "exhibit_design", "exhibit_plan"]

EXHIBIT = "made_up_triage"
"""Name of the experiment."""
OPTIONS = ("high", "medium", "low", "none")
"""Labels of its texts."""
COSTS = {
    "high": {"medium": 0.5, "low": 0.8, "none": 1.0},
    "medium": {"high": 0.2, "low": 0.3, "none": 0.6},
    "low": {"high": 0.3, "medium": 0.15, "none": 0.2},
    "none": {"high": 0.4, "medium": 0.2, "low": 0.1},
}
"""What wrong choices cost, true option first: to miss a high risk costs most."""

_MODEL = ModelRef(name="made-up-4b", path="/nowhere/made-up-4b", sha256=content_hash("no model at all"))
_DATA = "made-up-rows"
_TASKS = tuple(
    EvalTask(name=f"triage_{split}", task="rows", split=split, options=OPTIONS) for split in ("calibration", "test")
)
_STEPS = 240


def exhibit_design() -> ExperimentSpec:
    """Return the design."""
    return ExperimentSpec(
        name=EXHIBIT,
        question="Made up: does a higher rank or a higher learning rate spoil the calibration of a triage model?",
        hypothesis="Made up: a higher learning rate does.",
        created="2026-11-20",
        models=(_MODEL,),
        tools=Tools(evaluation="inspect-ai"),
        data=DataSpec(training=TrainingData(generator="bit_sequences"), tier="green"),
        factors={"lora_rank": (8, 32), "lr": (1e-4, 5e-4)},
        evaluation=Evaluation(tasks=_TASKS),
        analysis=Analysis(groups=("channel",)),
    )


def exhibit_plan(spec_sha256: str, *, samples: int) -> Plan:
    """Return the plan: every combination with two seeds.

    Args:
        spec_sha256: hash of the design.
        samples: rows of each split that is evaluated.
    """
    dataset = DatasetFacts(
        key=_DATA, path=f"data/{_DATA}.json", sha256=content_hash("no rows at all"), bytes=1_204_113,
        splits={"train": 7_680, "validation": 400, "calibration": samples, "test": samples},
    )  # fmt: skip
    cells = [(rank, lr) for rank in (8, 32) for lr in (1e-4, 5e-4)]
    runs = tuple(_run(rank, lr, seed=seed) for rank, lr in cells for seed in (1, 2))
    return Plan(experiment=EXHIBIT, spec_sha256=spec_sha256, datasets=(dataset,), runs=runs, tier="green")


def _run(rank: int, lr: float, *, seed: int) -> PlannedRun:
    slug = f"rank{rank}_lr{lr:.0e}_seed{seed}"
    settings = {
        "epochs": Resolved(value=1, source="default"),
        "lora_rank": Resolved(value=rank, source="factor"),
        "lr": Resolved(value=lr, source="factor"),
        "batch_size": Resolved(value=32, source="design"),
        "calibration_monitor": Resolved(value={"enabled": True, "alpha": 0.1}, source="design"),
    }
    return PlannedRun(
        id=f"{slug}-{content_hash(slug)[:8]}",
        type="fine-tuned",
        model=_MODEL,
        model_path=str(_MODEL.path),
        dataset=_DATA,
        factors={"lora_rank": rank, "lr": lr},
        seed=seed,
        settings=settings,
        total_steps=_STEPS,
        epochs_saved=(0,),
        cells=tuple(Cell(task=task, epoch=0) for task in _TASKS),
    )
