"""How jobs end on a real Slurm, and what we make of it."""

import os
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.schema.job import JobState
from tests.gated_bench import until
from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import running_cluster
from tests.slurm.settings import Setup

STRANGER = os.geteuid() + 4242
# Whoever may not become another user can be called one, which a cluster that believes everybody takes for true.
AS_STRANGER = (
    ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
    if os.geteuid() == 0
    else ("unshare", "--user", f"--map-user={STRANGER}")
)
POLITE = "trap 'exit 0' TERM; echo up > up.txt; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo up > up.txt; while :; do sleep 0.05; done"


class Ending(NamedTuple):
    """A script, and what has to be told of it."""

    name: str
    body: str
    state: JobState
    code: int | None = None
    signal: int | None = None
    head: str = ""
    reason: str = ""


FAILED = JobState.FAILED
ENDINGS = (
    Ending("zero", "exit 0", JobState.SUCCEEDED, 0),
    Ending("three", "exit 3", FAILED, 3),
    Ending("largest", "exit 255", FAILED, 255),
    Ending("missing-command", "no-such-command-anywhere", FAILED, 127),
    Ending("terminated", "kill -TERM $$", FAILED, None, signal.SIGTERM),
    Ending("killed", "kill -KILL $$", FAILED, None, signal.SIGKILL),
    Ending("segmentation", "kill -SEGV $$", FAILED, None, signal.SIGSEGV),
    Ending("killed-child", "exit 137", FAILED, None, signal.SIGKILL),
    Ending("crashed-child", "(ulimit -c 0; sh -c 'kill -SEGV $$')", FAILED, None, signal.SIGSEGV),
    Ending("no-log", "exit 0", FAILED, head="#SBATCH --output=missing/log.txt\n", reason="could not be started"),
    Ending(
        "greedy",
        "python3 -c 'x = bytearray(400_000_000); import time; time.sleep(60)'",
        FAILED,
        None,
        signal.SIGKILL,
        head="#SBATCH --mem=50\n",
    ),
)


@pytest.mark.parametrize("case", ENDINGS, ids=[each.name for each in ENDINGS])
def test_a_job_that_ends_by_itself_is_told_with_how(bench: SlurmBench, case: Ending) -> None:
    job_id = bench.submit(f"ending-{case.name}", body=case.body, head=case.head)
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code, report.signal) == (case.state, case.code, case.signal), report
    assert case.reason in report.reason
    assert report.ended is not None
    assert report.submitted is not None
    assert bench.scheduler.submit(bench.request(f"ending-{case.name}", body="exit 0")) == job_id


def test_a_job_is_stopped_at_its_time_limit_whatever_it_says_of_itself_then(bench: SlurmBench) -> None:
    jobs = [bench.submit("long", body="sleep 1000"), bench.submit("polite", body=POLITE)]
    for job_id in jobs:
        bench.stands(job_id, JobState.RUNNING)
        bench.change(job_id, EndTime="now+1")
    assert {report.state for report in bench.ended(*jobs)} == {JobState.TIMED_OUT}


def test_a_job_that_is_cancelled_and_then_ends_well_is_cancelled(bench: SlurmBench) -> None:
    job_id = bench.submit("polite-to-the-end", body=POLITE)
    until(lambda: bench.text("up.txt"), "the job")
    bench.scheduler.cancel([job_id])
    assert bench.ended(job_id)[0].state is JobState.CANCELLED


def test_a_job_that_somebody_cancels_elsewhere_is_cancelled(bench: SlurmBench) -> None:
    running, waiting = bench.submit("elsewhere"), bench.submit("held", body="exit 0", head="#SBATCH --hold\n")
    bench.start(running)
    bench.cluster.say("scancel", running, waiting)
    assert [report.state for report in bench.ended(running, waiting)] == [JobState.CANCELLED] * 2


def test_a_job_that_is_being_stopped_still_runs_until_it_has_ended(bench: SlurmBench) -> None:
    job_id = bench.submit("stubborn", body=STUBBORN)
    until(lambda: bench.text("up.txt"), "the job")
    bench.scheduler.cancel([job_id])
    until(lambda: bench.words(job_id) == "COMPLETING", "its stop")
    assert bench.report(job_id).state in (JobState.RUNNING, JobState.CANCELLED)
    assert bench.ended(job_id)[0].state is JobState.CANCELLED


def test_a_job_queued_again_waits_under_its_id_and_ends_as_its_last_run(bench: SlurmBench) -> None:
    head = "#SBATCH --requeue\n#SBATCH --open-mode=append\n"
    job_id = bench.submit("again", head=head, body="echo run >> runs.txt; [ $(wc -l < runs.txt) = 2 ] || sleep 100")
    until(lambda: bench.text("runs.txt"), "its first run")
    bench.cluster.say("scontrol", "requeue", job_id)
    bench.stands(job_id, JobState.PENDING, "BeginTime")
    assert bench.another().find(["again"]) == {"again": job_id}
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    assert bench.text("runs.txt") == "run\nrun\n"


def test_a_job_that_ended_well_and_is_queued_again_by_hand_is_the_same_job(bench: SlurmBench) -> None:
    job_id = bench.submit("once-more", body="echo ran >> ran.txt", head="#SBATCH --requeue\n")
    bench.ended(job_id)
    bench.cluster.say("scontrol", "requeue", job_id)
    assert bench.stands(job_id, JobState.PENDING).ended is None
    assert bench.another().submit(bench.request("once-more", body="true")) == job_id
    bench.scheduler.cancel([job_id])
    assert bench.ended(job_id)[0].state is JobState.CANCELLED
    assert bench.text("ran.txt") == "ran\n"


def test_a_job_on_a_node_that_is_drained_goes_on_to_its_end(bench: SlurmBench) -> None:
    job_id = bench.submit("drained", head="#SBATCH --nodelist=n1\n")
    bench.start(job_id)
    bench.cluster.say("scontrol", "update", "nodename=n1", "state=drain", "reason=repair")
    try:
        assert bench.report(job_id).state is JobState.RUNNING
        bench.finish(job_id)
        assert bench.report(job_id).state is JobState.SUCCEEDED
    finally:
        bench.cluster.say("scontrol", "update", "nodename=n1", "state=resume")


def test_a_job_whose_folder_is_gone_when_it_starts_runs_nowhere_else(bench: SlurmBench) -> None:
    folder = bench.folder / "gone"
    folder.mkdir()
    job = JobScript("gone", str(folder), "00:05:00", 1, ("touch", "ran-elsewhere"))
    request = bench.request("gone", body="true").model_copy(update={"chdir": str(folder)})
    Path(request.script).write_text(render_script(job), encoding="utf-8")
    held = request.model_copy(update={"after_ok": (bench.submit("first"),)})
    job_id = bench.scheduler.submit(held)
    folder.rmdir()
    bench.finish(held.after_ok[0])
    (report,) = bench.ended(job_id)
    assert report.state is JobState.FAILED
    assert not [place for place in (bench.folder, Path("/tmp")) if (place / "ran-elsewhere").exists()]


def test_a_node_that_cannot_prepare_a_job_holds_it_and_is_not_taken_for_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_cluster(Setup(prolog="/bin/false", gpus=0)) as cluster, slurm_bench(cluster, tmp_path) as bench:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        job_id = bench.submit("unprepared", body="echo ran > ran.txt", head="#SBATCH --requeue\n")
        report = bench.stands(job_id, JobState.PENDING, "launch failed requeued held")
        assert (report.started, report.ended) == (None, None)
        assert bench.another().submit(bench.request("unprepared", body="true")) == job_id
        assert not bench.text("ran.txt")


def test_a_job_whose_node_fails_is_queued_again_where_it_asks_for_that(bench: SlurmBench) -> None:
    job_id = bench.submit("hardy", head="#SBATCH --requeue\n#SBATCH --nodelist=n2\n", body="sleep 100")
    bench.stands(job_id, JobState.RUNNING)
    bench.cluster.say("scontrol", "update", "nodename=n2", "state=down", "reason=lost")
    assert bench.stands(job_id, JobState.PENDING).ended is None
    bench.scheduler.cancel([job_id])
    assert bench.ended(job_id)[0].state is JobState.CANCELLED


def test_a_job_whose_node_fails_is_lost_and_its_dependant_never_starts(bench: SlurmBench) -> None:
    parent = bench.submit("fragile")
    child = bench.submit("waits-for-fragile", [parent], body="echo ran > ran.txt")
    bench.start(parent)
    bench.lose(parent)
    assert bench.report(parent).reason
    (report,) = bench.ended(child)
    assert (report.state, report.reason) == (JobState.CANCELLED, "DependencyNeverSatisfied")
    assert not bench.text("ran.txt")


def test_a_job_that_outlives_its_slurmd_is_known_to_the_next(bench: SlurmBench) -> None:
    job_id = bench.submit("steady", head="#SBATCH --nodelist=n1\n")
    bench.start(job_id)
    bench.cluster.end("n1")
    assert bench.report(job_id).state is JobState.RUNNING
    bench.cluster.start_node("n1")
    bench.finish(job_id)
    assert bench.report(job_id).state is JobState.SUCCEEDED


def test_another_users_job_is_unknown_to_us_and_never_cancelled(bench: SlurmBench) -> None:
    script = Path(bench.cluster.root / "stranger.sh")
    script.write_text("#!/bin/sh\nsleep 100\n", encoding="utf-8")
    words = ("--hold", "--job-name=mine:mine", "--chdir=/tmp", "--output=/dev/null", str(script))
    theirs = bench.cluster.say(*AS_STRANGER, "sbatch", "--parsable", *words)
    assert bench.words(theirs) == "PENDING"
    assert bench.scheduler.find(["mine"]) == {}
    assert bench.report(theirs).state is JobState.UNKNOWN
    bench.scheduler.cancel([theirs])
    assert bench.words(theirs) == "PENDING"
    bench.cluster.say(*AS_STRANGER, "scancel", theirs)


def test_a_job_that_loses_its_place_is_lost_or_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_cluster(Setup(preemption=True, gpus=0)) as cluster, slurm_bench(cluster, tmp_path) as bench:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        low = "#SBATCH --partition=low\n#SBATCH --exclusive\n"
        mild = bench.submit("mild", head=f"{low}#SBATCH --nodelist=n1\n#SBATCH --requeue\n", body="sleep 100")
        frail = bench.submit("frail", head=f"{low}#SBATCH --nodelist=n2\n", body="sleep 100")
        for job_id in (mild, frail):
            bench.stands(job_id, JobState.RUNNING)
        bench.submit("urgent", head="#SBATCH --partition=debug\n#SBATCH --exclusive\n#SBATCH --nodes=2\n", body="true")
        assert bench.ended(frail)[0].reason == "another job took its place"
        assert bench.report(frail).state is JobState.LOST
        until(lambda: bench.report(mild).state is not JobState.RUNNING, "its loss")
        assert bench.report(mild).state is JobState.PENDING
