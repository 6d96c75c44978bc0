"""What every scheduler promises: the one in memory, the one that runs jobs here, a real Slurm, and one behind `ssh`."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from cruijff_kit.errors import DependencyError
from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.job import ArrayElement, ArrayRequest, JobReport, JobRequest, JobState
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
    def array(self, tag: str, edges: Sequence[Sequence[str]], *, indices: Sequence[int] = ()) -> ArrayRequest: ...
    def submit_array(self, request: ArrayRequest) -> list[str]: ...
    def start(self, job_id: str) -> None: ...
    def finish(self, job_id: str, code: int = 0, *, signal: int | None = None) -> None: ...
    def lose(self, job_id: str) -> None: ...
    def ended(self, *job_ids: str) -> list[JobReport]: ...
    def limit(self, job_id: str) -> int | None: ...


class FakeBench:
    """Moves jobs in memory."""

    def __init__(self) -> None:
        fake = FakeScheduler()
        self.scheduler: Scheduler = fake
        self.start, self.finish, self.lose, self.limit = fake.start, fake.finish, fake.lose, fake.limit

    def request(self, tag: str, after_ok: Sequence[str] = ()) -> JobRequest:
        return JobRequest(script="/run.slurm", tag=tag, name=tag, chdir="/", after_ok=tuple(after_ok))

    def submit(self, tag: str, after_ok: Sequence[str] = ()) -> str:
        return self.scheduler.submit(self.request(tag, after_ok))

    def array(self, tag: str, edges: Sequence[Sequence[str]], *, indices: Sequence[int] = ()) -> ArrayRequest:
        places = indices or range(len(edges))
        elements = [ArrayElement(index=index, after_ok=tuple(edge)) for index, edge in zip(places, edges, strict=True)]
        return ArrayRequest(script="/array.slurm", tag=tag, name=tag, chdir="/", elements=tuple(elements))

    def submit_array(self, request: ArrayRequest) -> list[str]:
        return list(self.scheduler.submit_array(request).values())

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
    with local_bench(tmp_path, slots=4) as local:
        yield local


def test_a_queued_job_is_found_by_its_tag_and_has_not_ended(bench: Bench) -> None:
    job_id = bench.submit("first")
    assert bench.scheduler.find(["first", "other"]) == {"first": job_id}
    report = bench.scheduler.reports([job_id])[job_id]
    assert report.job_id == job_id
    assert report.state in (JobState.PENDING, JobState.RUNNING)
    assert report.submitted is not None
    assert report.ended is None


def test_a_time_limit_of_the_request_wins_over_the_scripts(bench: Bench) -> None:
    plain, shorter = bench.request("plain"), bench.request("shorter").model_copy(update={"time": "00:02:00"})
    days = bench.request("days").model_copy(update={"time": "0-01:30:00"})
    script = Path(shorter.script)
    if script.exists():
        for each in (plain, shorter, days):
            text = Path(each.script).read_text(encoding="utf-8")
            Path(each.script).write_text(text.replace("\n", "\n#SBATCH --time=01:00:00\n", 1), encoding="utf-8")
    limits = [bench.limit(bench.scheduler.submit(each)) for each in (plain, shorter, days)]
    assert limits == [3600, 120, 5400]


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
        with pytest.raises(DependencyError, match=unknown) as refusal:
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
    assert bench.scheduler.usage([ended], tags={ended: "ended"}) == usage
    assert bench.scheduler.usage([ended], tags={ended: "somebody-elses"}) == {}
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


def test_the_elements_of_an_array_are_found_reported_and_end_one_by_one(bench: Bench) -> None:
    ids = bench.submit_array(bench.array("grid", [[], [], []], indices=[0, 2, 7]))
    assert bench.scheduler.find(["grid.0", "grid.1", "grid.2", "grid.7", "grid"]) == {
        "grid.0": ids[0],
        "grid.2": ids[1],
        "grid.7": ids[2],
    }
    bench.finish(ids[0])
    bench.finish(ids[1], 3)
    states = [(report.state, report.exit_code) for report in bench.ended(*ids[:2])]
    assert states == [(JobState.SUCCEEDED, 0), (JobState.FAILED, 3)]
    assert not bench.scheduler.reports(ids)[ids[2]].state.ended
    assert set(bench.scheduler.usage(ids)) == set(ids[:2])


def test_an_element_is_queued_once_whoever_died_after_the_array_was_taken(bench: Bench) -> None:
    ids = bench.submit_array(bench.array("grid", [[], []]))
    bench.scheduler.cancel(ids[1:])
    bench.ended(ids[1])
    bench.scheduler.revive()
    assert bench.submit_array(bench.array("grid", [[], []])) == ids
    more = bench.submit_array(bench.array("grid", [[]] * 4))
    assert more[:2] == ids
    assert len(set(more)) == 4
    bench.scheduler.revive()
    assert list(bench.scheduler.find([f"grid.{index}" for index in range(5)]).values()) == more


def test_cancelling_an_element_leaves_the_others_alone_the_last_one_too(bench: Bench) -> None:
    gate = bench.submit("gate")
    ids = bench.submit_array(bench.array("grid", [[], [gate], [gate], [gate]]))
    bench.start(ids[0])
    bench.scheduler.cancel([ids[1], ids[3]])
    assert [each.state for each in bench.ended(ids[1], ids[3])] == [JobState.CANCELLED] * 2
    reports = bench.scheduler.reports(ids)
    assert (reports[ids[0]].state, reports[ids[2]].state) == (JobState.RUNNING, JobState.PENDING)
    bench.scheduler.cancel([ids[0]])
    assert bench.ended(ids[0])[0].state is JobState.CANCELLED
    assert bench.scheduler.reports(ids)[ids[2]].state is JobState.PENDING


def test_an_element_that_nobody_looked_at_is_known_to_be_cancelled(bench: Bench) -> None:
    ids = bench.submit_array(bench.array("grid", [[]] * 4))
    bench.scheduler.cancel(ids[2:])
    bench.scheduler.revive()
    assert {each.state for each in bench.ended(*ids[2:])} == {JobState.CANCELLED}
    assert set(bench.scheduler.find(["grid.2", "grid.3"])) == {"grid.2", "grid.3"}


def test_each_element_waits_for_its_own_jobs_alone(bench: Bench) -> None:
    trained = bench.submit_array(bench.array("train", [[], [], []]))
    scored = bench.submit_array(bench.array("score", [[each] for each in trained]))
    bench.finish(trained[1])
    bench.finish(scored[1])
    bench.finish(trained[2], 1)
    assert [(each.state, each.reason) for each in bench.ended(scored[2])] == [(JobState.CANCELLED, NEVER)]
    assert bench.ended(scored[1])[0].state is JobState.SUCCEEDED
    waiting = bench.scheduler.reports(scored)[scored[0]]
    assert (waiting.state, waiting.reason) == (JobState.PENDING, "Dependency")
    bench.finish(trained[0])
    bench.finish(scored[0])
    assert bench.ended(scored[0])[0].state is JobState.SUCCEEDED


def test_elements_may_wait_for_anything_or_nothing(bench: Bench) -> None:
    alone, other = bench.submit("alone"), bench.submit_array(bench.array("other", [[], []]))
    bench.finish(other[0])
    edges = [[], [alone], [other[1]], [other[0], alone], [other[0]]]
    ids = bench.submit_array(bench.array("mixed", edges))
    for job_id in (ids[0], ids[4]):
        bench.finish(job_id)
    bench.finish(alone)
    for job_id in (ids[1], ids[3]):
        bench.finish(job_id)
    assert bench.scheduler.reports(ids)[ids[2]].state is JobState.PENDING
    bench.finish(other[1], 1)
    assert bench.ended(ids[2])[0].reason == NEVER
    assert {each.state for each in bench.ended(ids[0], ids[1], ids[3], ids[4])} == {JobState.SUCCEEDED}


def test_an_array_that_waits_for_an_unknown_job_is_refused_and_queues_nothing(bench: Bench) -> None:
    with pytest.raises(DependencyError, match="424242") as refusal:
        bench.submit_array(bench.array("grid", [[], ["424242"]]))
    assert not refusal.value.transient
    assert bench.scheduler.find(["grid.0", "grid.1"]) == {}


def test_an_element_under_another_tag_is_nobodys_and_is_never_cancelled(bench: Bench) -> None:
    ids = bench.submit_array(bench.array("mine", [[], []]))
    tags = {ids[0]: "mine.1", ids[1]: "mine.1"}
    assert bench.scheduler.reports(ids, tags=tags)[ids[0]].state is JobState.UNKNOWN
    bench.scheduler.cancel(ids, tags=tags)
    assert bench.ended(ids[1])[0].state is JobState.CANCELLED
    assert not bench.scheduler.reports(ids)[ids[0]].state.ended


def test_an_array_may_have_many_elements(bench: Bench) -> None:
    assert bench.scheduler.most_elements() >= 1000
