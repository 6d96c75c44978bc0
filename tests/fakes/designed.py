"""A small design and a world to plan and scaffold it in: real files, told models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import join_summary
from cruijff_kit.schema.audit import Actor
from cruijff_kit.schema.site import ModelFacts, Site
from cruijff_kit.schema.spec import ExperimentSpec
from tests.fakes.clock import FakeClock
from tests.fakes.eval_logs import FakeEvalLogs
from tests.fakes.lora_adapters import FakeAdapters
from tests.fakes.model_hub import FakeHub, model_facts
from tests.fakes.scheduler import FakeScheduler

__all__ = ["DESIGN", "design", "put_design", "world_at"]

DESIGN: Mapping[str, Any] = {
    "name": "parity",
    "question": "Does rank matter?",
    "created": "2026-11-20",
    "models": [{"name": "tiny", "path": "/models/tiny"}],
    "data": {
        "training": {
            "generator": "bit_sequences",
            "arguments": {"bit_length": 6, "N": 40, "val_size": 8, "test_size": 8},
        },
        "tier": "green",
    },
    "factors": {"lora_rank": [4, 16], "lr": [3e-4, 1e-3]},
    "runs": [{"name": "base", "type": "control"}],
    "controls": {"seeds": [1, 2], "batch_size": 4, "epochs": 2},
    "evaluation": {"tasks": [{"name": "bits", "task": "rows"}]},
}
"""Two factors, two seeds and a control on 24 training rows: nine runs."""


def design(**changes: Any) -> ExperimentSpec:
    """Return the small design with some of its keys replaced."""
    return ExperimentSpec.model_validate({**DESIGN, **changes})


def put_design(root: Path, spec: ExperimentSpec) -> None:
    """Write a design into an experiment directory, its body left empty."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "experiment_summary.md").write_text(join_summary(spec, "", source=""), encoding="utf-8")


def world_at(root: Path, *models: ModelFacts, site: Site | None = None) -> World:
    """Return a world around a directory on disk; its model is `/models/tiny` unless others are told."""
    clock = FakeClock()
    return World(
        store=DiskRunStore(root),
        audit=DiskAuditLog(root, clock=clock),
        scheduler=FakeScheduler(),
        clock=clock,
        hub=FakeHub(*(models or (model_facts(),))),
        adapters=FakeAdapters(),
        evaluations=FakeEvalLogs(),
        site=site or Site(),
        actor=Actor(kind="human", name="ada"),
    )
