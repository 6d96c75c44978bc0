"""Answers that do not come, or are none: nothing is concluded, nothing is cancelled, and nothing is submitted twice."""

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobState
from tests.gated_bench import until
from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.settings import Setup

Disturb = Callable[[SlurmBench, pytest.MonkeyPatch], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def fragile() -> Iterator[Cluster]:
    with running_cluster(Setup(gpus=0, munge=True, message_timeout=2)) as cluster:
        yield cluster


@pytest.fixture
def bench(fragile: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmBench]:
    monkeypatch.setenv("SLURM_CONF", fragile.environment["SLURM_CONF"])
    with slurm_bench(fragile, tmp_path) as real:
        yield real
    fragile.clear()


@contextlib.contextmanager
def stopped(bench: SlurmBench, _: pytest.MonkeyPatch) -> Iterator[None]:
    """The controller is not there."""
    bench.cluster.end("slurmctld")
    try:
        yield
    finally:
        bench.cluster.start_controller()


@contextlib.contextmanager
def frozen(bench: SlurmBench, _: pytest.MonkeyPatch) -> Iterator[None]:
    """The controller takes connections and answers none: it works them off once it goes on."""
    bench.cluster.send("slurmctld", signal.SIGSTOP)
    try:
        yield
    finally:
        bench.cluster.send("slurmctld", signal.SIGCONT)


@contextlib.contextmanager
def unsigned(bench: SlurmBench, _: pytest.MonkeyPatch) -> Iterator[None]:
    """Munge is not there: no message can be signed."""
    bench.cluster.end("munged")
    try:
        yield
    finally:
        bench.cluster.start_munge()


def configured(text: str) -> Disturb:
    """The settings say something, after what they are."""

    @contextlib.contextmanager
    def disturbed(bench: SlurmBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        before = Path(os.environ["SLURM_CONF"]).read_text(encoding="utf-8") if text else ""
        other = bench.folder / "other.conf"
        other.write_text(before + text, encoding="utf-8")
        with monkeypatch.context() as patched:
            patched.setenv("SLURM_CONF", str(other))
            yield

    return disturbed


@contextlib.contextmanager
def unconfigured(bench: SlurmBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings are not there: Slurm's commands look again and again, for a minute."""
    with monkeypatch.context() as patched:
        patched.setattr("cruijff_kit.adapters.slurm_commands.PATIENCE", 1.0)
        patched.setenv("SLURM_CONF", str(bench.folder / "none.conf"))
        yield


def saying(body: str, *names: str, patience: float = 90.0) -> Disturb:
    """Commands do something else than Slurm's do."""

    @contextlib.contextmanager
    def disturbed(bench: SlurmBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in names:
            put_before(bench.folder, name, body)
        with monkeypatch.context() as patched:
            patched.setattr("cruijff_kit.adapters.slurm_commands.PATIENCE", patience)
            patched.setenv("PATH", f"{bench.folder}/bin:{os.environ['PATH']}")
            yield

    return disturbed


def put_before(folder: Path, name: str, body: str) -> None:
    """Put a command before Slurm's own, which it knows as `$real`."""
    wrapper = folder / "bin" / name
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(f"#!/bin/sh\nreal={shutil.which(name)}\n{body}\n", encoding="utf-8")
    wrapper.chmod(0o755)


class Silence(NamedTuple):
    """Why there is no answer, and what is said of it."""

    name: str
    disturb: Disturb
    said: str
    passes: bool = True


HALF = '"$real" "$@" | head -c 30'
SILENCES = (
    Silence("controller-down", stopped, "Unable to contact slurm controller"),
    Silence("controller-frozen", frozen, "Socket timed out"),
    Silence("munge-down", unsigned, "[Aa]uthentication"),
    Silence("unknown-key", configured("NoSuchKey=1\n"), "unrecognized key: NoSuchKey", passes=False),
    Silence("settings-empty", configured(""), "Unable to process configuration", passes=False),
    Silence("settings-missing", unconfigured, "no answer within 1 seconds"),
    Silence("hanging", saying("exec sleep 100", "squeue", patience=0.5), "no answer within 0.5 seconds"),
    Silence("empty", saying("exit 0", "squeue"), "printed '' instead of a list of jobs"),
    Silence(
        "nonsense",
        saying("echo Please use the portal instead", "squeue"),
        "printed 'Please use the portal instead' instead of a list",
    ),
    Silence("half", saying(HALF, "squeue"), "printed 'JOBID  .*' instead of a list"),
    Silence("killed", saying('"$real" "$@"; kill -KILL $$', "squeue"), "ended by signal 9"),
)


@pytest.mark.parametrize("case", SILENCES, ids=[each.name for each in SILENCES])
def test_without_an_answer_nothing_is_concluded_nor_submitted_nor_cancelled(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch, case: Silence
) -> None:
    tag, new = f"silent-{case.name}", f"silent-{case.name}-new"
    job_id = bench.submit(tag)
    bench.start(job_id)
    requests = {tag: bench.request(f"{tag}-again", body="true").model_copy(update={"tag": tag})}
    requests[new] = bench.request(new, body="true", head="#SBATCH --hold\n")
    with case.disturb(bench, monkeypatch):
        acts: tuple[Callable[[], object], ...] = (
            lambda: bench.another().find([tag]),
            lambda: bench.another().submit(requests[tag]),
            lambda: bench.another().submit(requests[new]),
            lambda: bench.another().cancel([job_id], tags={job_id: tag}),
        )
        with ThreadPoolExecutor() as pool:
            report = pool.submit(lambda: bench.another().reports([job_id], tags={job_id: tag})[job_id])
            refusals = [pool.submit(refused, act) for act in acts]
        assert (report.result().state, report.result().ended) == (JobState.UNKNOWN, None)
        assert re.search(case.said, report.result().reason)
        for refusal in (each.result() for each in refusals):
            assert re.search(case.said, str(refusal)), refusal
            assert (refusal.transient, bool(refusal.hint)) == (case.passes, True), refusal
    assert bench.stands(job_id, JobState.RUNNING).ended is None
    after = bench.another()
    taken = {each: after.submit(request) for each, request in requests.items()}
    assert taken[tag] == job_id
    assert bench.another().find([tag, new]) == taken


def refused(act: Callable[[], object]) -> SchedulerError:
    """Return with which words something is refused."""
    with pytest.raises(SchedulerError) as refusal:
        act()
    return refusal.value


class Mishap(NamedTuple):
    """What keeps the number of a job that was queued from whoever submitted it."""

    name: str
    disturb: Disturb


QUEUED = '"$real" "$@" > /dev/null'
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
MISHAPS = (
    Mishap("controller-frozen", frozen),
    Mishap("talks", saying(f"{QUEUED} && echo Thank you for computing with us", "sbatch")),
    Mishap("hangs", saying(f"{QUEUED}; exec sleep 100", "sbatch", patience=1.0)),
    Mishap("killed", saying(f"{QUEUED}; kill -KILL $$", "sbatch")),
    Mishap("times-out", saying(f"{QUEUED}; echo '{TIMED_OUT}' >&2; exit 1", "sbatch")),
)


@pytest.mark.parametrize("case", MISHAPS, ids=[each.name for each in MISHAPS])
def test_a_submission_of_which_nothing_was_heard_is_looked_for_and_not_made_again(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch, case: Mishap
) -> None:
    tag = f"unheard-{case.name}"
    request = bench.request(tag, body="echo ran >> ran.txt")
    submitter = bench.another()
    assert submitter.find([tag]) == {}
    with case.disturb(bench, monkeypatch):
        refused(lambda: submitter.submit(request))
    # A controller that was frozen works off what it was sent, in its own time.
    until(lambda: bench.another().find([tag]), "the job in the queue")
    job_id = submitter.submit(request)
    assert bench.another().submit(request) == job_id
    bench.ended(job_id)
    assert bench.another().submit(request) == job_id
    assert bench.text("ran.txt") == "ran\n"


@pytest.mark.parametrize(
    "body",
    ("exit 0", "echo Accounting is at lunch", "echo 'sacct: error: Problem talking to the database' >&2; exit 1"),
    ids=("empty", "nonsense", "down"),
)
def test_accounting_that_gives_no_answer_is_left_alone_for_a_while_and_concludes_nothing(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    asked = bench.folder / "asked.txt"
    with saying(f"echo asked >> {asked}; {body}", "sacct")(bench, monkeypatch):
        reader = bench.another()
        for _ in range(3):
            report = reader.reports(["424242"], tags={"424242": "long-gone"})["424242"]
            assert (report.state, report.ended) == (JobState.UNKNOWN, None)
        assert bench.text("asked.txt") == "asked\n"
        assert refused(lambda: reader.find(["long-gone"])).transient
        # The queue answers, so what is new is submitted and followed all the same.
        tag = f"meanwhile-{len(body)}"
        job_id = reader.submit(bench.request(tag, body="exit 3"))
        assert bench.ended(job_id)[0].exit_code == 3
