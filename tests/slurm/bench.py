"""A test's own jobs on a real Slurm, each waiting at its gate."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from cruijff_kit.adapters.sbatch_lines import seconds_of
from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.job import ArrayRequest, JobReport, JobRequest, JobState, element_tag
from tests.gated_bench import GatedBench, until
from tests.slurm.cluster import Cluster

__all__ = ["SlurmBench", "slurm_bench"]


class SlurmBench(GatedBench):
    """A cluster, a folder for scripts and output, and a hand on its nodes."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(folder, head="#SBATCH --no-requeue\n")
        self.cluster = cluster
        self._tags: set[str] = set()
        self.scheduler: Scheduler = self.another()

    def another(self) -> SlurmScheduler:
        """Return a scheduler on the same cluster, as another process would have."""
        return SlurmScheduler()

    def request(self, tag: str, after_ok: Sequence[str] = (), *, body: str | None = None, head: str = "") -> JobRequest:
        """Write a script and return the request for it; without a body it waits at its gate."""
        self._tags.add(tag)
        return super().request(tag, after_ok, body=body, head=head)

    def array(
        self, tag: str, edges: Sequence[Sequence[str]], *, indices: Sequence[int] = (), body: str | None = None
    ) -> ArrayRequest:
        """Write a script for an array and return the request for it."""
        request = super().array(tag, edges, indices=indices, body=body)
        self._tags |= {element_tag(tag, each.index) for each in request.elements}
        return request

    def by_hand(self, body: str, *options: str) -> str:
        """Submit a script as somebody else of this user's would: not by our scheduler, under a name like ours."""
        return self.cluster.sbatch(body, "--job-name=by-hand:by-hand", *options, folder=self.folder)

    def change(self, job_id: str, **values: str) -> None:
        """Change a job as an operator would."""
        self.cluster.say("scontrol", "update", f"jobid={job_id}", *(f"{key}={value}" for key, value in values.items()))

    def stands(self, job_id: str, state: JobState, reason: str = "") -> JobReport:
        """Wait until a job stands so, and return what is told of it."""
        until(lambda: self._is(job_id, state, reason), f"{state} {reason} of {job_id}; it is {self.report(job_id)}")
        return self.report(job_id)

    def limit(self, job_id: str) -> int | None:
        """Return the seconds that a job may run."""
        return seconds_of(self.cluster.say("squeue", "-h", "-r", "-t", "all", "-j", job_id, "-o", "%l"))

    def words(self, job_id: str) -> str:
        """Return Slurm's own word for a job's state."""
        return self.cluster.say("squeue", "-h", "-r", "-t", "all", "-j", job_id, "-o", "%T")

    def assert_no_duplicates(self) -> None:
        """Hold that the controller knows each tag of this bench once at most."""
        listed = self.cluster.say("squeue", "-h", "-r", "-t", "all", "-o", "%i %j")
        rows = (row.split() for row in listed.splitlines())
        named = ((job_id, name.rpartition(":")[2]) for job_id, name in rows)
        held = Counter(element_tag(tag, int(each.partition("_")[2])) if "_" in each else tag for each, tag in named)
        assert {tag: held[tag] for tag in self._tags if held[tag] > 1} == {}

    def _is(self, job_id: str, state: JobState, reason: str) -> bool:
        report = self.report(job_id)
        return report.state is state and reason in report.reason

    def lose(self, job_id: str) -> None:
        """Take the node away under a running job."""
        node = self.cluster.say("squeue", "-h", "-j", job_id, "-o", "%N")
        self.cluster.say("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
        self.ended(job_id)
        self.cluster.idle()


@contextlib.contextmanager
def slurm_bench(cluster: Cluster, folder: Path) -> Iterator[SlurmBench]:
    """Yield a bench; its jobs end with it, and none of its tags may have been queued twice."""
    bench = SlurmBench(cluster, folder)
    try:
        yield bench
        bench.assert_no_duplicates()
    finally:
        bench.open_gates()
