"""What a question costs the cluster: how many commands, whatever the number of jobs."""

import pytest

from cruijff_kit.schema.job import JobState
from tests.slurm.bench import SlurmBench
from tests.slurm.counter import Counter

JOBS = 10_000


@pytest.fixture
def counter(bench: SlurmBench, monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter(bench.folder)
    monkeypatch.setenv("PATH", f"{counter.folder}:/usr/sbin:/usr/bin:/sbin:/bin")
    return counter


def test_one_look_at_ten_thousand_jobs_asks_the_queue_and_accounting_once_each(
    bench: SlurmBench, counter: Counter
) -> None:
    array = bench.by_hand("true", f"--array=1-{JOBS}", "--hold")
    wanted = [f"{array}_{index}" for index in range(1, JOBS + 1)]
    unknown = [str(number) for number in range(8_000_000, 8_001_000)]
    scheduler = bench.another()
    counter.calls()
    reports = scheduler.reports([*wanted, *unknown])
    assert sorted(counter.calls()) == ["sacct", "squeue"]
    assert {reports[each].state for each in wanted} == {JobState.PENDING}
    assert {reports[each].state for each in unknown} == {JobState.UNKNOWN}
    # This cluster keeps no accounts, which is asked once and then known.
    scheduler.reports(wanted)
    scheduler.reports(unknown)
    assert counter.calls() == ["squeue", "squeue"]
    bench.cluster.say("scancel", array)


def test_a_row_of_submissions_looks_once_and_then_only_submits(bench: SlurmBench, counter: Counter) -> None:
    requests = [bench.request(f"row-{number}", body="true") for number in range(5)]
    scheduler = bench.another()
    counter.calls()
    jobs = [scheduler.submit(request) for request in requests]
    assert counter.calls() == ["squeue", "sacct", *["sbatch"] * 5]
    assert scheduler.find([request.tag for request in requests]) == {
        request.tag: job_id for request, job_id in zip(requests, jobs, strict=True)
    }
    assert [scheduler.submit(request) for request in requests] == jobs
    assert counter.calls() == ["squeue"]
    scheduler.reports([])
    scheduler.cancel([])
    assert counter.calls() == []
    bench.ended(*jobs)


def test_jobs_are_cancelled_together_after_one_look(bench: SlurmBench, counter: Counter) -> None:
    jobs = [bench.submit(f"stop-{number}", body="sleep 100") for number in range(5)]
    counter.calls()
    bench.scheduler.cancel(jobs)
    assert counter.calls() == ["squeue", "scancel"]
    assert {report.state for report in bench.ended(*jobs)} == {JobState.CANCELLED}
