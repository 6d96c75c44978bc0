"""The run lock with processes that start together, are killed, stopped, cut off, and wake up again."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cruijff_kit.planning.policy import HELD, ending_of
from cruijff_kit.runtime.files import (
    Fence,
    FencedError,
    aside_of,
    discard,
    fenced,
    make_folder,
    replace_folder,
    write_aside,
)
from cruijff_kit.runtime.process_mark import ProcessMark, gone, own_mark
from cruijff_kit.runtime.run_lock import HeldError, Patience, hold_run
from cruijff_kit.schema.job import Attempt, Intent, JobState, Step
from cruijff_kit.schema.policy import Ending
from cruijff_kit.schema.run import JobStatus, Lease, Phase, StepStatus
from tests.training_runs import metric_points, random_base, write_run

RUN = "rank4-0a1b2c3d"
FOLDER, TREE = "lock", "run"
HOLDER = """
import sys
from pathlib import Path
from cruijff_kit.runtime.files import write_aside
from cruijff_kit.runtime.job_files import exit_code_of
from cruijff_kit.runtime.run_lock import Patience, hold_run
root, expiry = Path(sys.argv[1]), float(sys.argv[2])
def work():
    patience = Patience(beat=expiry / 10, expiry=expiry, look=expiry / 20)
    with hold_run(root / "lock", run_id="rank4-0a1b2c3d", trees=[root / "run"], patience=patience) as token:
        print(token, flush=True)
        for line in sys.stdin:
            write_aside(root / "run" / "status.json", line.strip())
            print("written", flush=True)
sys.exit(exit_code_of(work))
"""
LONG = 600.0
"""An expiry that no test outlives."""


class Holder:
    """A process that holds the lock, writes what it is told, and ends with its input."""

    def __init__(self, root: Path, *, expiry: float) -> None:
        command = [sys.executable, "-c", HOLDER, str(root), str(expiry)]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)

    def answer(self) -> str:
        """Return its next line; empty once it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def write(self, text: str) -> str:
        """Have it write the run's file; return what it says."""
        assert self.process.stdin
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> tuple[int, str]:
        """Close its input; return its exit code and what it said on stderr."""
        _, said = self.process.communicate()
        return self.process.returncode, said

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)


@contextlib.contextmanager
def holder(root: Path, *, expiry: float = LONG) -> Iterator[Holder]:
    """Start a holder; leave no process behind."""
    started = Holder(root, expiry=expiry)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.send(signal.SIGCONT)
        started.process.kill()
        started.process.communicate()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / TREE).mkdir()
    return tmp_path


def published(root: Path) -> str:
    return (root / TREE / "status.json").read_text(encoding="utf-8")


def take(root: Path, *, expiry: float = LONG) -> int:
    """Take the lock in this process and give it back; return the token."""
    with hold_run(root / FOLDER, run_id=RUN, trees=[root / TREE], patience=Patience(LONG, expiry, 0.01)) as token:
        return token


def test_a_lock_given_back_is_taken_at_once_with_a_higher_token(root: Path) -> None:
    with holder(root) as first:
        assert first.answer() == "1"
        assert first.write("one") == "written"
        assert first.end()[0] == 0
    assert take(root) == 2
    assert take(root) == 3
    assert published(root) == "one"
    assert {path.name for path in (root / FOLDER).iterdir()} == {"3.json", "3.beat", "3.free"}


def test_of_two_that_start_together_one_works_and_the_other_is_told_by_whom(root: Path) -> None:
    with holder(root, expiry=20) as one, holder(root, expiry=20) as two:
        codes = []
        for process in (one, two):
            answer = process.answer()
            codes.append(process.end() if not answer else (None, process))
        winner = next(each for code, each in codes if code is None)
        ((code, said),) = [each for each in codes if each[0] is not None]
        assert code == HeldError.exit_code == HELD == 75
        assert ending_of(_failed("exit code 1"), said.splitlines()) is Ending.HELD
        assert ending_of(_failed(f"exit code {code}"), ()) is Ending.HELD
        assert f"process {winner.process.pid} on" in said
        assert winner.write("mine") == "written"


def _failed(reason: str) -> StepStatus:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    intent = Intent(run_id=RUN, step=Step.TRAIN, number=1, tag="tag", why="", recorded=now)
    attempt = Attempt(intent=intent, job_id="1", verdict=JobState.FAILED, reason=reason)
    return StepStatus(run_id=RUN, step=Step.TRAIN, phase=Phase.FAILED, reason=reason, attempts=(attempt,))


def test_of_many_that_start_together_exactly_one_holds(root: Path) -> None:
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(holder(root, expiry=20)) for _ in range(5)]
        tokens = [each.answer() for each in holders]
    assert sorted(tokens) == ["", "", "", "", "1"]


def test_the_lock_of_a_killed_process_is_taken_at_once(root: Path) -> None:
    with holder(root) as first:
        first.answer()
        first.write("before")
        first.send(signal.SIGKILL)
        assert first.end()[0] == -signal.SIGKILL
    assert take(root) == 2
    assert published(root) == "before"


def test_a_stopped_holder_is_taken_over_once_its_lease_has_expired_and_wakes_up_fenced_off(root: Path) -> None:
    with holder(root, expiry=1) as first:
        first.answer()
        first.write("before")
        first.send(signal.SIGSTOP)
        with holder(root, expiry=1) as second:
            assert second.answer() == "2"
            assert second.write("second") == "written"
            first.send(signal.SIGCONT)
            assert first.write("first again") == ""
            code, said = first.end()
            assert code == 5
            assert f"another process has taken run `{RUN}` over" in said
            assert published(root) == "second"
            assert second.end()[0] == 0
    assert published(root) == "second"


def test_a_holder_that_cannot_be_seen_from_here_is_waited_for_until_its_lease_expires(root: Path) -> None:
    far = own_mark()._replace(host="another-node", pid=1)
    lease = Lease(token=4, run_id=RUN, job_id="17", places={}, **far._asdict())
    (root / FOLDER).mkdir()
    (root / FOLDER / "4.json").write_text(lease.model_dump_json(), encoding="utf-8")
    assert take(root, expiry=0.05) == 5


def test_an_unreadable_lease_counts_as_held_until_it_expires(root: Path) -> None:
    (root / FOLDER).mkdir()
    (root / FOLDER / "7.json").write_text("{", encoding="utf-8")
    assert take(root, expiry=0.05) == 8


@pytest.mark.parametrize(
    "changes, proven",
    (
        ({}, False),
        ({"started": "1"}, True),
        ({"pid": 2**22 + 1}, True),
        ({"host": "another-node", "started": "1"}, False),
        ({"space": "pid:[1]", "started": "1"}, False),
        ({"machine": "other", "boot": "before"}, False),
    ),
)
def test_only_what_this_machine_can_tell_proves_a_death(changes: dict[str, object], proven: bool) -> None:
    assert gone(own_mark()._replace(**changes)) is proven


def test_a_restart_proves_a_death_where_the_machine_has_a_mark_of_its_own() -> None:
    mark = own_mark()._replace(boot="before")
    assert gone(mark) is bool(mark.machine)


# --- the fence ---


def test_wherever_a_takeover_falls_into_a_publication_nothing_changes_after_it(root: Path) -> None:
    """Take over before each line that publishes, as if the holder had been stopped there."""
    line = 0
    while True:
        place = root / str(line)
        tree = place / TREE
        (tree / "step_3").mkdir(parents=True)
        (tree / "step_3" / "weights").write_text("3", encoding="utf-8")
        seen = _taken_over_at(line, place)
        line += 1
        if seen is None:
            break
        assert _content(tree) == seen, f"line {line}"
        assert (tree / "step_3" / "weights").exists() or (tree / "step_6").exists()
    assert line > 60


def _taken_over_at(line: int, place: Path) -> dict[str, str] | None:
    """Publish, taken over before the given line; return what the taker found, None where the lines are fewer."""
    seen: list[dict[str, str]] = []
    count = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal count
        if not frame.f_code.co_filename.endswith("runtime/files.py"):  # type: ignore[attr-defined]  # a frame
            return None
        if event == "line":
            if count == line and not seen:
                take(place, expiry=0.0)
                seen.append(_content(place / TREE))
            count += 1
        return trace

    patience = Patience(LONG, LONG, 0.01)
    with hold_run(place / FOLDER, run_id=RUN, trees=[place / TREE], patience=patience):
        sys.settrace(trace)  # type: ignore[arg-type]  # a trace function
        try:
            _publish(place / TREE)
        except FencedError:
            assert seen
        finally:
            sys.settrace(None)
    return seen[0] if seen else None


def _publish(tree: Path) -> None:
    """Do what a training does between two steps: status, an older checkpoint replaced, others removed."""
    write_aside(tree / "status.json", "six")
    aside = aside_of(tree / "step_3")
    with contextlib.suppress(FileNotFoundError):
        (aside / "weights").write_text("3 again", encoding="utf-8")
    replace_folder(aside, tree / "step_3")
    aside = aside_of(tree / "step_6")
    with contextlib.suppress(FileNotFoundError):
        (aside / "weights").write_text("6", encoding="utf-8")
    replace_folder(aside, tree / "step_6")
    discard(tree / "step_3")


def test_a_staging_folder_that_is_gone_is_never_made_again(root: Path) -> None:
    tree, staging = root / TREE, root / TREE / ".held-mine"
    staging.mkdir(parents=True)
    with fenced(Fence(RUN, {tree: staging})):
        aside = aside_of(tree / "best")
        make_folder(aside / "a" / "b")
        write_aside(aside / "c" / "d" / "file", "content")
        assert (aside / "a" / "b").is_dir()
        shutil.rmtree(staging)
        for late in (lambda: write_aside(aside / "file", "late"), lambda: make_folder(aside / "a")):
            with pytest.raises(FencedError, match="has taken run"):
                late()
        with pytest.raises(FencedError):
            make_folder(aside)
        assert not staging.exists()
        with pytest.raises(FencedError):
            replace_folder(aside, tree / "best")
    assert not (tree / "best").exists()


def _content(tree: Path) -> dict[str, str]:
    held = (path for path in tree.rglob("*") if path.is_file() and ".held-" not in str(path))
    return {path.relative_to(tree).as_posix(): path.read_text(encoding="utf-8") for path in held}


def test_what_no_fence_surrounds_is_published_as_ever(root: Path) -> None:
    with fenced(Fence(RUN, {root / TREE: root / "nowhere"})):
        write_aside(root / "outside", "content")
        with pytest.raises(FencedError, match="has taken run"):
            write_aside(root / TREE / "inside", "content")
    assert (root / "outside").read_text(encoding="utf-8") == "content"
    assert not (root / TREE / "inside").exists()


# --- a training ---


def test_a_training_that_was_stopped_and_started_twice_ends_once_and_undisturbed(tmp_path: Path) -> None:
    base = random_base(tmp_path / "base")
    config = write_run(tmp_path / "exp", base, epochs=12, checkpoint_every_n_steps=2)
    with _training(config) as first:
        metrics = config.parent / "metrics.jsonl"
        while not metrics.is_file() or metrics.read_bytes().count(b"\n") < 3:
            assert first.poll() is None
        os.kill(first.pid, signal.SIGSTOP)
        with _training(config) as second:
            assert second.wait() == 0
        before = {path: path.read_bytes() for path in (tmp_path / "exp").rglob("*") if path.is_file()}
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait() == 5
    assert before == {path: path.read_bytes() for path in (tmp_path / "exp").rglob("*") if path.is_file()}
    status = JobStatus.model_validate_json((config.parent / "status.json").read_bytes())
    assert (status.state, status.token, status.pid) == ("done", 2, second.pid)
    steps = [point.step for point in metric_points(config)]
    assert steps == list(range(1, len(steps) + 1))


@contextlib.contextmanager
def _training(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "cruijff_kit.recipes.lora_single_device", "--config", str(config), "--resume"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CRUIJFF_LEASE_SECONDS": "2"}
    process = subprocess.Popen(command, env=env)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.wait()


def test_a_mark_names_a_process_of_this_machine() -> None:
    mark = own_mark()
    assert mark == ProcessMark(mark.host, mark.machine, mark.boot, mark.space, os.getpid(), mark.started)
    assert mark.started
