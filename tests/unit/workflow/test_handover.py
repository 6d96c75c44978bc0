"""Handing over: a cap on the queue, patience with the scheduler, one watch that acts, settings read anew."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import Attempt, JobRequest, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import Backoff, Queue
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.attempts import read_attempts, write_attempts
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Submitted, look

JOBS = 5


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    """Return the experiment on a site that takes two jobs at once."""
    return Submitted(template, tmp_path / "parity", site=Site(queue=Queue(max_queued=2)))


def test_no_more_jobs_than_the_cap_are_in_the_queue_and_all_come_to_it(exp: Submitted) -> None:
    receipt = submit_jobs(exp.plan_id, world=exp.world)
    assert [job.state for job in receipt.jobs] == ["submitted", "submitted", "waiting", "waiting", "waiting"]
    assert len(exp.scheduler.requests) == 2
    most, looks = 0, 0
    for _ in watch_jobs(world=exp.world):
        most, looks = max(most, len(exp.alive())), looks + 1
        ready = [job_id for job_id, request in exp.alive() if _met(exp, request.after_ok)]
        if ready:
            exp.succeed(ready[0])
        assert looks < 20
    assert most == 2
    assert {entry.phase for entry in read_status(world=exp.world).steps} == {Phase.COMPLETED}
    assert len(exp.scheduler.requests) == JOBS


def test_the_cap_is_read_anew_at_every_look(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    looks = watch_jobs(world=exp.world)
    next(looks)
    assert len(exp.scheduler.requests) == 2
    exp.site = Site(queue=Queue(max_queued=4))
    next(looks)
    assert len(exp.scheduler.requests) == 4


def test_submissions_are_staggered_as_the_site_says(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(queue=Queue(stagger=2.0)))
    before = exp.clock.monotonic()
    submit_jobs(exp.plan_id, world=exp.world)
    assert exp.clock.monotonic() - before == 2.0 * (JOBS - 1)


def test_refusals_that_may_pass_are_waited_for_longer_each_time_and_told_once(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(queue=Queue(backoff=Backoff(first=4, tries=4))))
    for _ in range(3):
        exp.scheduler.refuse()
    submit_jobs(exp.plan_id, world=exp.world)
    assert len(exp.scheduler.requests) == JOBS
    waits = exp.clock.slept  # type: ignore[attr-defined]  # the clock is the fake one
    assert [low <= wait <= 2 * low for wait, low in zip(waits, (2, 4, 8), strict=True)] == [True] * 3
    (told,) = exp.records(Action.APPLY_POLICY)
    assert (told.inputs["rule"], told.outputs["reaction"]) == ("refused", "retry")
    assert told.error == "the controller did not answer"


def test_a_job_that_was_queued_though_no_answer_came_is_asked_for_again_under_its_tag(
    template: Path, tmp_path: Path
) -> None:
    exp = Submitted(template, tmp_path / "parity")
    take, silent = exp.scheduler.submit, [True, True, False]

    def unheard(request: JobRequest) -> str:
        job_id = take(request)
        if silent and silent.pop():
            raise SchedulerError("no answer within 90 seconds", transient=True)
        return job_id

    exp.scheduler.submit = unheard
    submit_jobs(exp.plan_id, world=exp.world)
    tags = [request.tag for request in exp.scheduler.requests.values()]
    assert len(tags) == len(set(tags)) == JOBS
    assert {attempts[-1].intent.tag for attempts in read_attempts(exp.world.store).values()} == set(tags)


def test_what_a_submission_could_not_hand_over_a_watch_does_without_asking_too_often(exp: Submitted) -> None:
    exp.site = Site(queue=Queue(backoff=Backoff(first=100, tries=1)))
    for _ in range(2):
        exp.scheduler.refuse()
    receipt = submit_jobs(exp.plan_id, world=exp.world)
    assert {job.state for job in receipt.jobs} == {"waiting"}
    looks = watch_jobs(poll=1.0, world=exp.world)
    while not exp.scheduler.requests:
        assert {entry.phase for entry in next(looks).steps} == {Phase.WAITING} or exp.scheduler.requests
        assert exp.clock.monotonic() < 400
    assert exp.clock.monotonic() > 150
    assert len(exp.records(Action.APPLY_POLICY)) == 1
    next(looks)
    assert len(exp.scheduler.requests) == JOBS


def test_the_longest_wait_is_a_cap(exp: Submitted) -> None:
    exp.site = Site(queue=Queue(backoff=Backoff(first=10, longest=30, tries=12)))
    for _ in range(11):
        exp.scheduler.refuse()
    submit_jobs(exp.plan_id, world=exp.world)
    assert max(exp.clock.slept) <= 30  # type: ignore[attr-defined]  # the clock is the fake one


def test_one_watch_acts_and_another_shows_until_that_one_ends(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    first, second = watch_jobs(world=exp.world), watch_jobs(world=exp.world)
    assert next(first).watcher == ""
    assert "process" in next(second).watcher
    exp.succeed(exp.job_id(_runs(exp)[0]))
    shown = next(second)
    assert (shown.steps[0].phase, shown.steps[0].attempts[-1].verdict) == (Phase.COMPLETED, None)
    first.close()
    acted = next(second)
    assert acted.watcher == ""
    assert acted.steps[0].attempts[-1].verdict is not None


def test_runs_that_wait_are_no_longer_handed_over_once_cancelled(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    cancel_runs(reason="wrong model", world=exp.world)
    look(exp)
    assert len(exp.scheduler.requests) == 2
    assert Phase.WAITING not in {entry.phase for entry in read_status(world=exp.world).steps}
    exp.site = Site()
    submit_jobs(exp.plan_id, world=exp.world)
    assert len(exp.scheduler.requests) == JOBS


def test_an_evaluation_is_never_handed_over_before_its_training(exp: Submitted) -> None:
    exp.site = Site(queue=Queue(max_queued=1))
    submit_jobs(exp.plan_id, world=exp.world)
    run = _runs(exp)[0]
    exp.prints(exp.job_id(run), "no such column\n")
    exp.scheduler.finish(exp.job_id(run), 1)
    for _ in range(3):
        look(exp)
    assert exp.step(run, Step.EVAL).phase is Phase.CANCELLED
    assert exp.step(run, Step.EVAL).attempts == ()
    assert "its training ended badly" in exp.step(run, Step.EVAL).reason


def test_an_evaluation_of_a_training_that_ended_badly_unrecorded_is_left_out_and_holds_nobody_up(
    exp: Submitted,
) -> None:
    first, second = _runs(exp)[:2]
    exp.site = Site(queue=Queue(max_queued=1))
    submit_jobs(exp.plan_id, runs=(first,), world=exp.world)
    exp.scheduler.lose(exp.job_id(first))
    submit_jobs(exp.plan_id, runs=(second,), world=exp.world)
    exp.site = Site(queue=Queue(arrays=2))
    states = {(job.run_id, job.step): job.state for job in submit_jobs(exp.plan_id, world=exp.world).jobs}
    assert (states[first, Step.EVAL], states[second, Step.EVAL]) == ("waiting", "submitted")
    look(exp)
    assert len(exp.step(first).attempts) == 2
    (evaluation,) = exp.step(first, Step.EVAL).attempts
    assert evaluation.after_ok == (exp.job_id(first),)


def test_nothing_of_a_plan_that_was_changed_since_is_handed_over(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    script = RunLayout(_runs(exp)[1]).train_script
    before = exp.world.store.read_text(script) or ""
    exp.world.store.write(script, before + "# edited\n")
    exp.succeed(exp.job_id(_runs(exp)[0]))
    look(exp)
    assert len(exp.scheduler.requests) == 2
    exp.world.store.write(script, before)
    look(exp)
    assert len(exp.scheduler.requests) == 3


def test_however_many_jobs_one_look_asks_the_scheduler_once(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity")
    submit_jobs(exp.plan_id, world=exp.world)
    asked: list[int] = []
    reports = exp.scheduler.reports
    exp.scheduler.reports = lambda job_ids, *, tags=None: asked.append(len(job_ids)) or reports(job_ids, tags=tags)
    exp.scheduler.finish(exp.job_id(_runs(exp)[0]), 1)
    asked.clear()
    look(exp)
    assert asked == [JOBS]


def test_a_scheduler_that_does_not_answer_for_a_while_breaks_no_watch(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    find, outage = exp.scheduler.find, SchedulerError("connection refused", transient=True)

    def unreachable(tags: Sequence[str]) -> dict[str, str]:
        raise outage

    exp.site = Site()
    exp.scheduler.refuse()
    looks = watch_jobs(world=exp.world)
    next(looks)
    exp.scheduler.find = unreachable
    assert Phase.WAITING in {entry.phase for entry in next(looks).steps}
    exp.scheduler.find = find
    exp.later(minutes=10)
    next(looks)
    assert len(exp.scheduler.requests) == JOBS


def test_leaving_a_watch_lets_the_next_one_act(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)
    with contextlib.closing(watch_jobs(world=exp.world)) as looks:
        next(looks)
    assert next(watch_jobs(world=exp.world)).watcher == ""


def _runs(exp: Submitted) -> list[str]:
    return list(dict.fromkeys(entry.run_id for entry in read_status(world=exp.world).steps))


def _met(exp: Submitted, job_ids: tuple[str, ...]) -> bool:
    return all(report.state.value == "succeeded" for report in exp.scheduler.reports(job_ids).values())


def test_a_number_that_was_given_anew_tells_nothing_of_the_job_that_had_it_before(
    template: Path, tmp_path: Path
) -> None:
    exp = Submitted(template, tmp_path / "parity")
    submit_jobs(exp.plan_id, world=exp.world)
    first, second = _runs(exp)[:2]
    attempt = read_attempts(exp.world.store)[first, Step.TRAIN][-1]
    earlier = {"job_id": exp.job_id(second), "submitted": exp.clock.now() - timedelta(hours=1)}
    write_attempts(exp.world.store, attempt.model_copy(update=earlier))
    exp.scheduler.start(exp.job_id(second))
    phases = {(step.run_id, step.step): step.phase for step in read_status(world=exp.world).steps}
    assert phases[second, Step.TRAIN] is Phase.RUNNING
    assert phases[first, Step.TRAIN] is Phase.UNKNOWN


def test_an_evaluation_of_a_training_that_the_scheduler_lost_breaks_no_watch_and_follows_the_next(
    template: Path, tmp_path: Path
) -> None:
    exp = Submitted(template, tmp_path / "parity")
    submit_jobs(exp.plan_id, world=exp.world)
    run = _runs(exp)[0]
    training, evaluation = exp.job_id(run), exp.job_id(run, Step.EVAL)
    attempt = read_attempts(exp.world.store)[run, Step.EVAL][-1]
    write_attempts(exp.world.store, Attempt(intent=attempt.intent))
    exp.scheduler.forget(training)
    exp.scheduler.forget(evaluation)
    before = len(exp.scheduler.requests)
    look(exp)
    assert len(exp.scheduler.requests) == before
    exp.later(hours=2)
    look(exp)
    assert exp.last(run).job_id != training
    assert exp.last(run, Step.EVAL).after_ok == (exp.last(run).job_id,)
