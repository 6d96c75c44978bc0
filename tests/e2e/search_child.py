"""The process that a search runs in and that is killed: real files, a real queue, Optuna's own sampler."""

import sys
from pathlib import Path

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.adapters.optuna_sampler import OptunaSampler
from cruijff_kit.ports import World
from cruijff_kit.workflow.sweep import watch_sweep
from tests.fakes.designed import world_at

__all__ = ["live_world"]


def live_world(root: Path, queue: Path) -> World:
    """Return a world whose jobs are processes of this machine; only its model is told."""
    told = world_at(root)
    clock = SystemClock()
    scheduler = LocalScheduler(queue, site=told.site, gpus=(), grace=0.3, linger=2.0)
    return told._replace(
        scheduler=scheduler, clock=clock, audit=DiskAuditLog(root, clock=clock), proposer=OptunaSampler()
    )


def main() -> None:
    """Run the search of a directory, on a queue, to its end."""
    root, queue = map(Path, sys.argv[1:])
    *_, last = watch_sweep(poll=0.05, reason="kill test", world=live_world(root, queue))
    assert last.finished, last


if __name__ == "__main__":
    main()
