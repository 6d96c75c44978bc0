"""Why jobs wait on a real Slurm, and what waits for what."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobState
from tests.gated_bench import until
from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import running_cluster
from tests.slurm.settings import Setup, user_name

NEVER = "DependencyNeverSatisfied"


class Wait(NamedTuple):
    """A directive that makes a job wait, and the reason that has to be told."""

    name: str
    head: str
    reason: str
    operator: str = ""


WAITS = (
    Wait("held", "#SBATCH --hold\n", "JobHeldUser"),
    Wait("later", "#SBATCH --begin=now+1hour\n", "BeginTime"),
    Wait("held-by-an-operator", "#SBATCH --begin=now+1hour\n", "JobHeldAdmin", operator="hold"),
    Wait("node-taken", "#SBATCH --nodelist=n2\n#SBATCH --exclusive\n", "Resources"),
)


@pytest.mark.parametrize("case", WAITS, ids=[each.name for each in WAITS])
def test_a_job_that_waits_tells_why_and_can_be_cancelled(bench: SlurmBench, case: Wait) -> None:
    if case.reason == "Resources":
        bench.start(bench.submit(f"blocks-{case.name}", head="#SBATCH --nodelist=n2\n#SBATCH --exclusive\n"))
    job_id = bench.submit(f"waits-{case.name}", head=case.head, body="true")
    if case.operator:
        bench.cluster.say("scontrol", case.operator, job_id)
    report = bench.stands(job_id, JobState.PENDING, case.reason)
    assert (report.started, report.ended, report.exit_code) == (None, None, None)
    bench.scheduler.cancel([job_id])
    assert bench.ended(job_id)[0].state is JobState.CANCELLED


def test_a_job_waits_for_a_node_that_is_down_and_for_a_partition_that_is_closed(bench: SlurmBench) -> None:
    bench.cluster.say("scontrol", "update", "nodename=n2", "state=drain", "reason=repair")
    bench.cluster.say("scontrol", "update", "partitionname=low", "state=down")
    try:
        there = bench.submit("there", head="#SBATCH --nodelist=n2\n", body="true")
        closed = bench.submit("closed", head="#SBATCH --partition=low\n", body="true")
        bench.stands(there, JobState.PENDING, "ReqNodeNotAvail")
        bench.stands(closed, JobState.PENDING, "PartitionDown")
    finally:
        bench.cluster.say("scontrol", "update", "nodename=n2", "state=resume")
        bench.cluster.say("scontrol", "update", "partitionname=low", "state=up")


def test_a_job_waits_for_the_end_of_a_maintenance_that_it_would_reach_into(bench: SlurmBench) -> None:
    when = ("starttime=now+5minutes", "duration=60", f"users={user_name()}", "nodes=ALL", "flags=maint")
    bench.cluster.say("scontrol", "create", "reservation", "reservationname=repair", *when)
    try:
        job_id = bench.submit("before-repair", head="#SBATCH --time=00:30:00\n", body="true")
        bench.stands(job_id, JobState.PENDING, "Reserved for maintenance")
    finally:
        bench.cluster.say("scontrol", "delete", "reservationname=repair")
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED


PAUSES = {
    "suspended": (("scontrol", "suspend"), ("scontrol", "resume")),
    "stopped by a signal": (("scancel", "--signal=STOP"), ("scancel", "--signal=CONT")),
}


@pytest.mark.parametrize("told", PAUSES, ids=("suspended", "stopped"))
def test_a_job_that_is_paused_still_runs_and_goes_on(bench: SlurmBench, told: str) -> None:
    pause, resume = PAUSES[told]
    job_id = bench.submit(told.partition(" ")[0])
    bench.start(job_id)
    bench.cluster.say(*pause, job_id)
    assert bench.stands(job_id, JobState.RUNNING, told).ended is None
    bench.cluster.say(*resume, job_id)
    bench.finish(job_id)
    assert bench.report(job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize("word", ("", "State=SpecialExit"), ids=("requeue-hold", "special-exit"))
def test_a_job_queued_again_and_held_waits_and_has_not_failed(bench: SlurmBench, word: str) -> None:
    job_id = bench.submit(f"put-back-{word}".removesuffix("-").replace("=", "-"), body="sleep 100")
    bench.stands(job_id, JobState.RUNNING)
    bench.change(job_id, Requeue="1")
    bench.cluster.say("scontrol", "requeuehold", *filter(None, (word,)), job_id)
    bench.stands(job_id, JobState.PENDING)
    until(lambda: bench.words(job_id) in {"PENDING", "SPECIAL_EXIT"}, "its hold")
    assert bench.report(job_id).state is JobState.PENDING


def test_a_job_that_slurm_holds_since_it_could_not_start_it_is_let_go(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a start takes a controller that died at the right moment; here a job is held, and the reason is told so."""
    job_id = bench.submit("not-started", body="[ -e again ] || { touch again; sleep 100; }")
    until((bench.folder / "again").exists, "its first start")
    bench.change(job_id, Requeue="1")
    bench.cluster.say("scontrol", "requeuehold", job_id)
    bench.stands(job_id, JobState.PENDING, "job requeued in held state")
    bench.scheduler.revive()
    assert bench.stands(job_id, JobState.PENDING).reason == "job requeued in held state"
    wrapper = bench.folder / "bin" / "squeue"
    wrapper.parent.mkdir()
    words = "s/job requeued in held state /launch failed requeued held/"
    wrapper.write_text(f'#!/bin/sh\n{shutil.which("squeue")} "$@" | sed "{words}"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")
    bench.stands(job_id, JobState.PENDING, "launch failed requeued held")
    bench.scheduler.revive()
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED


def test_elements_of_an_array_are_told_one_by_one_whatever_holds_them(bench: SlurmBench) -> None:
    array = bench.by_hand("[ $SLURM_ARRAY_TASK_ID != 1 ] || exit 4; sleep 100", "--array=1-9%2")
    elements = [f"{array}_{index}" for index in range(1, 10)]
    until(lambda: bench.report(f"{array}_1").state is JobState.FAILED, "the end of the first element")
    until(lambda: bench.report(f"{array}_3").state is JobState.RUNNING, "the third element")
    reports = bench.scheduler.reports(elements)
    assert (reports[f"{array}_1"].state, reports[f"{array}_1"].exit_code) == (JobState.FAILED, 4)
    waiting = [reports[each] for each in elements[3:]]
    assert {each.state for each in waiting} == {JobState.PENDING}
    assert "JobArrayTaskLimit" in {each.reason for each in waiting}
    bench.scheduler.cancel([f"{array}_2", f"{array}_9"])
    assert bench.ended(f"{array}_2")[0].state is JobState.CANCELLED
    # The controller keeps nothing of an element that never began, unless it was looked at alone before.
    (never_begun,) = bench.ended(f"{array}_9")
    assert (never_begun.state, never_begun.reason) == (JobState.CANCELLED, "")
    assert bench.report(f"{array}_8").state is JobState.PENDING


def test_a_dependant_that_its_cluster_leaves_waiting_is_told_and_has_not_ended(bench: SlurmBench) -> None:
    parent = bench.submit("parent-of-stuck", body="exit 1")
    bench.ended(parent)
    stuck = bench.by_hand("true", f"--dependency=afterok:{parent}", "--kill-on-invalid-dep=no")
    assert not bench.stands(stuck, JobState.PENDING, NEVER).state.ended


def test_a_cluster_that_cancels_such_dependants_itself_is_told_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_cluster(Setup(kill_invalid=True, gpus=0)) as cluster, slurm_bench(cluster, tmp_path) as bench:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        parent = bench.submit("parent")
        child = bench.by_hand("true", f"--dependency=afterok:{parent}")
        grandchild = bench.by_hand("true", f"--dependency=afterok:{child}")
        bench.finish(parent, 2)
        assert {(each.state, each.reason) for each in bench.ended(child, grandchild)} == {(JobState.CANCELLED, NEVER)}


def test_a_job_over_the_limits_of_its_partition_waits_where_the_site_lets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_cluster(Setup(enforce_limits=False, gpus=0)) as cluster, slurm_bench(cluster, tmp_path) as bench:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        job_id = bench.submit("endless", head="#SBATCH --time=3-00:00:00\n", body="true")
        bench.stands(job_id, JobState.PENDING, "PartitionTimeLimit")


def test_a_dependency_on_a_job_that_has_succeeded_is_met(bench: SlurmBench) -> None:
    parent = bench.submit("early", body="true")
    bench.ended(parent)
    child = bench.submit("late-child", [parent], body="echo ran > ran.txt")
    assert bench.ended(child)[0].state is JobState.SUCCEEDED
    assert bench.text("ran.txt") == "ran\n"


def test_a_dependency_on_a_number_that_was_given_to_another_job_is_refused(bench: SlurmBench) -> None:
    stranger = bench.by_hand("true")
    request = bench.request("child-of-stranger", [stranger], body="true")
    with pytest.raises(SchedulerError, match="which Slurm does not know"):
        bench.scheduler.submit(request.model_copy(update={"after_tags": ("my-training",)}))
    assert bench.another().find(["child-of-stranger"]) == {}


def test_jobs_of_other_forms_and_with_odd_names_stand_beside_ours_and_change_nothing(bench: SlurmBench) -> None:
    ours = bench.submit("plain", head="#SBATCH --hold\n", body="true")
    others = [
        bench.by_hand("#SBATCH --hold\n#SBATCH hetjob\n#SBATCH --ntasks=1\nsleep 100"),
        bench.cluster.sbatch("true", f"--job-name=odd\n{ours} FAILED 256 x:strange", "--hold", folder=bench.folder),
        bench.cluster.sbatch("true", "--job-name=a|b|c", "--hold", folder=bench.folder),
    ]
    assert bench.report(ours).state is JobState.PENDING
    assert bench.another().find(["plain"]) == {"plain": ours}
    assert {report.state for report in bench.scheduler.reports([f"{others[0]}+0", *others[1:]]).values()} == {
        JobState.UNKNOWN
    }
    bench.scheduler.cancel([ours, *others])
    names = bench.cluster.say("squeue", "-h", "-o", "%i").split("\n")
    assert {f"{others[0]}+0", f"{others[0]}+1", *others[1:]} == set(names)


def test_the_longest_name_and_tag_are_known_again(bench: SlurmBench) -> None:
    tag = "t" * 64
    request = bench.request(tag, body="true", head="#SBATCH --hold\n").model_copy(update={"name": "n" * 64})
    job_id = bench.scheduler.submit(request)
    assert bench.another().find([tag]) == {tag: job_id}
    assert bench.scheduler.reports([job_id], tags={job_id: tag})[job_id].state is JobState.PENDING


def test_a_job_that_somebody_gave_another_name_is_no_longer_known_and_is_left_alone(bench: SlurmBench) -> None:
    job_id = bench.submit("renamed", head="#SBATCH --hold\n", body="true")
    bench.change(job_id, JobName="mine")
    assert bench.stands(job_id, JobState.UNKNOWN).ended is None
    bench.scheduler.cancel([job_id], tags={job_id: "renamed"})
    assert bench.words(job_id) == "PENDING"


def test_gpus_are_waited_for_and_given_by_number(bench: SlurmBench) -> None:
    show = 'echo "$CUDA_VISIBLE_DEVICES" > "$SLURM_JOB_ID.gpus"'
    first = bench.submit("four-gpus", head="#SBATCH --gres=gpu:4\n#SBATCH --nodelist=n1\n", body=f"{show}; sleep 100")
    until(lambda: bench.text(f"{first}.gpus"), "its GPUs")
    second = bench.submit("one-gpu", head="#SBATCH --gres=gpu:1\n#SBATCH --nodelist=n1\n", body=show)
    bench.stands(second, JobState.PENDING, "Resources")
    bench.scheduler.cancel([first])
    bench.ended(second)
    assert (bench.text(f"{first}.gpus"), bench.text(f"{second}.gpus")) == ("0,1,2,3\n", "0\n")
