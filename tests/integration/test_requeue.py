"""A job that asks for another turn: the same job again, counted, bounded, and never against a person's wish."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cruijff_kit.runtime.requeue import MOST_RESTARTS
from cruijff_kit.schema.job import JobState
from tests.local_bench import LocalBench, local_bench, until

APPEND = "#SBATCH --open-mode=append"
TURNS = """
turn=${SLURM_RESTART_COUNT:-0}
echo "turn $turn"
[ $turn -ge 2 ] || { : > "$CRUIJFF_REQUEUE"; exit 1; }
"""
ASKS = ': > "$CRUIJFF_REQUEUE";'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    with local_bench(tmp_path) as opened:
        yield opened


def test_a_job_that_asks_for_it_has_another_turn_under_its_own_number(bench: LocalBench) -> None:
    job_id = bench.submit("long", head=APPEND, body=TURNS)
    child = bench.submit("child", [job_id], body=f"cat slurm-{job_id}.out > seen.txt")
    reports = bench.ended(job_id, child)
    assert [report.state for report in reports] == [JobState.SUCCEEDED, JobState.SUCCEEDED]
    said = bench.text("seen.txt")
    turns = ("turn 0", "is queued again, turn 2", "turn 1", "is queued again, turn 3", "turn 2")
    assert [line for line in said.splitlines() if line] == [
        text if text.startswith("turn") else f"cruijff-kit: job {job_id} {text}" for text in turns
    ]


def test_a_cancelled_job_has_no_other_turn(bench: LocalBench) -> None:
    body = f"trap '{ASKS} exit 1' TERM; echo up > up.txt; while :; do sleep 0.05; done"
    job_id = bench.submit("cancelled", body=body)
    until(lambda: bench.text("up.txt"), "the job")
    bench.scheduler.cancel([job_id])
    (report,) = bench.ended(job_id)
    assert report.state is JobState.CANCELLED


def test_a_job_stopped_at_its_limit_after_it_asked_has_another_turn(bench: LocalBench) -> None:
    head = f"#SBATCH --time=00:00:01\n{APPEND}"
    body = f'[ -z "$SLURM_RESTART_COUNT" ] || exit 0; {ASKS} while :; do sleep 0.05; done'
    job_id = bench.submit("limited", head=head, body=body)
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code) == (JobState.SUCCEEDED, 0)


def test_turns_are_bounded(bench: LocalBench) -> None:
    job_id = bench.submit("endless", body=f"echo up > up.txt; until [ -e go ]; do sleep 0.05; done; {ASKS} exit 7")
    until(lambda: bench.text("up.txt"), "the job")
    with closing(sqlite3.connect(bench.root / "queue.db", isolation_level=None, timeout=30)) as db:
        db.execute("UPDATE job SET restarts = ? WHERE id = ?", (MOST_RESTARTS, job_id))
    (bench.folder / "go").touch()
    (report,) = bench.ended(job_id)
    assert (report.state, report.exit_code) == (JobState.FAILED, 7)
    assert f"after {MOST_RESTARTS}" in report.reason


def test_a_queue_of_the_version_before_is_read_as_it_is_and_brought_up_to_date_by_use(bench: LocalBench) -> None:
    old = bench.submit("old", body="true")
    bench.ended(old)
    until(lambda: not bench.runner_lives(), "the runner's leave")
    queue = bench.root / "queue.db"
    with closing(sqlite3.connect(queue)) as db:
        db.execute("ALTER TABLE job DROP COLUMN restarts")
        db.execute("PRAGMA user_version = 1")
    before = queue.read_bytes()
    assert bench.report(old).state is JobState.SUCCEEDED
    assert queue.read_bytes() == before
    (report,) = bench.ended(bench.submit("new", head=APPEND, body=TURNS))
    assert report.state is JobState.SUCCEEDED
