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
    from cruijff_kit.adapters.embedder import LocalEmbedder
    from cruijff_kit.adapters.eval_logs import InspectLogs
    from cruijff_kit.adapters.library import DiskLibrary
    from cruijff_kit.adapters.local import LocalScheduler
    from cruijff_kit.adapters.lora_adapters import LocalAdapters
    from cruijff_kit.adapters.model_hub import LocalHub
    from cruijff_kit.adapters.probe import StepProber
    from cruijff_kit.adapters.run_store import DiskRunStore
    from cruijff_kit.adapters.shelf import DiskShelf
    from cruijff_kit.adapters.site_file import DiskSiteFiles
    from cruijff_kit.adapters.site_probe import MachineProbe
    from cruijff_kit.adapters.slurm import SlurmScheduler
    from cruijff_kit.adapters.state_dir import state_dir
    from cruijff_kit.ports import World
    from cruijff_kit.schema.audit import Actor

    sites, clock = DiskSiteFiles(root), SystemClock()
    site = sites.read().site
    return World(
        store=DiskRunStore(experiment),
        audit=DiskAuditLog(experiment, clock=clock),
        scheduler=SlurmScheduler() if site.scheduler == "slurm" else LocalScheduler(state_dir() / "queue", site=site),
        clock=clock,
        hub=LocalHub(models_dir=site.models_dir),
        adapters=LocalAdapters(),
        evaluations=InspectLogs(),
        site=site,
        actor=Actor(kind=kind, name=name, client=client),
        prober=StepProber(),
        embedder=LocalEmbedder(),
        sites=sites,
        probe=MachineProbe(),
        shelf=DiskShelf(),
        library=DiskLibrary(),
        settings=lambda: DiskSiteFiles(root).read().site,
    )


def open_tracking() -> "Tracking":
    """Return the tracking service that trainings keep offline runs for."""
    from cruijff_kit.adapters.tracking import WandbRuns

    return WandbRuns()
