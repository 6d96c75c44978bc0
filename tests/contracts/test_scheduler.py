"""What every scheduler promises: the one in memory, the one that runs jobs here, a real Slurm, and one behind `ssh`."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.job import JobReport, JobRequest, JobState
from tests.fakes.scheduler import FakeScheduler
from tests.local_bench import local_bench
from tests.slurm.bench import slurm_bench
from tests.slurm.cluster import running_cluster
from tests.slurm.remote.bench import login_bench
from tests.slurm.remote.login import running_login
from tests.slurm.settings import Setup

NEVER = "DependencyNeverSatisfied"


class Bench(Protocol):
    """A scheduler, and a hand on its jobs: each ends only when told to."""

    scheduler: Scheduler

    def request(self, tag: str, after_ok: Sequence[str] = ()) -> JobRequest: ...
    def submit(self, tag: str, after_ok: Sequence[str] = ()) -> str: ...
    def start(self, job_id: str) -> None: ...
    def finish(self, job_id: str, code: int = 0, *, signal: int | None = None) -> None: ...
    def lose(self, job_id: str) -> None: ...
    def ended(self, *job_ids: str) -> list[JobReport]: ...


class FakeBench:
    """Moves jobs in memory."""

    def __init__(self) -> None:
        fake = FakeScheduler()
        self.scheduler: Scheduler = fake
        self.start, self.finish, self.lose = fake.start, fake.finish, fake.lose

    def request(self, tag: str, after_ok: Sequence[str] = ()) -> JobRequest:
        return JobRequest(script="/run.slurm", tag=tag, name=tag, chdir="/", after_ok=tuple(after_ok))

    def submit(self, tag: str, after_ok: Sequence[str] = ()) -> str:
        return self.scheduler.submit(self.request(tag, after_ok))

    def ended(self, *job_ids: str) -> list[JobReport]:
        reports = list(self.scheduler.reports(job_ids).values())
        assert all(report.state.ended for report in reports), reports
        return reports


ON_SLURM = [pytest.param(name, marks=pytest.mark.slurm) for name in ("slurm", "login host")]


@pytest.fixture(params=["fake", "local", *ON_SLURM])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    if request.param == "slurm":
        # One each, for the tests use the same tags; starting one takes no longer than emptying one.
        with running_cluster(Setup()) as cluster, slurm_bench(cluster, tmp_path) as real:
            monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
            yield real
        return
    if request.param == "login host":
        with (
            running_cluster(Setup()) as cluster,
            running_login(cluster.environment) as login,
            login_bench(cluster, tmp_path, login=login) as real,
        ):
            monkeypatch.setenv("CRUIJFF_SSH_CONFIG", str(login.config))
            yield real
        return
    with local_bench(tmp_path) as local:
        yield local


def test_a_queued_job_is_found_by_its_tag_and_has_not_ended(bench: Bench) -> None:
    job_id = bench.submit("first")
    assert bench.scheduler.find(["first", "other"]) == {"first": job_id}
    report = bench.scheduler.reports([job_id])[job_id]
    assert report.job_id == job_id
    assert report.state in (JobState.PENDING, JobState.RUNNING)
    assert report.submitted is not None
    assert report.ended is None


def test_a_tag_is_queued_once_and_answers_with_its_first_id_for_ever(bench: Bench) -> None:
    request = bench.request("once")
    job_id = bench.submit("other")
    first = bench.scheduler.submit(request)
    assert bench.scheduler.submit(request) == first != job_id
    bench.scheduler.cancel([first])
    bench.ended(first)
    assert bench.scheduler.submit(request) == first


def test_a_job_that_exits_with_zero_has_succeeded(bench: Bench) -> None:
    job_id = bench.submit("good")
    bench.start(job_id)
    assert bench.scheduler.reports([job_id])[job_id].state is JobState.RUNNING
    bench.finish(job_id)
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code, report.signal) == (JobState.SUCCEEDED, 0, None)
    moments = [moment for moment in (report.submitted, report.started, report.ended) if moment]
    assert len(moments) == 3
    assert moments == sorted(moments)


def test_a_job_that_exits_with_another_code_has_failed_with_it(bench: Bench) -> None:
    job_id = bench.submit("bad")
    bench.finish(job_id, 3)
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code, report.signal) == (JobState.FAILED, 3, None)


def test_a_job_that_dies_of_a_signal_has_failed_by_it(bench: Bench) -> None:
    job_id = bench.submit("bad")
    bench.finish(job_id, signal=signal.SIGSEGV)
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code, report.signal) == (JobState.FAILED, None, signal.SIGSEGV)


def test_a_job_whose_processes_vanish_is_lost_with_a_reason(bench: Bench) -> None:
    job_id = bench.submit("gone")
    bench.start(job_id)
    bench.lose(job_id)
    (report,) = bench.ended(job_id)
    assert report.state is JobState.LOST
    assert report.reason


def test_an_id_that_nobody_knows_is_unknown_and_not_failed(bench: Bench) -> None:
    job_id = bench.submit("known")
    strange = ["999999999", "not-a-number", "-1", "٣"]
    reports = bench.scheduler.reports([*strange, job_id])
    assert list(reports) == [*strange, job_id]
    assert {reports[each].state for each in strange} == {JobState.UNKNOWN}
    assert reports[job_id].state is not JobState.UNKNOWN


def test_a_job_starts_when_all_that_it_waits_for_have_succeeded(bench: Bench) -> None:
    first, second = bench.submit("first"), bench.submit("second")
    child = bench.submit("child", [first, second])
    bench.finish(first)
    waiting = bench.scheduler.reports([child])[child]
    assert (waiting.state, waiting.reason) == (JobState.PENDING, "Dependency")
    bench.finish(second)
    bench.finish(child)
    assert bench.ended(child)[0].state is JobState.SUCCEEDED


def test_a_job_that_waits_for_another_holds_nobody_back(bench: Bench) -> None:
    first = bench.submit("first")
    child, free = bench.submit("child", [first]), bench.submit("free")
    bench.finish(free)
    assert bench.scheduler.reports([child])[child].state is JobState.PENDING


def test_what_waits_for_a_failed_job_is_cancelled_and_so_is_what_waits_for_that(bench: Bench) -> None:
    parent = bench.submit("parent")
    child = bench.submit("child", [parent])
    grandchild = bench.submit("grandchild", [child])
    bench.finish(parent, 1)
    reports = bench.ended(child, grandchild)
    assert [(each.state, each.reason) for each in reports] == [(JobState.CANCELLED, NEVER)] * 2
    late = bench.submit("late", [grandchild])
    assert bench.ended(late)[0].reason == NEVER


def test_waiting_for_an_unknown_job_is_refused_and_queues_nothing(bench: Bench) -> None:
    for unknown in ("424242", "not-a-number"):
        with pytest.raises(SchedulerError, match=unknown) as refusal:
            bench.submit(f"child-of-{unknown}", [unknown])
        assert not refusal.value.transient
    assert bench.scheduler.find(["child-of-424242", "child-of-not-a-number"]) == {}


def test_cancelling_ends_what_waits_and_what_runs_and_leaves_the_rest_alone(bench: Bench) -> None:
    done = bench.submit("done")
    bench.finish(done)
    running = bench.submit("running")
    bench.start(running)
    waiting = bench.submit("waiting", [running])
    orphan = bench.submit("orphan", [waiting])
    bystander = bench.submit("bystander")
    bench.scheduler.cancel([done, running, waiting, "999999999", "not-a-number"])
    states = [report.state for report in bench.ended(done, running, waiting)]
    assert states == [JobState.SUCCEEDED, JobState.CANCELLED, JobState.CANCELLED]
    assert bench.ended(orphan)[0].reason == NEVER
    assert not bench.scheduler.reports([bystander])[bystander].state.ended


def test_what_ended_jobs_took_is_told_and_nothing_of_others(bench: Bench) -> None:
    ended, waiting = bench.submit("ended"), bench.submit("waiting")
    bench.start(ended)
    bench.finish(ended)
    usage = bench.scheduler.usage([ended, waiting, "999999999", "not-a-number"])
    assert list(usage) == [ended]
    (report,) = bench.ended(ended)
    assert report.started
    assert report.ended
    assert usage[ended].elapsed_seconds == pytest.approx((report.ended - report.started).total_seconds(), abs=0.01)
    assert bench.scheduler.usage([]) == {}


def test_reviving_a_queue_that_lives_or_is_empty_changes_nothing(bench: Bench) -> None:
    bench.scheduler.revive()
    job_id = bench.submit("job")
    bench.scheduler.revive()
    bench.scheduler.revive()
    bench.finish(job_id)
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED


def test_an_id_under_another_tag_is_nobodys_and_is_never_cancelled(bench: Bench) -> None:
    job_id, other = bench.submit("mine"), bench.submit("other")
    tags = {job_id: "somebody-elses", other: "other"}
    reports = bench.scheduler.reports([job_id, other], tags=tags)
    assert reports[job_id].state is JobState.UNKNOWN
    assert not reports[other].state.ended
    assert reports[other].state is not JobState.UNKNOWN
    bench.scheduler.cancel([job_id, other], tags=tags)
    assert bench.ended(other)[0].state is JobState.CANCELLED
    assert not bench.scheduler.reports([job_id])[job_id].state.ended


def test_a_scheduler_opened_anew_knows_the_tags_that_are_queued(bench: Bench) -> None:
    job_id = bench.submit("kept")
    bench.scheduler.revive()
    assert bench.scheduler.find(["kept", "never"]) == {"kept": job_id}
    assert bench.scheduler.find([]) == {}
    assert bench.scheduler.reports([]) == {}
