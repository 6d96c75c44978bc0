"""A controller that stops, dies, forgets and gives numbers anew; it keeps no accounts."""

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.schema.job import JobState
from tests.slurm.bench import SlurmBench, slurm_bench
from tests.slurm.cluster import running_cluster
from tests.slurm.counter import Counter
from tests.slurm.settings import Setup


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmBench]:
    with running_cluster(Setup(gpus=0, message_timeout=2)) as cluster, slurm_bench(cluster, tmp_path) as real:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        yield real


def test_jobs_their_edges_and_their_ends_survive_a_restart_of_the_controller(bench: SlurmBench) -> None:
    ended = bench.submit("ended", body="exit 3")
    parent = bench.submit("parent")
    child = bench.submit("child", [parent], body="echo ran > ran.txt")
    bench.start(parent)
    bench.ended(ended)
    bench.cluster.end("slurmctld")
    bench.cluster.start_controller()
    assert bench.report(ended).exit_code == 3
    assert bench.report(child).state is JobState.PENDING
    assert not bench.text("ran.txt")
    bench.finish(parent)
    assert bench.ended(child)[0].state is JobState.SUCCEEDED


def test_a_job_that_a_killed_controller_lost_is_unknown_and_its_tag_is_submitted_again(bench: SlurmBench) -> None:
    kept = bench.submit("kept-before", head="#SBATCH --hold\n", body="true")
    bench.cluster.keep_state()
    lost = bench.submit("lost", head="#SBATCH --hold\n", body="true")
    bench.cluster.lose_what_followed()
    assert bench.report(kept).state is JobState.PENDING
    assert bench.report(lost).state is JobState.UNKNOWN
    assert bench.scheduler.find(["lost"]) == {}
    again = bench.scheduler.submit(bench.request("lost", body="true"))
    assert bench.ended(again)[0].state is JobState.SUCCEEDED
    assert again == lost


def test_a_number_that_was_given_to_another_job_is_not_taken_for_ours(bench: SlurmBench) -> None:
    lost = bench.submit("training", head="#SBATCH --hold\n", body="true")
    bench.cluster.forget_jobs()
    stranger = bench.by_hand("sleep 100")
    assert stranger == lost
    tags = {lost: "training"}
    assert bench.scheduler.reports([lost], tags=tags)[lost].state is JobState.UNKNOWN
    bench.scheduler.cancel([lost], tags=tags)
    bench.stands(stranger, JobState.RUNNING)
    request = bench.request("evaluation", [lost], body="true").model_copy(update={"after_tags": ("training",)})
    with pytest.raises(SchedulerError, match="which Slurm does not know"):
        bench.scheduler.submit(request)
    bench.cluster.say("scancel", stranger)


def test_an_ended_job_that_the_controller_forgot_is_unknown_and_never_failed(bench: SlurmBench) -> None:
    parent = bench.submit("parent", body="true")
    bench.ended(parent)
    bench.cluster.forget_jobs()
    report = bench.report(parent)
    assert (report.state, report.exit_code) == (JobState.UNKNOWN, None)
    with pytest.raises(SchedulerError, match="which Slurm does not know") as refusal:
        bench.submit("child", [parent], body="true")
    assert not refusal.value.transient
    # Slurm itself takes a number that it does not know as one that succeeded.
    bench.stands(bench.by_hand("true", "--dependency=afterok:424242"), JobState.SUCCEEDED)


def test_a_submitter_that_dies_before_it_heard_its_number_queues_nothing_twice(bench: SlurmBench) -> None:
    request = bench.request("once", body="echo ran >> ran.txt")
    first = bench.scheduler.submit(request)
    survivor = bench.another()
    assert survivor.find(["once", "other"]) == {"once": first}
    assert survivor.submit(request) == first
    assert bench.another().submit(request) == first
    bench.ended(first)
    assert bench.another().submit(request) == first
    assert bench.text("ran.txt") == "ran\n"


@contextlib.contextmanager
def all_jobs_forgotten_meanwhile(bench: SlurmBench, counter: Counter) -> Iterator[None]:
    """Have the controller lose every job between our question and the `sbatch` that follows from it."""
    gate, sbatch = bench.folder / "sbatch.gate", counter.folder / "sbatch"
    os.mkfifo(gate)
    text = sbatch.read_text(encoding="utf-8").replace("\nexec ", f"\nread -r word < {gate}\nexec ")
    sbatch.write_text(text, encoding="utf-8")
    yield
    with gate.open("w", encoding="utf-8") as opened:
        bench.cluster.forget_jobs()
        opened.write("go\n")


@pytest.mark.parametrize("number", ("its own", "another"))
def test_a_parent_that_is_lost_while_its_dependant_is_submitted_lets_nothing_run(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """Slurm takes a number that it does not know as met, and lets no job wait for itself."""
    for name in () if number == "its own" else ("first",):
        bench.submit(name, body="true")
    parent = bench.submit("parent", body="sleep 100")
    request = bench.request("child", [parent], body="echo ran > ran.txt; sleep 100")
    counter = Counter(bench.folder)
    monkeypatch.setenv("PATH", f"{counter.folder}:/usr/bin:/bin")
    with ThreadPoolExecutor(1) as pool:
        with all_jobs_forgotten_meanwhile(bench, counter):
            asked = pool.submit(bench.scheduler.submit, request.model_copy(update={"after_tags": ("parent",)}))
        if number == "its own":
            with pytest.raises(DependencyError, match="ependency problem"):
                asked.result()
            assert bench.another().find(["child"]) == {}
        else:
            assert bench.ended(asked.result())[0].state is JobState.CANCELLED


def test_an_array_whose_parents_are_lost_meanwhile_is_cancelled_after_one_question(
    bench: SlurmBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit("first", body="true")
    parents = bench.scheduler.submit_array(bench.array("parents", [()] * 3, body="sleep 100"))
    children = bench.array("children", [(each,) for each in parents.values()], body="echo ran > ran.txt; sleep 100")
    counter = Counter(bench.folder)
    monkeypatch.setenv("PATH", f"{counter.folder}:/usr/bin:/bin")
    with ThreadPoolExecutor(1) as pool:
        with all_jobs_forgotten_meanwhile(bench, counter):
            asked = pool.submit(bench.scheduler.submit_array, children)
        jobs = asked.result()
    calls = counter.calls()
    # One question about the parents, and the one before whatever is cancelled.
    assert calls[calls.index("sbatch") :].count("squeue") == 2
    assert {report.state for report in bench.ended(*jobs.values())} == {JobState.CANCELLED}


def test_a_controller_killed_and_started_keeps_what_it_had_written(bench: SlurmBench) -> None:
    job_id = bench.submit("kept")
    bench.start(job_id)
    bench.cluster.end("slurmctld")
    bench.cluster.start_controller()
    bench.cluster.end("slurmctld", signal.SIGKILL)
    bench.cluster.start_controller()
    bench.finish(job_id)
    assert bench.report(job_id).state is JobState.SUCCEEDED
