"""A test's own jobs on a real Slurm, each waiting at its gate."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cruijff_kit.adapters.slurm import SlurmScheduler
from tests.gated_bench import GatedBench
from tests.slurm.cluster import Cluster

__all__ = ["SlurmBench", "slurm_bench"]


class SlurmBench(GatedBench):
    """A cluster, a folder for scripts and output, and a hand on its nodes."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(folder, head="#SBATCH --no-requeue\n")
        self.cluster = cluster
        self.scheduler = self.another()

    def another(self) -> SlurmScheduler:
        """Return a scheduler on the same cluster, as another process would have."""
        return SlurmScheduler()

    def lose(self, job_id: str) -> None:
        """Take the node away under a running job."""
        node = self.cluster.say("squeue", "-h", "-j", job_id, "-o", "%N")
        self.cluster.say("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
        self.ended(job_id)
        self.cluster.idle()


@contextlib.contextmanager
def slurm_bench(cluster: Cluster, folder: Path) -> Iterator[SlurmBench]:
    """Yield a bench; its jobs end with it."""
    bench = SlurmBench(cluster, folder)
    try:
        yield bench
    finally:
        bench.open_gates()
