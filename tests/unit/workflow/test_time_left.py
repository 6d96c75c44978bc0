"""Time limits and turns: what a stopped training asks for, and what jobs that queue themselves again may take."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import Attempt, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import Ending, Policy, Reaction, Rule
from cruijff_kit.schema.run import JobStatus, Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.compute import read_compute
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Submitted, scaffolded_template

LIMIT = 2 * 3600
NOTICE = 120


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two runs that train on two GPUs for two hours at most."""
    changes = {"factors": {"lora_rank": [4, 16]}, "resources": {"gpus": 2, "time": "02:00:00"}}
    root = tmp_path_factory.mktemp("template") / "parity"
    return scaffolded_template(root, **changes, controls={"seeds": [1], "batch_size": 4, "epochs": 2})


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    """Return the experiment, submitted."""
    made = Submitted(template, tmp_path / "parity")
    submit_jobs(made.plan_id, world=made.world)
    return made


@pytest.fixture
def run(exp: Submitted) -> str:
    """Return the first run's id."""
    return read_status(world=exp.world).steps[0].run_id


def look(exp: Submitted) -> None:
    """Let a watch look once."""
    next(watch_jobs(world=exp.world))


def trains(exp: Submitted, run: str, *, load: float, each: float, done: int, saved: int, **told: Any) -> None:
    """Let the last job of a run take steps out of a hundred, and tell of them."""
    first = told.pop("first", 0)
    job_id = exp.job_id(run)
    if exp.scheduler.reports([job_id])[job_id].state is JobState.PENDING:
        exp.scheduler.start(job_id)
    started = exp.scheduler.reports([job_id])[job_id].started
    assert started is not None
    begun = started + timedelta(seconds=load)
    own = JobStatus(
        state=told.pop("state", "running"),
        step=first + done,
        total=100,
        saved=saved,
        job_id=job_id,
        first=first,
        first_at=begun,
        started=started + timedelta(seconds=load / 2),
        updated=begun + timedelta(seconds=each * done),
    )
    DiskRunStore(exp.world.store.root).write(RunLayout(run).status("train"), own.model_dump_json())


def times_out(exp: Submitted, run: str) -> Attempt:
    """Stop the last job of a run at its limit, and return what it left once a watch has looked."""
    exp.scheduler.time_out(exp.job_id(run))
    number = exp.last(run).intent.number
    look(exp)
    return exp.step(run).attempts[number - 1]


def asked(exp: Submitted, run: str) -> str | None:
    """Return the time limit that the last job of a run was handed over with."""
    return exp.scheduler.requests[exp.job_id(run)].time


def test_a_training_asks_for_half_as_much_again_as_its_speed_says_and_the_notice(exp: Submitted, run: str) -> None:
    trains(exp, run, load=100, each=50, done=60, saved=58)
    stopped = times_out(exp, run)
    # 42 steps after its checkpoint, not 40 after its last.
    needed = 1.5 * (100 + 42 * 50) + NOTICE
    assert needed == 3420
    assert asked(exp, run) == "00:58:00"
    assert stopped.decision is not None
    assert "42 steps at 50 s and 100 s to load are left, so it asks for 00:58:00" in stopped.decision.reason
    (event,) = exp.records(Action.APPLY_POLICY)[:1]
    assert event.outputs == {"reaction": "retry", "time": "00:58:00"}
    assert exp.records(Action.SUBMIT_JOB)[-1].inputs["time"] == "00:58:00"
    exp.scheduler.start(exp.job_id(run))
    exp.succeed(exp.job_id(run))
    look(exp)
    jobs = [each for each in read_compute(world=exp.world).jobs if (each.run_id, each.step) == (run, Step.TRAIN)]
    assert [each.limit_seconds for each in jobs] == [LIMIT, 58 * 60]


@pytest.mark.parametrize(
    "each, saved, limit",
    (
        (0.1, 99, "00:10:00"),
        (100.0, 1, None),
        (45.0, 1, "01:54:00"),
    ),
)
def test_it_asks_for_ten_minutes_at_least_and_its_scripts_limit_at_most(
    exp: Submitted, run: str, each: float, saved: int, limit: str | None
) -> None:
    trains(exp, run, load=20, each=each, done=saved, saved=saved)
    times_out(exp, run)
    assert asked(exp, run) == limit


def test_a_training_whose_speed_is_unknown_asks_for_its_scripts_limit(exp: Submitted, run: str) -> None:
    exp.scheduler.start(exp.job_id(run))
    exp.saves(exp.job_id(run), 50)
    times_out(exp, run)
    trains(exp, run, load=20, each=1, done=0, first=50, saved=51)
    assert asked(exp, run) is None
    times_out(exp, run)
    assert asked(exp, run) is None
    assert exp.last(run).intent.number == 3


def test_one_that_came_no_further_in_its_shorter_time_is_given_its_whole_limit_before_anybody_is_asked(
    exp: Submitted, run: str
) -> None:
    trains(exp, run, load=20, each=10, done=80, saved=80)
    times_out(exp, run)
    assert asked(exp, run) == "00:10:00"
    trains(exp, run, load=550, each=10, done=5, first=80, saved=80)
    times_out(exp, run)
    assert asked(exp, run) is None
    assert "asks for its whole limit" in exp.last(run).intent.why
    trains(exp, run, load=7000, each=10, done=5, first=80, saved=80)
    decision = times_out(exp, run).decision
    assert decision is not None
    assert (decision.reaction, decision.time) == (Reaction.PROPOSE, None)
    assert "raise `resources.time`" in decision.reason


def test_the_budget_counts_the_time_that_is_asked_for(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(max_gpu_hours=1)))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    # Ten minutes of two GPUs are within it, two hours are not.
    trains(exp, run, load=20, each=1, done=90, saved=90)
    times_out(exp, run)
    assert asked(exp, run) == "00:10:00"
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.lose(exp.job_id(run))
    look(exp)
    assert "a further attempt may take 4 GPU-hours" in exp.step(run).reason


def test_what_a_person_tries_again_has_its_scripts_limit_and_that_persons_reason(exp: Submitted, run: str) -> None:
    exp.site = Site(policy=Policy(timed_out=Rule(reaction=Reaction.RESUME, retries=3, wait=600)))
    trains(exp, run, load=20, each=1, done=90, saved=90)
    decision = times_out(exp, run).decision
    assert decision is not None
    assert decision.time == "00:10:00"
    cancel_runs(runs=(run,), reason="let me see", world=exp.world)
    retry_run(run, reason="seen", world=exp.world)
    assert asked(exp, run) is None
    assert exp.last(run).intent.why == "seen"


@pytest.mark.parametrize("knows", (True, False))
def test_a_job_that_its_notice_ended_was_stopped_at_its_limit(exp: Submitted, run: str, knows: bool) -> None:
    """It could not be queued again, or is a recipe that the signal ends; accounting calls it an exit code of 10."""
    trains(exp, run, load=20, each=1, done=90, saved=90, state="noticed" if knows else "running")
    exp.scheduler.finish(exp.job_id(run), *((10,) if knows else ()), signal=None if knows else signal.SIGUSR1)
    look(exp)
    decision = exp.step(run).attempts[0].decision
    assert decision is not None
    assert (decision.rule, decision.reaction, decision.time) == (Ending.TIMED_OUT, Reaction.RETRY, "00:10:00")


def test_a_job_that_a_signal_stopped_has_not_failed_by_itself(exp: Submitted, run: str) -> None:
    trains(exp, run, load=20, each=1, done=90, saved=90, state="stopped")
    exp.scheduler.finish(exp.job_id(run), 15)
    look(exp)
    decision = exp.step(run).attempts[0].decision
    assert decision is not None
    assert (decision.rule, decision.reaction, decision.time) == (Ending.KILLED, Reaction.RETRY, None)


# --- turns ---


def turns(exp: Submitted, run: str, *, turn: int, earlier: float, state: str = "running") -> None:
    """Let the last job of a run tell that it was queued again."""
    now = exp.clock.now()
    times = {"started": now - timedelta(seconds=900), "updated": now, "earlier_seconds": earlier, "turn": turn}
    told = {"state": state, "step": 40, "total": 100, "saved": 40, "job_id": exp.job_id(run), **times}
    own = JobStatus.model_validate(told)
    DiskRunStore(exp.world.store.root).write(RunLayout(run).status("train"), own.model_dump_json())


def test_every_turn_of_a_job_counts_towards_the_budget_and_is_on_record(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(max_gpu_hours=5)))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    exp.scheduler.start(exp.job_id(run))
    turns(exp, run, turn=3, earlier=3600)
    exp.scheduler.lose(exp.job_id(run))
    look(exp)
    lost = exp.step(run).attempts[0]
    assert (lost.turns, lost.earlier_seconds) == (3, 3600)
    assert exp.records(Action.STATE_CHANGE)[0].outputs["turns"] == "3"
    # Two GPUs for the hour of the earlier turns; the fake's last one took no time to speak of.
    assert "4 GPU-hours on top of 2 taken; the experiment may take 5" in exp.step(run).reason
    (told,) = [each for each in read_compute(world=exp.world).jobs if (each.run_id, each.step) == (run, Step.TRAIN)]
    assert told.usage.elapsed_seconds == pytest.approx(3600, abs=10)


@pytest.mark.parametrize("budget, goes_on", ((5.9, False), (6.1, True)))
def test_a_job_that_waits_for_a_turn_beyond_the_budget_is_cancelled_and_says_why(
    template: Path, tmp_path: Path, budget: float, goes_on: bool
) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(max_gpu_hours=budget)))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    # A quarter of an hour after three: it asked for another turn and waits for it.
    turns(exp, run, turn=2, earlier=2700, state="noticed")
    look(exp)
    entry = exp.step(run)
    assert entry.phase is (Phase.PENDING if goes_on else Phase.CANCELLED)
    if not goes_on:
        assert "another turn may take 4 GPU-hours on top of 2 taken; the experiment may take 5.9" in entry.reason
        (event,) = [each for each in exp.records(Action.APPLY_POLICY) if each.subject == f"{run}/train"]
        assert (event.inputs["rule"], event.outputs["reaction"]) == ("max_gpu_hours", "cancel")
        assert exp.scheduler.reports([exp.job_id(run)])[exp.job_id(run)].state is JobState.CANCELLED
        exp.site = Site(policy=Policy(max_gpu_hours=100))
        retry_run(run, reason="a larger budget", world=exp.world)
        assert exp.step(run).phase is Phase.PENDING


def test_a_job_that_was_stopped_and_waits_again_is_no_failure_when_the_scheduler_is_silent(
    exp: Submitted, run: str
) -> None:
    exp.scheduler.start(exp.job_id(run))
    turns(exp, run, turn=1, earlier=0, state="stopped")
    exp.scheduler.forget(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.UNKNOWN
    exp.later(hours=2)
    look(exp)
    # A person may have stopped it: nobody but a person starts it again.
    assert (exp.step(run).phase, len(exp.step(run).attempts)) == (Phase.CANCELLED, 1)
