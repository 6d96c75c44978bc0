"""What accounting knows when the controller no longer does, and what it may not be believed."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobState
from tests.gated_bench import until
from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.settings import Setup, user_name


@pytest.fixture(scope="module")
def accounted() -> Iterator[Cluster]:
    with running_cluster(Setup(accounting=True, gpus=0, message_timeout=3)) as cluster:
        yield cluster


@pytest.fixture
def bench(accounted: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmBench]:
    monkeypatch.setenv("SLURM_CONF", accounted.environment["SLURM_CONF"])
    with slurm_bench(accounted, tmp_path) as real:
        yield real
    accounted.clear()


def booked(bench: SlurmBench, *tags: str, states: str = "COMPLETED|FAILED|CANCELLED") -> None:
    """Wait until accounting has jobs in such a state, and their names: it follows by seconds."""

    def known() -> bool:
        lines = bench.cluster.say("sacct", "-n", "-X", "-D", "-P", "-o", "State,JobName").split("\n")
        there = {line.rpartition(":")[2] for line in lines if re.match(states, line)}
        return there.issuperset(tags)

    until(known, f"{tags} in accounting")


def test_ends_are_known_from_accounting_once_the_controller_has_forgotten(bench: SlurmBench) -> None:
    bodies = {
        "good": "exit 0",
        "bad": "exit 3",
        "crashed": "kill -SEGV $$",
        "unclear": "exit 137",
        "stopped": "sleep 100",
    }
    jobs = {tag: bench.submit(f"books-{tag}", body=body) for tag, body in bodies.items()}
    bench.stands(jobs["stopped"], JobState.RUNNING)
    bench.scheduler.cancel([jobs["stopped"]])
    bench.ended(*jobs.values())
    booked(bench, *(f"books-{tag}" for tag in jobs))
    bench.cluster.forget_jobs()
    reports = {tag: bench.report(job_id) for tag, job_id in jobs.items()}
    assert {tag: (each.state, each.exit_code, each.signal) for tag, each in reports.items()} == {
        "good": (JobState.SUCCEEDED, 0, None),
        "bad": (JobState.FAILED, 3, None),
        "crashed": (JobState.FAILED, None, signal.SIGSEGV),
        "unclear": (JobState.FAILED, 9, None),
        "stopped": (JobState.CANCELLED, None, reports["stopped"].signal),
    }
    assert "or a process killed by signal 9" in reports["unclear"].reason
    assert reports["stopped"].reason.startswith("cancelled by user")
    assert all(each.ended is not None for each in reports.values())
    fresh = bench.another()
    assert fresh.find(["books-good", "books-bad", "books-never"]) == {
        "books-good": jobs["good"],
        "books-bad": jobs["bad"],
    }
    assert fresh.submit(bench.request("books-good", body="true")) == jobs["good"]
    assert bench.cluster.say("squeue", "-h", "-t", "all") == ""
    child = bench.submit("books-child", [jobs["good"]], body="true")
    assert bench.ended(child)[0].state is JobState.SUCCEEDED
    with pytest.raises(SchedulerError, match="which ended as failed"):
        bench.submit("books-orphan", [jobs["bad"]], body="true")


def test_what_a_job_took_is_asked_of_accounting_once_the_controller_has_forgotten(bench: SlurmBench) -> None:
    # Memory is sampled once a second, so it is held until a sample tells of it.
    body = "x=$(head -c 60000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; sleep 2.5"
    worked, failed = bench.submit("took-much", body=body), bench.submit("took-little", body="exit 3")
    waiting = bench.submit("took-nothing", [worked], head="#SBATCH --hold\n", body="true")
    ends = {report.job_id: report for report in bench.ended(worked, failed)}
    booked(bench, "took-much", "took-little")
    usage = bench.scheduler.usage([worked, failed, waiting, "999999999"])
    assert set(usage) == {worked, failed}
    started, ended = ends[worked].started, ends[worked].ended
    assert started
    assert ended
    assert usage[worked].elapsed_seconds == (ended - started).total_seconds() >= 2
    assert 0.1 < (usage[worked].cpu_seconds or 0) < 60
    assert 50_000_000 < (usage[worked].max_memory_bytes or 0) < 2_000_000_000
    assert usage[worked].energy_joules is None
    bench.scheduler.cancel([waiting])
    bench.ended(waiting)
    bench.cluster.forget_jobs()
    assert bench.another().usage([worked, failed]) == usage


def test_a_job_that_was_refused_is_in_the_books_and_is_not_taken_for_a_submission(bench: SlurmBench) -> None:
    with pytest.raises(SchedulerError, match="Memory specification"):
        bench.submit("books-refused", head="#SBATCH --mem=9000G\n", body="true")
    booked(bench, "books-refused")
    assert bench.another().find(["books-refused"]) == {}
    bench.cluster.forget_jobs()
    assert bench.another().find(["books-refused"]) == {}


def test_a_job_that_was_queued_again_is_known_by_its_last_run(bench: SlurmBench) -> None:
    head = "#SBATCH --requeue\n#SBATCH --open-mode=append\n"
    job_id = bench.submit("twice", head=head, body="echo run >> runs.txt; [ $(wc -l < runs.txt) = 2 ] || sleep 100")
    until(lambda: bench.text("runs.txt"), "its first run")
    bench.cluster.say("scontrol", "requeue", job_id)
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    booked(bench, "twice")
    bench.cluster.forget_jobs()
    assert bench.report(job_id).state is JobState.SUCCEEDED
    # Forgetting has numbers begin anew: other jobs had this one before.
    lines = bench.cluster.say("sacct", "-n", "-X", "-D", "-P", "-j", job_id, "-o", "ElapsedRaw,JobName").split()
    lasted = [int(line.partition("|")[0]) for line in lines if line.endswith(":twice")]
    assert len(lasted) == 2
    assert bench.scheduler.usage([job_id])[job_id].elapsed_seconds == sum(lasted)


def test_two_jobs_that_had_the_same_number_are_told_apart_by_their_tags(bench: SlurmBench) -> None:
    bench.cluster.forget_jobs()
    first = bench.submit("same-number-first", body="sleep 2; exit 5")
    bench.ended(first)
    booked(bench, "same-number-first")
    bench.cluster.forget_jobs()
    second = bench.submit("same-number-second", body="exit 6")
    bench.ended(second)
    assert first == second
    booked(bench, "same-number-second")
    bench.cluster.forget_jobs()
    reports = [bench.scheduler.reports([first], tags={first: f"same-number-{each}"}) for each in ("first", "second")]
    assert [each[first].exit_code for each in reports] == [5, 6]
    took = [bench.scheduler.usage([first], tags={first: f"same-number-{each}"}) for each in ("first", "second")]
    assert [(each[first].elapsed_seconds or 0) >= 2 for each in took] == [True, False]
    assert bench.scheduler.usage([first], tags={first: "same-number-third"}) == {}


def test_what_accounting_still_calls_waiting_and_the_controller_lost_is_submitted_again(bench: SlurmBench) -> None:
    blocker = bench.by_hand("sleep 100", "--exclusive", "--nodes=2")
    bench.stands(blocker, JobState.RUNNING)
    bench.cluster.keep_state()
    lost = bench.submit("lost-here", body="true")
    booked(bench, "lost-here", states="PENDING")
    bench.cluster.lose_what_followed()
    report = bench.scheduler.reports([lost], tags={lost: "lost-here"})[lost]
    assert report.state is JobState.UNKNOWN
    assert "accounting last called it pending" in report.reason
    assert bench.another().find(["lost-here"]) == {}
    again = bench.another().submit(bench.request("lost-here", body="true"))
    bench.cluster.say("scancel", blocker)
    assert bench.ended(again)[0].state is JobState.SUCCEEDED


def test_a_job_that_accounting_alone_calls_running_is_no_longer_held(bench: SlurmBench) -> None:
    """A controller that dies with its state leaves such a record open for ever."""
    bench.cluster.keep_state()
    job_id = bench.submit("ran-away", body="sleep 100")
    bench.stands(job_id, JobState.RUNNING)
    booked(bench, "ran-away", states="RUNNING")
    bench.cluster.lose_what_followed()
    report = bench.report(job_id)
    assert report.state is JobState.UNKNOWN
    assert report.absent
    assert "accounting last called it running" in report.reason


def test_while_accounting_is_down_jobs_are_submitted_and_followed_and_nothing_is_concluded(bench: SlurmBench) -> None:
    forgotten = bench.submit("forgotten", body="exit 3")
    assert bench.ended(forgotten)[0].exit_code == 3
    booked(bench, "forgotten")
    bench.cluster.forget_jobs()
    bench.cluster.end("slurmdbd", signal.SIGKILL)
    try:
        reader = bench.another()
        tags = {forgotten: "forgotten"}
        unheard = reader.reports([forgotten], tags=tags)[forgotten]
        # What accounting may say of its end a moment later, nobody has asked it yet.
        assert (unheard.state, unheard.absent) == (JobState.UNKNOWN, False)
        with pytest.raises(SchedulerError, match="accounting does not answer") as silence:
            reader.find(["forgotten"])
        assert silence.value.transient
        job_id = reader.submit(bench.request("meanwhile", body="exit 4"))
        assert bench.ended(job_id)[0].exit_code == 4
    finally:
        bench.cluster.start_accounting()
        # A controller hears of changed limits again only after it has announced itself anew.
        bench.cluster.end("slurmctld")
        bench.cluster.start_controller()
    assert bench.another().reports([forgotten], tags=tags)[forgotten].exit_code == 3
    # What ended meanwhile is told to accounting afterwards.
    booked(bench, "meanwhile")
    bench.cluster.forget_jobs()
    assert bench.another().reports([job_id], tags={job_id: "meanwhile"})[job_id].exit_code == 4


def test_a_job_that_ended_before_midnight_days_ago_is_known_and_its_tag_is_not_submitted_again(
    bench: SlurmBench,
) -> None:
    """By itself accounting tells of today alone."""
    job_id = bench.submit("days-ago", body="exit 3")
    bench.ended(job_id)
    booked(bench, "days-ago")
    bench.cluster.forget_jobs()
    bench.cluster.age_books(days=3)
    assert "days-ago" not in bench.cluster.say("sacct", "-n", "-X", "-o", "JobName%60")
    reader = bench.another()
    assert reader.reports([job_id], tags={job_id: "days-ago"})[job_id].exit_code == 3
    assert reader.find(["days-ago"]) == {"days-ago": job_id}
    assert reader.submit(bench.request("days-ago", body="true")) == job_id


def test_a_job_over_its_accounts_limit_waits_and_its_cluster_is_no_part_of_its_number(bench: SlurmBench) -> None:
    bench.cluster.say("sacctmgr", "-i", "modify", "user", user_name(), "set", "maxjobs=0")
    try:
        until(lambda: limited(bench, "MaxJobs=0"), "the limit in the controller")
        job_id = bench.submit("limited", head="#SBATCH --clusters=test\n", body="true")
        assert job_id.isdigit()
        bench.stands(job_id, JobState.PENDING, "AssocMaxJobsLimit")
        assert bench.another().find(["limited"]) == {"limited": job_id}
        bench.scheduler.cancel([job_id])
    finally:
        bench.cluster.say("sacctmgr", "-i", "modify", "user", user_name(), "set", "maxjobs=-1")


def limited(bench: SlurmBench, limit: str) -> bool:
    """Return whether the controller has heard of a limit of this user's: accounting tells it."""
    return limit in bench.cluster.say("scontrol", "show", "assoc_mgr", "flags=assoc", f"users={user_name()}")


def test_a_lost_run_in_the_books_is_no_verdict_while_the_controller_may_hold_the_next(bench: SlurmBench) -> None:
    job_id = bench.submit("waits-again", head="#SBATCH --requeue\n#SBATCH --nodelist=n2\n", body="sleep 100")
    bench.stands(job_id, JobState.RUNNING)
    bench.cluster.say("scontrol", "update", "nodename=n2", "state=down", "reason=lost")
    bench.stands(job_id, JobState.PENDING)
    booked(bench, "waits-again", states="NODE_FAIL")
    # Stopped and not killed, so that it has written down what it knows.
    bench.cluster.end("slurmctld")
    report = bench.report(job_id)
    assert report.state is JobState.UNKNOWN
    assert "does not answer" in report.reason
    bench.cluster.start_controller()
    assert bench.report(job_id).state in (JobState.PENDING, JobState.RUNNING)


@pytest.mark.parametrize(
    "line,said,transient",
    (
        ("--account=nobody", "(?i)invalid account", False),
        ("--qos=nosuch", "(?i)invalid qos", False),
        ("--job-name=full", "(?i)submit", True),
    ),
    ids=("account", "qos", "too-many-jobs"),
)
def test_an_account_a_quality_or_a_full_queue_is_told_with_whether_waiting_helps(
    bench: SlurmBench, line: str, said: str, transient: bool
) -> None:
    request = bench.request(f"books-refused{transient}-{line[2:5]}", head=f"#SBATCH {line}\n", body="true")
    limit = "0" if transient else "-1"
    bench.cluster.say("sacctmgr", "-i", "modify", "user", user_name(), "set", f"maxsubmitjobs={limit}")
    try:
        until(lambda: not transient or limited(bench, "MaxSubmitJobs=0"), "the limit in the controller")
        with pytest.raises(SchedulerError, match=said) as refusal:
            bench.scheduler.submit(request)
    finally:
        bench.cluster.say("sacctmgr", "-i", "modify", "user", user_name(), "set", "maxsubmitjobs=-1")
    assert refusal.value.transient is transient
    assert refusal.value.hint


def test_elements_of_an_array_are_known_from_accounting_one_by_one(bench: SlurmBench) -> None:
    body = '[ "$SLURM_ARRAY_TASK_ID" != 5 ] || exit 4'
    ids = bench.submit_array(bench.array("booked", [[], [], []], indices=[0, 5, 6], body=f"{body}\n"))
    held = bench.submit_array(bench.array("held", [[ids[1]]] * 2, body="true\n"))
    bench.ended(*ids, *held)
    booked(bench, "booked")
    assert set(bench.another().usage(ids[1:])) == set(ids[1:])
    bench.cluster.forget_jobs()
    tags = {job_id: f"booked.{index}" for job_id, index in zip(ids, (0, 5, 6), strict=True)}
    reports = bench.another().reports(ids, tags=tags)
    assert [(each.state, each.exit_code) for each in reports.values()] == [
        (JobState.SUCCEEDED, 0),
        (JobState.FAILED, 4),
        (JobState.SUCCEEDED, 0),
    ]
    assert {each.state for each in bench.another().reports(ids, tags=dict.fromkeys(ids, "other")).values()} == {
        JobState.UNKNOWN
    }
    assert bench.another().find(list(tags.values())) == {tag: job_id for job_id, tag in tags.items()}
    assert bench.submit_array(bench.array("booked", [[], [], []], indices=[0, 5, 6], body="true\n")) == ids
