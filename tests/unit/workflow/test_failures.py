"""What follows when jobs end badly: each rule, its words, its record, and the jobs that wait."""

import signal
from pathlib import Path

import pytest

from cruijff_kit.errors import RunError
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import DesignPolicy, Ending, Policy, Reaction, Rule
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.estimate import propose_remedies
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import proposed_change, retry_run, submit_jobs
from tests.submitted import Submitted, look, scaffolded_template


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two runs that train and are evaluated, and a control, on one GPU each."""
    changes = {"factors": {"lora_rank": [4, 16]}, "resources": {"gpus": 1, "time": "02:00:00"}}
    root = tmp_path_factory.mktemp("template") / "parity"
    return scaffolded_template(root, **changes, controls={"seeds": [1], "batch_size": 4, "epochs": 2})


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    """Return the experiment, submitted."""
    made = Submitted(template, tmp_path / "parity")
    submit_jobs(made.plan_id, world=made.world)
    return made


@pytest.mark.parametrize("reason", ("NodeFail", "Preempted"))
def test_a_lost_training_is_tried_again_with_its_evaluation_behind_it(exp: Submitted, run: str, reason: str) -> None:
    first, waited = exp.job_id(run), exp.job_id(run, Step.EVAL)
    exp.scheduler.start(first)
    exp.saves(first, 3)
    exp.scheduler.lose(first, reason)
    look(exp)
    again = exp.last(run)
    assert again.intent.number == 2
    assert again.intent.why == (
        "lost: its node failed, it was preempted, it was never started, or it vanished; "
        "it goes on from its checkpoint of step 3"
    )
    assert again.job_id != first
    assert exp.step(run).attempts[0].decision is not None
    evaluation = exp.last(run, Step.EVAL)
    assert evaluation.job_id != waited
    assert exp.scheduler.requests[evaluation.job_id or ""].after_ok == (again.job_id,)
    rules = [(each.subject, each.inputs["rule"], each.outputs["reaction"]) for each in exp.records(Action.APPLY_POLICY)]
    assert rules == [(f"{run}/train", "lost", "retry"), (f"{run}/eval", "orphaned", "retry")]


def test_a_timeout_after_a_further_checkpoint_is_resumed(exp: Submitted, run: str) -> None:
    for saved in (3, 5):
        exp.scheduler.start(exp.job_id(run))
        exp.saves(exp.job_id(run), saved)
        exp.scheduler.time_out(exp.job_id(run))
        look(exp)
        assert exp.step(run).phase is Phase.PENDING
    assert [each.reached for each in exp.step(run).attempts] == [3, 5, None]


def test_a_timeout_without_progress_is_a_proposal_that_names_the_limit(exp: Submitted, run: str) -> None:
    exp.saves(exp.job_id(run), 3)
    for _ in range(2):
        job_id = exp.job_id(run)
        exp.scheduler.start(job_id)
        exp.saves(job_id, 3)
        exp.scheduler.time_out(job_id)
        look(exp)
    entry = exp.step(run)
    assert entry.phase is Phase.FAILED
    assert len(entry.attempts) == 2
    assert "raise `resources.time` in the design" in entry.reason
    assert exp.step(run, Step.EVAL).phase is Phase.CANCELLED
    with pytest.raises(RunError, match="nothing is proposed"):
        retry_run(run, apply_proposal=True, reason="yes", world=exp.world)


@pytest.mark.parametrize("how", ("scheduler", "gpu", "kernel"))
def test_out_of_memory_is_a_proposal_that_keeps_the_effective_batch(exp: Submitted, run: str, how: str) -> None:
    _exhaust(exp, run, how)
    look(exp)
    entry = exp.step(run)
    assert entry.phase is Phase.FAILED
    decision = entry.attempts[-1].decision
    assert decision is not None
    assert (decision.rule, decision.reaction) == (Ending.OUT_OF_MEMORY, Reaction.PROPOSE)
    assert decision.proposal == {"batch_size": 2, "gradient_accumulation_steps": 2}
    assert "the effective batch stays 4" in entry.reason
    # What a scheduler without cgroups calls a failure, its own words in the output tell.
    stopped = JobState.FAILED if how == "gpu" else JobState.OUT_OF_MEMORY
    assert entry.attempts[-1].verdict is stopped
    assert ("a higher `mem` mends more surely" in entry.reason) == (how != "gpu")
    assert [each.fact for each in propose_remedies(run, world=exp.world)]
    assert len(exp.scheduler.requests) == 5


def test_an_approved_proposal_is_made_recorded_and_run_under_the_same_id(exp: Submitted, run: str) -> None:
    _exhaust(exp, run, "gpu")
    look(exp)
    assert proposed_change(run, world=exp.world).words == "batch_size: 2, gradient_accumulation_steps: 2"
    receipt = retry_run(run, apply_proposal=True, reason="half as many rows", world=exp.world)
    assert [job.step for job in receipt.jobs] == [Step.TRAIN, Step.EVAL]
    config = exp.world.store.read_text(RunLayout(run).config) or ""
    assert "\nbatch_size: 2\n" in config
    assert "\ngradient_accumulation_steps: 2\n" in config
    plan, lock = recorded_plan(world=exp.world)
    assert run in lock.runs
    settings = next(each for each in plan.runs if each.id == run).settings
    assert (settings["batch_size"].value, settings["batch_size"].source) == (2, "edit")
    (decided,) = [each for each in exp.records(Action.DECIDE_CONFIG) if each.verb == "adopt"]
    assert decided.reason == "proposal of the failure policy approved: half as many rows"
    look(exp)
    assert {each.phase for each in read_status(world=exp.world).steps} == {Phase.PENDING}


def test_nothing_smaller_than_one_row_is_ever_proposed(exp: Submitted, run: str) -> None:
    for rows in (2, 1, None):
        _exhaust(exp, run, "gpu")
        look(exp)
        decision = exp.last(run).decision
        assert decision is not None
        assert decision.proposal.get("batch_size") == rows
        if rows:
            retry_run(run, apply_proposal=True, reason="smaller", world=exp.world)


def test_an_error_of_its_own_stops_the_run_with_its_last_lines_and_what_waited_is_told_why(
    exp: Submitted, run: str
) -> None:
    job_id = exp.job_id(run)
    exp.scheduler.start(job_id)
    exp.prints(job_id, "loading\nKeyError: 'answer'\n")
    exp.scheduler.finish(job_id, 1)
    look(exp)
    entry = exp.step(run)
    assert entry.phase is Phase.FAILED
    assert entry.attempts[-1].log == ("loading", "KeyError: 'answer'")
    stopped, orphan = exp.records(Action.APPLY_POLICY)
    assert (stopped.inputs["rule"], stopped.outputs["reaction"]) == ("failed", "stop")
    assert stopped.inputs["log"] == "loading\nKeyError: 'answer'"
    assert (orphan.subject, orphan.outputs["reaction"]) == (f"{run}/eval", "stop")
    assert "its training ended badly: exit code 1" in (orphan.reason or "")
    assert len(exp.scheduler.requests) == 5


def test_a_job_whose_run_was_held_is_tried_again_later(exp: Submitted, run: str) -> None:
    exp.scheduler.finish(exp.job_id(run), 75)
    look(exp)
    assert exp.step(run).phase is Phase.WAITING
    assert "not before" in exp.step(run).reason
    exp.later(seconds=121)
    look(exp)
    assert exp.step(run).phase is Phase.PENDING
    assert exp.last(run).intent.number == 2


def test_a_signal_that_nobody_explains_is_tried_again_once(exp: Submitted, run: str) -> None:
    for _ in range(2):
        exp.scheduler.finish(exp.job_id(run), signal=signal.SIGKILL)
        look(exp)
    entry = exp.step(run)
    assert (entry.phase, len(entry.attempts)) == (Phase.FAILED, 2)
    assert "`policy.killed` allows 1 further attempts, and they are spent" in entry.reason


def test_the_budget_of_gpu_hours_counts_what_attempts_took_and_may_take(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(max_gpu_hours=1.5)))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.lose(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert "a further attempt may take 2 GPU-hours" in exp.step(run).reason
    assert "the experiment may take 1.5" in exp.step(run).reason


def test_what_the_design_says_of_an_ending_counts_over_the_site(tmp_path: Path) -> None:
    policy = {"killed": {"retries": 2}, "lost": {"reaction": "stop"}, "max_gpu_hours": 4.5}
    changes = {"resources": {"gpus": 1, "time": "02:00:00"}, "policy": policy}
    template = scaffolded_template(tmp_path / "template" / "parity", **changes)
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(killed=Rule(reaction=Reaction.STOP))))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    assert recorded_plan(world=exp.world)[0].policy == DesignPolicy.model_validate(policy)
    exp.scheduler.lose(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert len(exp.step(run).attempts) == 1
    # A site that is changed later counts from the next look on, a budget of it too.
    exp.site = Site(policy=Policy(max_gpu_hours=1.0))
    other = next(each.run_id for each in read_status(world=exp.world).steps if each.run_id != run)
    exp.scheduler.finish(exp.job_id(other), signal=signal.SIGKILL)
    look(exp)
    assert "the experiment may take 1" in exp.step(other).reason


def test_all_rules_together_open_no_more_attempts_than_allowed(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(policy=Policy(max_retries=2)))
    submit_jobs(exp.plan_id, world=exp.world)
    run = read_status(world=exp.world).steps[0].run_id
    for _ in range(3):
        exp.scheduler.start(exp.job_id(run))
        exp.scheduler.lose(exp.job_id(run))
        look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert "`policy.max_retries` allows 2" in exp.step(run).reason


def test_a_rule_of_the_site_replaces_ours_and_is_read_anew(exp: Submitted, run: str) -> None:
    exp.site = Site(policy=Policy(failed=Rule(reaction=Reaction.RETRY, retries=1)))
    for phase in (Phase.PENDING, Phase.FAILED):
        exp.prints(exp.job_id(run), "no such column\n")
        exp.scheduler.finish(exp.job_id(run), 1)
        look(exp)
        assert exp.step(run).phase is phase


def test_what_a_person_cancelled_is_not_tried_again(exp: Submitted, run: str) -> None:
    cancel_runs(runs=(run,), reason="wrong data", world=exp.world)
    look(exp)
    assert {exp.step(run, step).phase for step in Step} == {Phase.CANCELLED}
    assert not exp.records(Action.APPLY_POLICY)
    assert [job.step for job in retry_run(run, reason="mended", world=exp.world).jobs] == [Step.TRAIN, Step.EVAL]


def test_a_retry_that_waits_ends_with_a_cancellation(exp: Submitted, run: str) -> None:
    exp.scheduler.finish(exp.job_id(run), 75)
    look(exp)
    cancel_runs(runs=(run,), reason="enough", world=exp.world)
    exp.later(hours=1)
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert len(exp.step(run).attempts) == 1


def test_a_job_the_scheduler_forgot_is_unknown_until_there_was_no_sign_of_it_for_long(exp: Submitted, run: str) -> None:
    exp.scheduler.forget(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.UNKNOWN
    exp.later(minutes=59)
    exp.saves("1", 2)
    exp.later(minutes=59)
    look(exp)
    assert exp.step(run).phase is Phase.UNKNOWN
    exp.later(minutes=2)
    look(exp)
    assert exp.step(run).attempts[0].verdict is JobState.LOST
    assert exp.step(run).phase is Phase.PENDING
    training, evaluation = exp.last(run), exp.last(run, Step.EVAL)
    assert training.intent.number == 2
    look(exp)
    evaluation = exp.last(run, Step.EVAL)
    assert evaluation.after_ok == (training.job_id,)


def test_a_job_that_only_the_books_call_running_is_lost_in_time(exp: Submitted, run: str) -> None:
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.run_away(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.UNKNOWN
    exp.later(hours=2)
    look(exp)
    assert exp.step(run).attempts[0].verdict is JobState.LOST
    assert exp.last(run).intent.number == 2


def test_a_job_whose_tag_is_held_is_not_lost_however_long_nothing_is_said_of_it(exp: Submitted, run: str) -> None:
    exp.scheduler.start(exp.job_id(run))
    exp.scheduler.hush(exp.job_id(run))
    exp.later(hours=2)
    look(exp)
    assert (exp.step(run).phase, exp.last(run).verdict) == (Phase.UNKNOWN, None)


def test_a_forgotten_job_that_said_itself_why_it_failed_is_not_tried_again(exp: Submitted, run: str) -> None:
    exp.saves(exp.job_id(run), 2, state="failed", message="no such column `answer`")
    exp.scheduler.forget(exp.job_id(run))
    exp.later(hours=2)
    look(exp)
    entry = exp.step(run)
    assert (entry.phase, entry.attempts[-1].verdict, len(entry.attempts)) == (Phase.FAILED, JobState.FAILED, 1)
    assert "no such column `answer`" in entry.reason


def _exhaust(exp: Submitted, run: str, how: str) -> None:
    job_id = exp.job_id(run)
    exp.scheduler.start(job_id)
    if how == "scheduler":
        exp.scheduler.exhaust(job_id)
    elif how == "gpu":
        exp.prints(job_id, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n")
        exp.scheduler.finish(job_id, 1)
    else:
        exp.prints(job_id, "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch\n")
        exp.scheduler.finish(job_id, signal=signal.SIGKILL)
