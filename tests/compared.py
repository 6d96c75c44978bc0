"""Finished experiments that are compared: one, and another with other answers and whatever else is changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import Plan, PlannedRun, Resolved
from tests.fakes.designed import world_at
from tests.fakes.experiment import SMALL, Size, design_of, plan_of, seal, write_cell

__all__ = ["evaluated", "opened"]


def evaluated(
    root: Path,
    *,
    size: Size = SMALL,
    mark: str = "",
    settings: Mapping[str, Any] | None = None,
    dataset: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Plan:
    """Write an experiment whose runs were evaluated; `mark` names its runs, and so decides their answers.

    Args:
        root: where it goes.
        size: how large it is.
        mark: part of every run's id.
        settings: controls of every run.
        dataset: facts of the data that are others.
        spec: keys of the design that are others.
    """
    design = design_of(size).model_copy(update=dict(spec or {}))
    made = plan_of(size)
    facts = made.datasets[0].model_copy(update=dict(dataset or {}))
    runs = tuple(_changed(run, mark, settings=settings or {}) for run in made.runs)
    plan = made.model_copy(update={"datasets": (facts,), "runs": runs, "tier": design.data.tier})
    seal(root, design, plan=plan)
    for run in runs:
        for cell in run.cells:
            write_cell(root, run, cell=cell, size=size)
    return plan


def opened(root: Path) -> World:
    """Return the world of such an experiment."""
    return world_at(root)._replace(evaluations=InspectLogs())


def _changed(run: PlannedRun, mark: str, *, settings: Mapping[str, Any]) -> PlannedRun:
    slug, _, digest = run.id.rpartition("-")
    told = {name: Resolved(value=value, source="design") for name, value in settings.items()}
    return run.model_copy(update={"id": f"{slug}{mark}-{digest}", "settings": {**run.settings, **told}})
