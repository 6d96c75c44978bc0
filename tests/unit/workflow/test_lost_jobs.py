"""Jobs that a controller lost, could not start or let go too early, and numbers that it gave anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.errors import RunError, SchedulerError
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import JobRequest, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import Backoff, Ending, Queue, Reaction
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import write_attempts
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import preview_retry, retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Killed, Submitted, look

JOBS = 5


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    """Return the experiment, nothing submitted."""
    return Submitted(template, tmp_path / "parity")


def before_each(exp: Submitted, what: Callable[[JobRequest], None]) -> None:
    """Let something happen whenever a job is about to be submitted."""
    submit = exp.scheduler.submit

    def submitted(request: JobRequest) -> str:
        what(request)
        return submit(request)

    exp.scheduler.submit = submitted


def test_a_training_lost_before_its_evaluation_was_queued_holds_nobody_up(exp: Submitted, run: str) -> None:
    def lose(request: JobRequest) -> None:
        if request.after_ok == ("1",) and exp.scheduler.reports(["1"])["1"].state is not JobState.UNKNOWN:
            exp.scheduler.forget("1")

    before_each(exp, lose)
    receipt = submit_jobs(exp.plan_id, world=exp.world)
    assert [job.state for job in receipt.jobs] == ["submitted", "waiting", "submitted", "submitted", "submitted"]
    look(exp)
    assert exp.step(run, Step.EVAL).phase is Phase.WAITING
    exp.later(hours=2)
    exp.bomb.left = 4
    with pytest.raises(Killed):
        look(exp)
    assert exp.last(run).verdict is JobState.LOST
    look(exp)
    look(exp)
    training, evaluation = exp.last(run), exp.last(run, Step.EVAL)
    assert training.intent.number == 2
    assert evaluation.verdict is None
    assert (evaluation.after_ok, evaluation.after_tags) == ((training.job_id,), (training.intent.tag,))
    assert evaluation.intent.number == 1


def test_a_job_that_was_queued_though_nobody_heard_so_is_asked_for_under_the_same_tag(exp: Submitted) -> None:
    submit, deaf = exp.scheduler.submit, [True]

    def unheard(request: JobRequest) -> str:
        job_id = submit(request)
        if deaf:
            deaf.clear()
            raise SchedulerError("no answer within 90 seconds", transient=True)
        return job_id

    exp.scheduler.submit = unheard
    submit_jobs(exp.plan_id, world=exp.world)
    assert len(exp.scheduler.requests) == JOBS


def test_an_evaluation_is_not_cancelled_for_an_older_training_that_had_the_same_number(
    exp: Submitted, run: str
) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    exp.scheduler.lose(exp.job_id(run))
    look(exp)
    look(exp)
    first, second = exp.step(run).attempts
    write_attempts(exp.world.store, first.model_copy(update={"job_id": second.job_id}))
    waits = exp.job_id(run, Step.EVAL)
    look(exp)
    assert exp.job_id(run, Step.EVAL) == waits
    assert exp.step(run, Step.EVAL).phase is Phase.PENDING


@pytest.mark.parametrize("own", (None, "running", "done", "stopped"))
def test_a_job_that_its_scheduler_could_not_start_is_tried_again(exp: Submitted, run: str, own: str | None) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    job_id = exp.job_id(run)
    if own in ("running", "done"):
        exp.saves(job_id, 3, state=own)
    elif own == "stopped":
        exp.saves(job_id, 3, state="stopped", message="stopped by SIGTERM")
    exp.scheduler.fail_to_start(job_id)
    look(exp)
    assert exp.step(run).attempts[0].verdict is JobState.FAILED
    assert exp.step(run).phase is Phase.PENDING
    told = exp.records(Action.APPLY_POLICY)[0]
    assert (told.inputs["rule"], told.outputs["reaction"]) == (Ending.LOST, Reaction.RETRY)


@pytest.mark.parametrize("how", ("printed", "said"))
def test_a_job_that_failed_by_itself_at_once_is_not_tried_again(exp: Submitted, run: str, how: str) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    job_id = exp.job_id(run)
    if how == "printed":
        exp.prints(job_id, "module: command not found\n")
    else:
        exp.saves(job_id, 0, state="failed", message="no such column `answer`")
    exp.scheduler.fail_to_start(job_id)
    look(exp)
    assert exp.step(run).phase is Phase.FAILED
    assert len(exp.step(run).attempts) == 1


def test_a_job_that_was_stopped_from_outside_has_not_failed_while_its_scheduler_is_silent(
    exp: Submitted, run: str
) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    exp.saves(exp.job_id(run), 2, state="stopped", message="stopped by SIGTERM")
    exp.scheduler.forget(exp.job_id(run))
    look(exp)
    assert exp.step(run).phase is Phase.UNKNOWN
    exp.later(hours=2)
    look(exp)
    assert exp.step(run).attempts[0].verdict is JobState.LOST
    assert exp.last(run).intent.number == 2


@pytest.mark.parametrize("moment", ("meanwhile", "afterwards"))
def test_an_evaluation_that_was_let_go_before_its_training_was_done_is_tried_again_after_it(
    exp: Submitted, run: str, moment: str
) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    training, early = exp.job_id(run), exp.job_id(run, Step.EVAL)
    exp.scheduler.lose_edge(early)
    exp.evaluates(early, state="failed", message="its training left no valid `DONE`")
    exp.later(seconds=10)
    exp.scheduler.finish(early, 5)
    if moment == "meanwhile":
        look(exp)
    exp.saves(training, 9, state="done")
    exp.succeed(training)
    look(exp)
    look(exp)
    again = exp.last(run, Step.EVAL)
    assert again.intent.number == 2
    assert exp.step(run, Step.EVAL).attempts[0].decision is not None
    exp.evaluates(again.job_id or "", state="failed", message="its own fault")
    exp.scheduler.finish(again.job_id or "", 5)
    look(exp)
    look(exp)
    assert exp.step(run, Step.EVAL).phase is Phase.FAILED
    assert exp.last(run, Step.EVAL).intent.number == 2


def test_an_evaluation_is_not_retried_by_hand_while_its_training_may_be_lost(exp: Submitted, run: str) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    early = exp.job_id(run, Step.EVAL)
    exp.scheduler.lose_edge(early)
    exp.evaluates(early, state="failed", message="its training left no valid `DONE`")
    exp.scheduler.finish(early, 5)
    exp.scheduler.forget(exp.job_id(run))
    before = len(exp.scheduler.requests)
    for ask in (
        lambda: retry_run(run, reason="mended", world=exp.world),
        lambda: preview_retry(exp.plan_id, runs=(run,), world=exp.world),
    ):
        with pytest.raises(RunError, match="its training is unknown") as told:
            ask()
        assert "`ck watch`" in told.value.hint
    assert len(exp.scheduler.requests) == before
    assert exp.records(Action.RETRY) == []
    assert len(exp.step(run, Step.EVAL).attempts) == 1


def test_what_a_retry_could_not_hand_over_is_told_as_waiting(exp: Submitted, run: str) -> None:
    exp.site = Site(queue=Queue(backoff=Backoff(tries=1)))
    submit_jobs(exp.plan_id, world=exp.world)
    exp.prints(exp.job_id(run), "no such column\n")
    exp.scheduler.finish(exp.job_id(run), 1)
    look(exp)
    exp.scheduler.refuse()
    receipt = retry_run(run, reason="mended", world=exp.world)
    assert [(job.step, job.state) for job in receipt.jobs] == [(Step.TRAIN, "waiting"), (Step.EVAL, "waiting")]
    exp.later(hours=1)
    look(exp)
    look(exp)
    assert [len(exp.step(run, step).attempts) for step in Step] == [2, 2]
    assert exp.step(run).phase is Phase.PENDING


def test_an_evaluation_whose_training_was_done_and_then_lost_its_marker_is_not_tried_again(
    exp: Submitted, run: str
) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    exp.saves(exp.job_id(run), 9, state="done")
    exp.succeed(exp.job_id(run))
    look(exp)
    (exp.world.store.root / RunLayout(run).done("train")).unlink()
    exp.scheduler.finish(exp.job_id(run, Step.EVAL), 5)
    for _ in range(3):
        look(exp)
    assert exp.step(run, Step.EVAL).phase is Phase.FAILED
    assert len(exp.step(run, Step.EVAL).attempts) == 1


def test_jobs_that_came_back_into_the_queue_of_a_finished_experiment_are_cancelled(exp: Submitted, run: str) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    for job_id, _ in exp.alive():
        exp.succeed(job_id)
    look(exp)
    exp.scheduler.bring_back("1")
    exp.scheduler.bring_back("2")
    exp.scheduler.start("1")
    list(watch_jobs(world=exp.world))
    states = [report.state for report in exp.scheduler.reports(["1", "2"]).values()]
    assert states == [JobState.CANCELLED] * 2
    assert {entry.phase for entry in read_status(world=exp.world).steps} == {Phase.COMPLETED}
