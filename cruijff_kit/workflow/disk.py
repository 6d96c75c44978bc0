"""Disk: what an experiment takes, what may go, and whether there is room for what is due."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.planning.estimates import disk_span
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import PlannedRun

__all__ = ["disk_shortage", "outputs_of"]


def disk_shortage(due: Sequence[PlannedRun], *, world: World) -> list[Problem]:
    """Return a problem where what the due trainings keep is larger than what is free, or left of a quota."""
    if not due:
        return []
    facts = {path: world.hub.facts(path) for path in dict.fromkeys(run.model_path for run in due)}
    needed = sum(disk_span(run, facts[run.model_path]).value for run in due)
    place = outputs_of(due[0], world)
    free, source = world.store.disk().free, "free"
    if world.probe is not None and place is not None:
        found = world.probe.folder(place)
        free = free if found.free is None else found.free
        if found.quota_left is not None and found.quota_left < free:
            free, source = found.quota_left, "left of your quota"
    if needed <= free:
        return []
    fact = f"the trainings keep about {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are {source} at `{place}`"
    hint = "`ck disk` proposes what may go; or keep fewer epochs, or submit fewer runs at a time"
    return [Problem(fact, "output.output_dir_base", hint=hint)]


def outputs_of(run: PlannedRun, world: World) -> str | None:
    """Return the folder in which the output directories of runs lie, as a run's configuration names it."""
    path = RunLayout(run.id).config
    text = world.store.read_text(path)
    value = load_yaml(text, name=path).value if text is not None else None
    return str(PurePosixPath(value["output_dir"]).parent) if isinstance(value, dict) and "output_dir" in value else None
