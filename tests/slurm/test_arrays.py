"""Grids as arrays on a real Slurm: thirty runs by one `sbatch` a step, and every run by itself afterwards."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.adapters.slurm import SlurmScheduler
from cruijff_kit.ports import World
from cruijff_kit.schema.job import ArrayRequest, Attempt, JobState, Step, array_of
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.compute import read_compute
from cruijff_kit.workflow.logs import tail_log
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.fakes.designed import world_at
from tests.gated_bench import until
from tests.light_grid import put_light_grid
from tests.slurm.bench import SlurmBench
from tests.slurm.cluster import Cluster
from tests.slurm.counter import Counter

RUNS = 30


class Killed(BaseException):
    """Stands for kill -9: nothing of the caller may handle it."""


class Dying(SlurmScheduler):
    """Its process is killed at the first array, before or after Slurm took it."""

    def __init__(self, *, taken: bool) -> None:
        super().__init__()
        self._taken = taken

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue, perhaps, and be killed."""
        if self._taken:
            super().submit_array(request)
        raise Killed


class Grid:
    """A scaffolded grid of light runs, and a person who works on it, with a fresh process for each command."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.root, self.cluster = folder / "parity", cluster
        self.site = put_light_grid(self.root, RUNS)
        self.plan_id = scaffold_runs(world=self.world()).plan_id
        self.counter = Counter(folder)

    def world(self, scheduler: SlurmScheduler | None = None) -> World:
        """Return the world as a new process sees it."""
        plain = world_at(self.root, site=self.site)
        return plain._replace(scheduler=scheduler or SlurmScheduler(), clock=SystemClock())

    def submit(self, scheduler: SlurmScheduler | None = None) -> None:
        submit_jobs(self.plan_id, world=self.world(scheduler))

    def partition(self, state: str) -> None:
        self.cluster.say("scontrol", "update", "partitionname=debug", f"state={state}")

    def watch(self) -> ExperimentStatus:
        return list(watch_jobs(poll=0.2, timeout=120, world=self.world()))[-1]

    def steps(self) -> dict[tuple[str, Step], StepStatus]:
        return {(entry.run_id, entry.step): entry for entry in read_status(world=self.world()).steps}

    def last(self, run: str, step: Step = Step.TRAIN) -> Attempt:
        return self.steps()[run, step].attempts[-1]

    def folder(self, run: str) -> Path:
        return self.root / RunLayout(run).folder

    def ran(self, run: str, step: Step) -> list[str]:
        """Return the job ids under which a step's program was started."""
        trace = self.folder(run) / f"ran-{step.value}.txt"
        return trace.read_text(encoding="utf-8").split() if trace.exists() else []

    def assert_done_once(self) -> None:
        """Hold that everything is done, each step by one start of the job on record, told of under its id."""
        steps = self.steps()
        assert {entry.phase for entry in steps.values()} == {Phase.COMPLETED}
        assert len(steps) == 2 * RUNS
        for (run, step), entry in steps.items():
            job_id = entry.attempts[-1].job_id or ""
            assert self.ran(run, step) == [job_id]
            assert f"said by {step.value}" in (self.folder(run) / f"slurm-{job_id}.out").read_text(encoding="utf-8")


@pytest.fixture
def grid(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grid]:
    grid = Grid(tmp_path, slurm)
    monkeypatch.setenv("PATH", f"{grid.counter.folder}:/usr/sbin:/usr/bin:/sbin:/bin")
    yield grid
    grid.partition("up")
    slurm.clear()


def test_a_grid_is_submitted_by_one_sbatch_a_step_and_each_evaluation_follows_its_own_training(grid: Grid) -> None:
    # A training that has ended before its evaluation is handed over needs no edge: those were an array of their own.
    grid.partition("down")
    grid.submit()
    grid.partition("up")
    assert grid.counter.calls().count("sbatch") == 2
    assert len({array_of(entry.attempts[0].intent.tag or "") for entry in grid.steps().values()}) == 2 * RUNS
    grid.watch()
    assert grid.counter.calls().count("sbatch") == 0
    grid.assert_done_once()
    for entry in grid.steps().values():
        if entry.step is Step.EVAL:
            training = grid.last(entry.run_id)
            assert entry.attempts[0].after_ok == (training.job_id,)
            assert entry.attempts[0].started
            assert training.ended
            assert entry.attempts[0].started >= training.ended
    compute = read_compute(world=grid.world())
    assert len(compute.jobs) == 2 * RUNS
    assert all(job.usage.elapsed_seconds is not None for job in compute.jobs)
    grid.submit()
    assert grid.counter.calls().count("sbatch") == 0


def test_one_is_cancelled_one_fails_and_both_are_retried_while_the_others_go_on(grid: Grid) -> None:
    grid.partition("down")
    grid.submit()
    runs = list(dict.fromkeys(run for run, _ in grid.steps()))
    cancelled, failing = runs[-1], runs[3]
    (grid.folder(failing) / "fails").touch()
    cancel_runs(runs=(cancelled,), reason="not this one", world=grid.world())
    grid.partition("up")
    grid.watch()
    phases = {key: entry.phase for key, entry in grid.steps().items() if entry.phase is not Phase.COMPLETED}
    assert phases == {
        (cancelled, Step.TRAIN): Phase.CANCELLED,
        (cancelled, Step.EVAL): Phase.CANCELLED,
        (failing, Step.TRAIN): Phase.FAILED,
        (failing, Step.EVAL): Phase.CANCELLED,
    }
    assert grid.ran(cancelled, Step.TRAIN) == grid.ran(failing, Step.EVAL) == []
    assert any("said by train" in line for line in grid.last(failing).log)
    for run in (cancelled, failing):
        retry_run(run, reason="mended", world=grid.world())
    grid.watch()
    assert grid.ran(failing, Step.TRAIN) == [each.job_id for each in grid.steps()[failing, Step.TRAIN].attempts]
    (grid.folder(failing) / "ran-train.txt").write_text(f"{grid.last(failing).job_id}\n", encoding="utf-8")
    grid.assert_done_once()


@pytest.mark.parametrize("taken", (False, True))
def test_a_submitter_killed_between_intents_and_record_loses_and_doubles_nothing(grid: Grid, taken: bool) -> None:
    grid.partition("down")
    with pytest.raises(Killed):
        grid.submit(Dying(taken=taken))
    intents = {entry.attempts[0].intent.tag for entry in grid.steps().values() if entry.attempts}
    assert len(intents) == RUNS
    grid.counter.calls()
    if taken:
        next(watch_jobs(world=grid.world()))
    grid.submit()
    assert grid.counter.calls().count("sbatch") == (1 if taken else 2)
    names = grid.cluster.say("squeue", "-h", "-r", "-o", "%i %j").split("\n")
    assert len(names) == 2 * RUNS
    assert {entry.attempts[0].intent.tag for (_, step), entry in grid.steps().items() if step is Step.TRAIN} == intents
    grid.partition("up")
    grid.watch()
    grid.assert_done_once()


def test_a_script_that_was_changed_after_it_was_approved_is_not_run_and_says_so(grid: Grid) -> None:
    grid.partition("down")
    grid.submit()
    runs = list(dict.fromkeys(run for run, _ in grid.steps()))
    copy = grid.root / RunLayout(runs[0]).submitted_script("train", 1)
    copy.write_text(copy.read_text(encoding="utf-8").replace("exec ", "echo changed; exec "), encoding="utf-8")
    cancel_runs(runs=tuple(runs[1:]), reason="one is enough", world=grid.world())
    grid.partition("up")
    grid.watch()
    assert grid.steps()[runs[0], Step.TRAIN].phase is Phase.FAILED
    assert "is not the script that was approved" in "\n".join(grid.last(runs[0]).log)
    assert grid.ran(runs[0], Step.TRAIN) == []


def test_slurms_own_last_words_of_an_element_are_in_its_runs_folder(grid: Grid) -> None:
    grid.partition("down")
    grid.submit()
    runs = list(dict.fromkeys(run for run, _ in grid.steps()))
    (grid.folder(runs[0]) / "hangs").touch()
    cancel_runs(runs=tuple(runs[1:]), reason="one is enough", world=grid.world())
    grid.partition("up")
    until(lambda: grid.ran(runs[0], Step.TRAIN), "the start of the run")
    cancel_runs(runs=(runs[0],), reason="and now this one", world=grid.world())
    grid.watch()
    told = "\n".join(tail_log(runs[0], world=grid.world()).lines)
    assert "said by train" in told
    assert "CANCELLED AT" in told


def test_the_last_element_which_has_the_arrays_number_requeues_only_itself(bench: SlurmBench) -> None:
    ask = f"{sys.executable} -c 'from cruijff_kit.runtime.requeue import queue_again; queue_again()'"
    last = '[ "$SLURM_ARRAY_TASK_ID" = 2 ] && [ -z "$SLURM_RESTART_COUNT" ]'
    body = f'echo turn >> "turns-$SLURM_ARRAY_TASK_ID"\nif {last}; then {ask}; sleep 60; fi'
    request = bench.array("again", [[], [], []], body=f"{body}\n")
    script = Path(request.script)
    text = script.read_text(encoding="utf-8").replace("--no-requeue", "--requeue\n#SBATCH --open-mode=append")
    script.write_text(text, encoding="utf-8")
    ids = bench.submit_array(request)
    assert [each.state for each in bench.ended(*ids)] == [JobState.SUCCEEDED] * 3
    assert [bench.text(f"turns-{index}") for index in range(3)] == ["turn\n", "turn\n", "turn\n" * 2]
    assert ids[2] in bench.text(f"slurm-{ids[2]}.out")
