"""The embedded scheduler with real processes: what a job gets, and how it is stopped."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cruijff_kit.adapters.local_job import APPLE
from cruijff_kit.adapters.processes import family
from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobState
from tests.local_bench import LocalBench, local_bench, until

STUBBORN = """
trap '' TERM HUP
sleep 1000 &
"$PYTHON" -c 'import os, time; os.setsid(); print(os.getpid(), file=open("own.txt", "w")); time.sleep(1000)' &
while :; do sleep 1000; done
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    with local_bench(tmp_path, gpus=("4", "7")) as local:
        yield local


# --- what a job gets ---


def test_a_job_inherits_an_allowlist_and_never_its_submitters_secrets(
    bench: LocalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "CRUIJFF_HUB_TOKEN", "ANYTHING_ELSE")
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("LC_TIME", "C")
    job_id = bench.submit("env", head="#SBATCH --cpus-per-task=3", body="env > env.txt")
    bench.ended(job_id)
    given = {name: value for name, _, value in (line.partition("=") for line in bench.text("env.txt").splitlines())}
    assert not set(secrets) & set(given)
    assert given["LC_TIME"] == "C"
    assert given["PATH"] == os.environ["PATH"]
    assert given["CRUIJFF_STATE_DIR"] == os.environ["CRUIJFF_STATE_DIR"]
    assert given["SLURM_JOB_ID"] == job_id
    assert (given["SLURM_JOB_NAME"], given["SLURM_CPUS_PER_TASK"]) == ("env", "3")
    assert given["SLURM_SUBMIT_DIR"] == given["PWD"] == str(bench.folder)
    environment = Path(f"/proc/{bench.runner()}/environ")
    kept = [*bench.root.rglob("*"), environment]
    stored = b"".join(path.read_bytes() for path in kept if path.is_file())
    assert b"hunter2" not in stored


def test_output_goes_where_the_script_says_with_its_folders_made(bench: LocalBench) -> None:
    head = '#SBATCH --output="logs/some where/%x-%j-100%%.out"\n#SBATCH -e logs/%j.err'
    job_id = bench.submit("talk", head=head, body="echo said; echo warned >&2")
    bench.ended(job_id)
    assert bench.text(f"logs/some where/talk-{job_id}-100%.out") == "said\n"
    assert bench.text(f"logs/{job_id}.err") == "warned\n"


def test_output_is_begun_anew_unless_the_script_says_append(bench: LocalBench) -> None:
    first = bench.submit("first", head="#SBATCH -o all.out", body="echo first")
    bench.ended(first)
    bench.ended(bench.submit("second", head="#SBATCH -o all.out\n#SBATCH --open-mode=append", body="echo second"))
    assert bench.text("all.out") == "first\nsecond\n"
    bench.ended(bench.submit("third", head="#SBATCH -o all.out", body="echo third"))
    assert bench.text("all.out") == "third\n"


def test_the_script_that_runs_is_the_one_that_was_submitted(bench: LocalBench) -> None:
    parent = bench.submit("parent")
    request = bench.request("child", [parent], body="echo as submitted > child.txt")
    child = bench.scheduler.submit(request)
    Path(request.script).write_text("#!/bin/sh\necho edited later > child.txt\n", encoding="utf-8")
    bench.finish(parent)
    bench.ended(child)
    assert bench.text("child.txt") == "as submitted\n"


def test_a_job_runs_in_folders_that_careless_shells_trip_over(hostile_path: Path) -> None:
    with local_bench(hostile_path) as bench:
        job_id = bench.submit("job", body='echo "$SLURM_SUBMIT_DIR" > where.txt; echo said')
        (report,) = bench.ended(job_id)
        assert report.state is JobState.SUCCEEDED
        assert bench.text("where.txt") == f"{hostile_path}\n"
        assert bench.text(f"slurm-{job_id}.out") == "said\n"


def test_apple_s_gpu_is_given_to_one_job_at_a_time_and_is_none_of_cuda(tmp_path: Path) -> None:
    with local_bench(tmp_path, gpus=(APPLE,)) as mac:
        first, second = (mac.submit(name, head="#SBATCH --gpus=1") for name in ("first", "second"))
        mac.start(first)
        assert mac.report(second).state is JobState.PENDING
        mac.finish(first)
        mac.finish(second)
        job_id = mac.submit("env", head="#SBATCH --gpus=1", body='echo "[$CUDA_VISIBLE_DEVICES]" > seen.txt')
        mac.ended(job_id)
        assert mac.text("seen.txt") == "[]\n"


def test_no_more_jobs_run_at_once_than_the_site_allows(bench: LocalBench) -> None:
    first, second, third = (bench.submit(name) for name in ("first", "second", "third"))
    bench.start(first)
    bench.start(second)
    waiting = bench.report(third)
    assert (waiting.state, waiting.reason) == (JobState.PENDING, "Resources")
    bench.finish(second)
    bench.start(third)
    assert bench.report(first).state is JobState.RUNNING


def test_a_raised_limit_holds_from_the_next_process_that_revives(bench: LocalBench) -> None:
    jobs = [bench.submit(name) for name in ("first", "second", "third")]
    bench.start(jobs[0])
    bench.another(slots=3).revive()
    bench.start(jobs[2])
    assert {bench.report(job_id).state for job_id in jobs} == {JobState.RUNNING}


def test_each_gpu_is_held_by_one_job_and_given_on(tmp_path: Path) -> None:
    with local_bench(tmp_path, slots=5, gpus=("4", "7")) as bench:
        show = 'echo "$SLURM_JOB_NAME:$CUDA_VISIBLE_DEVICES" >> gpus.txt; read -r go < "$SLURM_JOB_NAME.gate"'
        for name in ("one", "two", "both", "late"):
            os.mkfifo(bench.folder / f"{name}.gate")
        one = bench.submit("one", head="#SBATCH --gres=gpu:1", body=show)
        two = bench.submit("two", head="#SBATCH -G 1", body=show)
        both = bench.submit("both", head="#SBATCH --gpus=h100:2", body=show)
        late = bench.submit("late", head="#SBATCH --gpus=1", body=show)
        none = bench.submit("none", body="echo none:$CUDA_VISIBLE_DEVICES >> gpus.txt")
        for job_id in (one, two):
            bench.start(job_id)
        assert {bench.report(job_id).state for job_id in (both, late, none)} == {JobState.PENDING}
        for job_id in (one, two, both, late):
            bench.finish(job_id)
        bench.ended(none)
        assert sorted(bench.text("gpus.txt").split()[:2]) == ["one:4", "two:7"]
        assert bench.text("gpus.txt").split()[2] == "both:4,7"
        assert {"late:4", "none:"} == set(bench.text("gpus.txt").split()[3:])


def test_a_script_that_asks_for_more_gpus_than_there_are_is_refused(bench: LocalBench) -> None:
    with pytest.raises(SchedulerError, match="asks for 3 GPUs; this machine gives 2"):
        bench.submit("greedy", head="#SBATCH --gpus=3", body="true")


def test_a_missing_script_or_directory_is_refused_and_one_that_vanished_fails_the_job(bench: LocalBench) -> None:
    request = bench.request("job", body="true")
    gone = request.model_copy(update={"script": f"{bench.folder}/none.slurm"})
    with pytest.raises(SchedulerError, match="unable to open script"):
        bench.scheduler.submit(gone)
    with pytest.raises(SchedulerError, match="no such directory"):
        bench.scheduler.submit(request.model_copy(update={"chdir": f"{bench.folder}/none"}))
    parent = bench.submit("parent")
    folder = bench.folder / "short-lived"
    folder.mkdir()
    moved = request.model_copy(update={"chdir": str(folder), "after_ok": (parent,)})
    job_id = bench.scheduler.submit(moved)
    folder.rmdir()
    bench.finish(parent)
    (report,) = bench.ended(job_id)
    assert report.state is JobState.FAILED
    assert str(folder) in report.reason


# --- how a job is stopped ---


def test_a_job_that_ignores_the_request_to_stop_is_killed_with_all_its_children(bench: LocalBench) -> None:
    job_id = bench.submit("stubborn", body=f"PYTHON='{sys.executable}'; {STUBBORN}")
    until(lambda: bench.text("own.txt").strip(), "a child with a session of its own")
    members = family(bench.leader(job_id))
    assert int(bench.text("own.txt")) in members
    assert len(members) >= 4
    bench.scheduler.cancel([job_id])
    (report,) = bench.ended(job_id)
    assert (report.state, report.signal) == (JobState.CANCELLED, signal.SIGKILL)
    until(lambda: not any(_lives(pid) for pid in members), "the end of all its processes")
    assert "cancelled at" in bench.text(f"slurm-{job_id}.out")


def test_a_job_may_tidy_up_when_asked_to_stop_and_is_still_cancelled(bench: LocalBench) -> None:
    body = "trap 'echo tidied > tidy.txt; exit 0' TERM; echo up > up.txt; while :; do sleep 0.05; done"
    job_id = bench.submit("polite", body=body)
    until(lambda: bench.text("up.txt"), "the job")
    bench.scheduler.cancel([job_id])
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code) == (JobState.CANCELLED, 0)
    assert bench.text("tidy.txt") == "tidied\n"


def test_a_stopped_process_is_woken_to_end(bench: LocalBench) -> None:
    job_id = bench.submit("asleep", body="echo up > up.txt; kill -STOP $$; sleep 1000")
    until(lambda: bench.text("up.txt"), "the job")
    bench.scheduler.cancel([job_id])
    (report,) = bench.ended(job_id)
    assert (report.state, report.signal) == (JobState.CANCELLED, signal.SIGTERM)


def test_a_job_is_warned_before_its_time_limit_and_stopped_at_it(bench: LocalBench) -> None:
    head = "#SBATCH --time=00:00:02\n#SBATCH --signal=B:USR1@1"
    body = "trap 'echo warned' USR1; trap 'echo asked; exit 9' TERM; while :; do sleep 0.05; done"
    job_id = bench.submit("long", head=head, body=body)
    child = bench.submit("child", [job_id])
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code) == (JobState.TIMED_OUT, 9)
    said = bench.text(f"slurm-{job_id}.out")
    assert said.index("warned") < said.index("asked")
    assert "stopped at its time limit" in said
    assert bench.ended(child)[0].reason == "DependencyNeverSatisfied"


def test_what_a_script_leaves_running_goes_with_it(bench: LocalBench) -> None:
    job_id = bench.submit("litter", body="sleep 1000 & echo $! > child.txt")
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    left = int(bench.text("child.txt"))
    until(lambda: not _lives(left), "the end of the background process")


def test_an_idle_runner_leaves_and_the_next_job_brings_another(bench: LocalBench) -> None:
    bench.ended(bench.submit("first", body="true"))
    before = bench.runner()
    until(lambda: not bench.runner_lives(), "the runner's leave")
    assert not list((bench.root / "jobs").iterdir())
    bench.ended(bench.submit("second", body="true"))
    assert bench.runner() != before


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
