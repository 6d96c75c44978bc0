"""The embedded scheduler under violence: submitters, runners and machines that vanish."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from cruijff_kit.adapters.local_job import JobFolder
from cruijff_kit.adapters.local_queue import LocalQueue
from cruijff_kit.adapters.processes import family, send_signal
from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobState
from tests.local_bench import LocalBench, local_bench, until

SUBMITTER = """
import sys
from pathlib import Path
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.schema.job import JobRequest
from cruijff_kit.schema.site import Site
scheduler = LocalScheduler(Path(sys.argv[1]), site=Site(), linger=0.5)
for line in sys.stdin:
    print(scheduler.submit(JobRequest.model_validate_json(line)), flush=True)
"""

HALF_WRITTEN = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript("PRAGMA journal_mode = PERSIST; PRAGMA cache_size = 1; BEGIN IMMEDIATE")
db.execute("UPDATE job SET state = 'failed', reason = ?", ("x" * 1_000_000,))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    with local_bench(tmp_path) as local:
        yield local


# --- submitters ---


def test_a_job_goes_on_when_its_submitter_is_killed(bench: LocalBench) -> None:
    request = bench.request("orphan", body='while [ ! -e go ]; do sleep 0.02; done; echo "$SLURM_JOB_ID" > ran.txt')
    with _submitter(bench.root) as submitter:
        job_id = _ask(submitter, request.model_dump_json())
        bench.running(job_id)
        os.killpg(submitter.pid, signal.SIGKILL)
    (bench.folder / "go").touch()
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    assert bench.text("ran.txt") == f"{job_id}\n"


def test_two_submitters_of_the_same_tags_queue_each_job_once(bench: LocalBench) -> None:
    requests = [bench.request(f"job{number}", body="echo $SLURM_JOB_NAME >> ran.txt") for number in range(8)]
    lines = "".join(f"{request.model_dump_json()}\n" for request in requests)
    with _submitter(bench.root) as one, _submitter(bench.root) as two:
        for each in (one, two):
            assert each.stdin
            each.stdin.write(lines)
            each.stdin.close()
        answers = [each.stdout.read().split() for each in (one, two) if each.stdout]
    assert answers[0] == answers[1]
    assert len(set(answers[0])) == len(requests)
    bench.ended(*answers[0])
    assert sorted(bench.text("ran.txt").split()) == [request.tag for request in requests]


@pytest.mark.parametrize("seed", (1,))
def test_a_submitter_killed_at_any_moment_leaves_each_job_queued_once_or_not_at_all(
    bench: LocalBench, seed: int
) -> None:
    _kill_submitters(bench, jobs=12, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_submitters_killed_again_and_again_never_double_a_job(bench: LocalBench, seed: int) -> None:
    _kill_submitters(bench, jobs=100, seed=seed)


def _kill_submitters(bench: LocalBench, *, jobs: int, seed: int) -> None:
    """Let submitters work through the same list, each killed after it was heard of a few more."""
    dice = random.Random(seed)
    requests = [bench.request(f"job{number}", body='echo x >> "$SLURM_JOB_NAME.ran"') for number in range(jobs)]
    tags = [request.tag for request in requests]
    while len(held := bench.scheduler.find(tags)) < jobs:
        with _submitter(bench.root) as submitter:
            for request in requests[: len(held) + dice.randrange(2, 12)]:
                _ask(submitter, request.model_dump_json())
            assert submitter.stdin
            submitter.stdin.write("".join(f"{request.model_dump_json()}\n" for request in requests))
            submitter.stdin.flush()
            for _ in range(dice.randrange(20)):
                bench.scheduler.find(tags)
            os.killpg(submitter.pid, signal.SIGKILL)
    bench.scheduler.revive()
    bench.ended(*held.values())
    assert [bench.text(f"{tag}.ran") for tag in tags] == ["x\n"] * jobs


def test_a_transaction_that_died_half_written_is_undone_by_the_next_reader(bench: LocalBench) -> None:
    job_id = bench.submit("job", body="exit 4")
    bench.ended(job_id)
    until(lambda: not bench.runner_lives(), "the runner's leave")
    whole = bench.report(job_id)
    database = bench.root / "queue.db"
    size = database.stat().st_size
    subprocess.run([sys.executable, "-c", HALF_WRITTEN, str(database)], check=False, env=_package_path())
    assert database.stat().st_size > size
    assert bench.report(job_id) == whole


# --- runners ---


def test_a_job_outlives_its_runner_and_the_next_one_adopts_it(bench: LocalBench) -> None:
    job_id = bench.submit("job")
    child = bench.submit("child", [job_id], body="echo child > child.txt")
    bench.start(job_id)
    bench.kill_runner()
    bench.scheduler.revive()
    bench.finish(job_id)
    bench.ended(child)
    assert bench.text("child.txt") == "child\n"


def test_what_ended_while_no_runner_lived_is_known_to_the_next(bench: LocalBench) -> None:
    job_id = bench.submit("job", body="while [ ! -e go ]; do sleep 0.02; done; exit 5")
    leader = bench.leader(job_id)
    bench.kill_runner()
    (bench.folder / "go").touch()
    until(lambda: not family(leader), "the job's end")
    assert bench.report(job_id).state is JobState.RUNNING
    bench.scheduler.revive()
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code) == (JobState.FAILED, 5)


def test_a_job_cancelled_while_no_runner_lived_is_stopped_by_the_next(bench: LocalBench) -> None:
    job_id = bench.submit("job")
    bench.start(job_id)
    bench.kill_runner()
    bench.scheduler.cancel([job_id])
    bench.scheduler.revive()
    assert bench.ended(job_id)[0].state is JobState.CANCELLED


def test_a_start_on_record_that_never_happened_is_made_up_for(bench: LocalBench) -> None:
    parent = bench.submit("parent")
    bench.start(parent)
    job_id = bench.submit("job", [parent], body="echo ran >> ran.txt")
    bench.kill_runner()
    # This is what a runner leaves that is killed between recording a start and making it.
    boot = LocalQueue(bench.root).standing().running[0].boot
    with closing(sqlite3.connect(bench.root / "queue.db", isolation_level=None)) as db:
        db.execute("UPDATE job SET state = 'running', started = 0, boot = ? WHERE id = ?", (boot, job_id))
    bench.scheduler.revive()
    assert bench.ended(job_id)[0].state is JobState.SUCCEEDED
    assert bench.text("ran.txt") == "ran\n"


def test_a_second_start_of_a_job_that_lives_or_has_run_does_nothing(bench: LocalBench) -> None:
    job_id = bench.submit("job", body="echo ran >> ran.txt; while [ ! -e go ]; do sleep 0.02; done")
    until(lambda: bench.text("ran.txt"), "the job")
    (job,) = LocalQueue(bench.root).standing().running
    folder = JobFolder(bench.root / "jobs", job)
    script = (folder.path / "script").read_bytes()
    assert folder.lives()
    assert folder.start(script, {}) is None
    assert subprocess.run(folder.command(), check=False, start_new_session=True).returncode == 0
    bench.kill_runner()
    (bench.folder / "go").touch()
    until(lambda: not folder.lives(), "the job's end")
    assert folder.start(script, {}) is None
    bench.scheduler.revive()
    bench.ended(job_id)
    assert bench.text("ran.txt") == "ran\n"


@pytest.mark.parametrize("seed", (1, 2))
def test_each_script_runs_once_however_often_the_runner_is_killed(bench: LocalBench, seed: int) -> None:
    _kill_while_jobs_run(bench, jobs=10, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_each_of_forty_scripts_runs_once_however_often_the_runner_is_killed(bench: LocalBench, seed: int) -> None:
    _kill_while_jobs_run(bench, jobs=40, seed=seed)


def _kill_while_jobs_run(bench: LocalBench, *, jobs: int, seed: int) -> None:
    """Submit jobs, every third waiting for an earlier one, and kill each runner at a random moment."""
    dice = random.Random(seed)
    body = 'echo "$SLURM_JOB_ID" >> "$SLURM_JOB_NAME.ran"; sleep 0.0{}'
    ids: list[str] = []
    for number in range(jobs):
        after = [dice.choice(ids)] if ids and number % 3 == 0 else []
        ids.append(bench.submit(f"job{number}", after, body=body.format(dice.randrange(10))))
    kills = 0
    while not all(report.state.ended for report in bench.scheduler.reports(ids).values()):
        bench.scheduler.revive()
        bench.runner()
        # A moment drawn by lot, from before the new runner's first look to well after it has started jobs.
        for _ in range(dice.randrange(30)):
            bench.scheduler.reports(ids)
        bench.kill_runner()
        kills += 1
    assert kills > 2
    assert {report.state for report in bench.scheduler.reports(ids).values()} == {JobState.SUCCEEDED}
    assert [bench.text(f"job{number}.ran").split() for number in range(jobs)] == [[job_id] for job_id in ids]


# --- machines ---


def test_a_restart_of_the_machine_loses_what_ran_but_not_what_had_ended_or_waits(bench: LocalBench) -> None:
    lost, ended = bench.submit("lost"), bench.submit("ended", body="while [ ! -e go ]; do sleep 0.02; done")
    waiting = bench.submit("waiting", body="echo later > waiting.txt")
    bench.start(lost)
    leaders = bench.leader(lost), bench.leader(ended)
    bench.kill_runner()
    (bench.folder / "go").touch()
    until(lambda: not family(leaders[1]), "the end of one job")
    with closing(sqlite3.connect(bench.root / "queue.db", isolation_level=None)) as db:
        db.execute("UPDATE job SET boot = 'an earlier start of the machine' WHERE state = 'running'")
    bench.scheduler.revive()
    reports = bench.ended(lost, ended, waiting)
    assert [report.state for report in reports] == [JobState.LOST, JobState.SUCCEEDED, JobState.SUCCEEDED]
    assert reports[0].reason == "the machine was restarted"
    assert bench.text("waiting.txt") == "later\n"
    send_signal(signal.SIGKILL, to=family(leaders[0]))


# --- the queue's file ---


def test_reading_makes_and_changes_no_file_and_an_absent_queue_knows_nothing(bench: LocalBench) -> None:
    assert bench.report("1").state is JobState.UNKNOWN
    assert bench.scheduler.find(["job"]) == {}
    bench.scheduler.cancel(["1"])
    bench.scheduler.revive()
    assert not bench.root.exists()
    job_id = bench.submit("job", body="true")
    bench.ended(job_id)
    until(lambda: not bench.runner_lives(), "the runner's leave")
    before = _files(bench.root)
    assert bench.report(job_id).state is JobState.SUCCEEDED
    assert bench.scheduler.find(["job"]) == {"job": job_id}
    bench.scheduler.revive()
    assert _files(bench.root) == before


@pytest.mark.parametrize("damage", (b"", b"no database", b"SQLite format 3\0" + b"\xff" * 8192))
def test_a_damaged_queue_is_told_with_its_remedy_and_never_emptied(bench: LocalBench, damage: bytes) -> None:
    bench.ended(bench.submit("job", body="true"))
    until(lambda: not bench.runner_lives(), "the runner's leave")
    database = bench.root / "queue.db"
    whole = database.read_bytes()
    database.write_bytes(damage)
    for use in (lambda: bench.report("1"), lambda: bench.submit("next", body="true"), bench.scheduler.revive):
        with pytest.raises(SchedulerError, match=r"queue\.db` ") as told:
            use()
        assert not told.value.transient
        assert "submit again" in told.value.hint
    assert database.read_bytes() == damage
    database.write_bytes(whole)


def test_a_queue_of_a_newer_program_is_refused(bench: LocalBench) -> None:
    bench.ended(bench.submit("job", body="true"))
    until(lambda: not bench.runner_lives(), "the runner's leave")
    with closing(sqlite3.connect(bench.root / "queue.db")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(SchedulerError, match="version `9`"):
        bench.report("1")
    with closing(sqlite3.connect(bench.root / "queue.db")) as db:
        db.execute(f"PRAGMA user_version = {version}")


def _files(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in root.rglob("*")
    }


def _submitter(root: Path) -> subprocess.Popen[str]:
    """Start a process, in a session of its own, that submits each request it is sent."""
    command: Sequence[str] = (sys.executable, "-c", SUBMITTER, str(root))
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, encoding="utf-8", start_new_session=True, env=_package_path()
    )


def _ask(submitter: subprocess.Popen[str], request: str) -> str:
    assert submitter.stdin
    assert submitter.stdout
    submitter.stdin.write(f"{request}\n")
    submitter.stdin.flush()
    return submitter.stdout.readline().strip()


def _package_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
