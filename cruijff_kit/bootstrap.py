"""Chooses the adapters for a site; the only file that knows both sides."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cruijff_kit.ports import Tracking, World

__all__ = ["World", "open_tracking", "open_world"]


def open_world(
    experiment: Path, *, root: Path, kind: Literal["human", "assistant"], name: str, client: str | None
) -> "World":
    """Return the world of one experiment directory; nothing is written by opening it.

    Args:
        experiment: the experiment directory, which need not exist yet.
        root: project root, in which `site.yaml` is looked for.
        kind: whether a person or an assistant acts.
        name: login name of the person, or tool the assistant calls.
        client: program that speaks for the actor, with its version.
    """
    from cruijff_kit.adapters.audit_log import DiskAuditLog
    from cruijff_kit.adapters.clock import SystemClock
    from cruijff_kit.adapters.eval_logs import InspectLogs
    from cruijff_kit.adapters.local import LocalScheduler
    from cruijff_kit.adapters.lora_adapters import LocalAdapters
    from cruijff_kit.adapters.model_hub import LocalHub
    from cruijff_kit.adapters.probe import StepProber
    from cruijff_kit.adapters.run_store import DiskRunStore
    from cruijff_kit.adapters.site_file import load_site
    from cruijff_kit.adapters.state_dir import state_dir
    from cruijff_kit.ports import World
    from cruijff_kit.schema.audit import Actor

    site, clock = load_site(root), SystemClock()
    return World(
        store=DiskRunStore(experiment),
        audit=DiskAuditLog(experiment, clock=clock),
        scheduler=LocalScheduler(state_dir() / "queue", site=site),
        clock=clock,
        hub=LocalHub(models_dir=site.models_dir),
        adapters=LocalAdapters(),
        evaluations=InspectLogs(),
        site=site,
        actor=Actor(kind=kind, name=name, client=client),
        prober=StepProber(),
        settings=lambda: load_site(root),
    )


def open_tracking() -> "Tracking":
    """Return the tracking service that trainings keep offline runs for."""
    from cruijff_kit.adapters.tracking import WandbRuns

    return WandbRuns()
