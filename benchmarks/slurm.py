"""What a grid costs on a real Slurm: submitting 1,000 runs, and looking at 10,000 jobs.

Submitting: the verb on a scaffolded grid of training runs, once as arrays and once by one `sbatch` a job, each in
a fresh copy of the experiment. Looking: the adapter's answer for 10,000 jobs that wait, once jobs by themselves and
once one array, together with ids that only accounting could know, so that both commands are needed; then the same
look again and again, for its memory. Slurm's commands are counted by stand-ins that hand every call on.

    python benchmarks/slurm.py [--runs 1000] [--jobs 10000] [--looks 20]

The cluster is of the tests' own: its daemons on the loopback interface, accounting in a database, no node for the
jobs. Of a poll, `in all` is what the clock shows, commands included; `of ours` is the processor time of this process.
"""

import argparse
import gc
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cruijff_kit.adapters.clock import SystemClock  # the path is set above
from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.schema.job import ArrayElement, ArrayRequest, JobRequest, JobState
from cruijff_kit.schema.policy import Queue
from cruijff_kit.schema.site import Caps, Site
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import submit_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.counter import Counter
from tests.slurm.settings import Setup

Ids = TypeVar("Ids", str, dict[str, str])
"""What a scheduler returns of a job, or of an array."""
POLL, GROWTH = 2.0, 1.0
"""At most: seconds of a poll that are ours, megabytes that the looks after the second add."""


class Timed(SlurmScheduler):
    """Adds up the time that submitting takes in the scheduler."""

    seconds = 0.0

    def submit(self, request: JobRequest) -> str:
        """Submit a job, timed."""
        return self._timed(lambda: super(Timed, self).submit(request))

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Submit an array, timed."""
        return self._timed(lambda: super(Timed, self).submit_array(request))

    def _timed(self, action: Callable[[], Ids]) -> Ids:
        start = time.perf_counter()
        try:
            return action()
        finally:
            self.seconds += time.perf_counter() - start


class Submitted(NamedTuple):
    """What submitting a grid took."""

    way: str
    """How."""
    calls: int
    """Calls of `sbatch`."""
    slurm: float
    """Seconds in the scheduler."""
    verb: float
    """Seconds of the whole verb: intents, record and checks with it."""
    look: float
    """Seconds of a look at the whole experiment afterwards."""


class Poll(NamedTuple):
    """What looking at many jobs took."""

    what: str
    """Which jobs."""
    calls: str
    """Commands of one look."""
    wall: float
    """Seconds of a look, median."""
    ours: float
    """Seconds of it that this process computed, median."""
    peak: float
    """Megabytes at most, of the whole process."""
    growth: float
    """Megabytes that the looks after the second added."""


class Yard(NamedTuple):
    """A cluster without a node for jobs, a folder, and the stand-ins of its commands."""

    cluster: Cluster
    """The cluster."""
    folder: Path
    """Where experiments and scripts go."""
    counter: Counter
    """What was called."""


def submitted(way: str, runs: int, *, arrays: int, yard: Yard) -> Submitted:
    """Scaffold a grid, submit it, and look at it once."""
    root, seeds = yard.folder / f"grid-{arrays}", list(range(1, runs // 2 + 1))
    tools = {"evaluation": "none"}
    grid = design(factors={"lora_rank": [4, 16]}, controls={"seeds": seeds}, runs=[], tools=tools, evaluation={})
    put_design(root, grid)
    site = Site(queue=Queue(arrays=arrays, max_queued=runs), caps=Caps(max_jobs=runs, max_gpu_hours=1e9))
    scheduler = Timed()
    world = world_at(root, site=site)._replace(scheduler=scheduler, clock=SystemClock())
    plan_id = scaffold_runs(world=world).plan_id
    yard.counter.calls()
    start = time.perf_counter()
    submit_jobs(plan_id, world=world)
    verb = time.perf_counter() - start
    calls = yard.counter.calls().count("sbatch")
    start = time.perf_counter()
    phases = {entry.phase.value for entry in read_status(world=world._replace(scheduler=SlurmScheduler())).steps}
    look = time.perf_counter() - start
    assert phases == {"pending"}, phases
    yard.cluster.say("scancel", f"--user={os.geteuid()}")
    return Submitted(way, calls, scheduler.seconds, verb, look)


def polled(what: str, ids: Mapping[str, str], *, looks: int, yard: Yard) -> Poll:
    """Look at jobs again and again; ids that nobody knows make accounting necessary."""
    scheduler, tags = SlurmScheduler(), {job_id: tag for tag, job_id in ids.items()}
    wanted = [*tags, *(str(number) for number in range(9_000_000, 9_000_100))]
    walls, ours, sizes, calls = list[float](), list[float](), list[float](), ""
    for _ in range(looks):
        yard.counter.calls()
        start, computed = time.perf_counter(), time.process_time()
        reports = scheduler.reports(wanted, tags=tags)
        walls.append(time.perf_counter() - start)
        ours.append(time.process_time() - computed)
        called = yard.counter.calls()
        calls = ", ".join(f"{called.count(name)} {name}" for name in sorted(set(called)))
        assert sum(each.state is JobState.PENDING for each in reports.values()) == len(ids)
        del reports
        gc.collect()
        sizes.append(resident())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Poll(what, calls, statistics.median(walls), statistics.median(ours), peak, max(sizes) - sizes[1])


def resident() -> float:
    """Return the megabytes that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def in_turn(jobs: int, script: Path) -> dict[str, str]:
    """Queue jobs by themselves and return their ids by tag."""
    scheduler = SlurmScheduler()
    tags = [f"ck-alone-{number}" for number in range(jobs)]
    requests = (JobRequest(script=str(script), tag=tag, name="job", chdir=str(script.parent)) for tag in tags)
    return {request.tag: scheduler.submit(request) for request in requests}


def as_array(jobs: int, script: Path) -> dict[str, str]:
    """Queue an array of so many elements and return their ids by tag."""
    elements = tuple(ArrayElement(index=index) for index in range(jobs))
    request = ArrayRequest(
        script=str(script), tag="ck-array", name="array", chdir=str(script.parent), elements=elements
    )
    return SlurmScheduler().submit_array(request)


def polls(jobs: int, *, looks: int, yard: Yard) -> list[Poll]:
    """Look at jobs by themselves, then at an array of as many."""
    script = yard.folder / "job.slurm"
    script.write_text("#!/bin/sh\ntrue\n", encoding="utf-8")
    found = []
    for what, queue in ((f"one array of {jobs:,}", as_array), (f"{jobs:,} jobs by themselves", in_turn)):
        print(f"{what} …", file=sys.stderr, flush=True)
        found.append(polled(what, queue(jobs, script), looks=looks, yard=yard))
        yard.cluster.forget_jobs()
        yard.cluster.say("scontrol", "update", "partitionname=debug", "state=down")
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, words to the left and figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 2), "---"], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show(found: Sequence[Submitted], looked: Sequence[Poll], *, runs: int) -> None:
    """Print both tables."""
    first, second = found
    ratio = f"{second.slurm / first.slurm:.0f} x less in Slurm, {second.verb / first.verb:.1f} x less in all"
    rows = [
        (each.way, f"{each.calls:,}", f"{each.slurm:.2f}", f"{each.verb:.2f}", f"{each.look:.2f}", told)
        for each, told in zip(found, (ratio, ""), strict=True)
    ]
    print(table((f"{runs:,} runs submitted", "sbatch", "s in Slurm", "s of the verb", "s of a look", "ratio"), rows))
    print()
    rows = []
    for poll in looked:
        met = poll.ours <= POLL and poll.growth <= GROWTH
        target = f"at most {POLL:g} s of ours and {GROWTH:g} MB: {'met' if met else 'MISSED'}"
        figures = (f"{poll.wall:.2f}", f"{poll.ours:.2f}", f"{poll.peak:.0f}", f"{poll.growth:+.1f}")
        rows.append((poll.what, poll.calls, *figures, target))
    print(table(("a poll of", "commands", "s in all", "s of ours", "MB at most", "MB grown", "target"), rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a grid costs on a real Slurm.")
    parser.add_argument("--runs", type=int, default=1000, help="runs of the grid that is submitted")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs that are looked at")
    parser.add_argument("--looks", type=int, default=20, help="looks at them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, running_cluster(Setup(accounting=True, gpus=0)) as cluster:
        os.environ["CRUIJFF_STATE_DIR"] = f"{place}/state"
        os.environ["SLURM_CONF"] = cluster.environment["SLURM_CONF"]
        yard = Yard(cluster, Path(place), Counter(Path(place)))
        os.environ["PATH"] = f"{yard.counter.folder}:{os.environ['PATH']}"
        cluster.say("scontrol", "update", "partitionname=debug", "state=down")
        ways = {"as arrays": 10, "one `sbatch` each": 0}
        found = []
        for way, arrays in ways.items():
            print(f"{options.runs:,} runs {way} …", file=sys.stderr, flush=True)
            found.append(submitted(way, options.runs, arrays=arrays, yard=yard))
        looked = polls(options.jobs, looks=options.looks, yard=yard)
    show(found, looked, runs=options.runs)


if __name__ == "__main__":
    main()
