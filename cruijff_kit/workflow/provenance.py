"""Provenance: which versions and devices the runs of a plan say they were made with."""

from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import MadeWith
from cruijff_kit.schema.run import Manifest

__all__ = ["made_with"]


def made_with(plan: Plan, *, world: World) -> tuple[MadeWith, ...]:
    """Return every version, device and commit of the trainings, with how many runs had it.

    A run without a readable manifest is passed over: what is missing of it is told elsewhere.
    """
    counts: dict[tuple[str, str], int] = {}
    for run in plan.runs:
        content = world.store.read(RunLayout(run.id).manifest) if run.type == "fine-tuned" else None
        manifest = Manifest.found_in(content)
        if manifest is None:
            continue
        told = {**manifest.packages, "device": manifest.device, "commit": manifest.git_sha or ""}
        for name, value in told.items():
            if value:
                counts[name, value] = counts.get((name, value), 0) + 1
    return tuple(MadeWith(name=name, value=value, runs=count) for (name, value), count in sorted(counts.items()))
