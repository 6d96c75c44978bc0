from collections.abc import Sequence
from pathlib import Path

import pytest

from cruijff_kit.errors import PlanError, RunError, SchedulerError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import JobRequest, JobState, Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done, Phase
from cruijff_kit.schema.site import Caps, Site
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import preview_submission, retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler

JOBS = 2 * 8 + 1
"""Eight runs that train and are evaluated, and a control that is only evaluated."""


class Killed(BaseException):
    """Stands for kill -9: nothing of the caller may handle it."""


class DyingScheduler(FakeScheduler):
    """Dies at its n-th submission, before or after the job was taken."""

    def __init__(self, at: int, *, taken: bool) -> None:
        super().__init__()
        self.at, self.taken = at, taken

    def submit(self, request: JobRequest) -> str:
        self.at -= 1
        if self.at == 0 and not self.taken:
            raise Killed
        job_id = super().submit(request)
        if self.at == 0:
            raise Killed
        return job_id


class SilentScheduler(DyingScheduler):
    """Gives no answer to the first look for tags after it died."""

    asked = 0

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        if self.at <= 0 and self.requests:
            self.asked += 1
            if self.asked == 1:
                raise SchedulerError("the controller did not answer", transient=True)
        return super().find(tags)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a scaffolded experiment of nine runs."""
    return scaffolded(tmp_path / "parity")


def scaffolded(root: Path, *, site: Site | None = None) -> World:
    """Write the small design and scaffold it."""
    put_design(root, design())
    world = world_at(root, site=site)
    scaffold_runs(world=world)
    return world


def plan_of(world: World) -> str:
    """Return the sealed plan's id."""
    return scaffold_runs(world=world).plan_id


def queue(world: World) -> FakeScheduler:
    """Return the world's scheduler as the fake it is."""
    assert isinstance(world.scheduler, FakeScheduler)
    return world.scheduler


def events(world: World, action: Action) -> list[str]:
    """Return the subjects of the events of one action."""
    return [record.subject for record in world.audit.records() if record.action is action]


def finish(world: World, run_id: str, step: Step) -> None:
    """End a job well, its marker on disk."""
    status = next(each for each in read_status(world=world).steps if (each.run_id, each.step) == (run_id, step))
    done = Done(exit_code=0, artefacts={}, finished=world.clock.now())
    world.store.write(RunLayout(run_id).done(step.value), done.model_dump_json())
    queue(world).finish(status.attempts[-1].job_id or "")


def test_every_job_is_queued_once_and_an_evaluation_waits_for_its_own_training(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    assert len(receipt.jobs) == len(queue(world).requests) == JOBS
    by_step = {(job.run_id, job.step): job.job_id for job in receipt.jobs}
    for job in receipt.jobs:
        training = by_step.get((job.run_id, Step.TRAIN))
        expected = (training,) if job.step is Step.EVAL and training else ()
        assert queue(world).requests[job.job_id].after_ok == expected


def test_submitting_again_queues_nothing_and_says_so(world: World) -> None:
    first = submit_jobs(plan_of(world), world=world)
    again = submit_jobs(plan_of(world), world=world)
    assert len(queue(world).requests) == JOBS
    assert {job.state for job in again.jobs} == {"already submitted"}
    assert [job.job_id for job in again.jobs] == [job.job_id for job in first.jobs]


@pytest.mark.parametrize("taken", (True, False))
@pytest.mark.parametrize("at", (1, 2, 9, JOBS))
def test_a_submission_killed_at_the_scheduler_is_finished_by_the_same_call(world: World, at: int, taken: bool) -> None:
    dying = world._replace(scheduler=DyingScheduler(at, taken=taken))
    with pytest.raises(Killed):
        submit_jobs(plan_of(dying), world=dying)
    receipt = submit_jobs(plan_of(dying), world=dying)
    assert len(queue(dying).requests) == len(receipt.jobs) == JOBS
    assert len({job.job_id for job in receipt.jobs}) == JOBS
    assert ("adopted" in {job.state for job in receipt.jobs}) is taken
    assert len(events(dying, Action.SUBMIT_JOB)) + len(events(dying, Action.SUBMIT_EVAL)) == JOBS


@pytest.mark.parametrize("taken", (True, False))
def test_a_watch_adopts_what_a_killed_submission_left_and_hands_over_the_rest(world: World, taken: bool) -> None:
    dying = world._replace(scheduler=DyingScheduler(4, taken=taken))
    with pytest.raises(Killed):
        submit_jobs(plan_of(dying), world=dying)
    status = next(watch_jobs(world=dying))
    assert {step.phase for step in status.steps} == {Phase.PENDING}
    assert len(queue(dying).requests) == JOBS


def test_a_watch_outlives_a_scheduler_that_gives_no_answer_for_a_while(world: World) -> None:
    silent = world._replace(scheduler=SilentScheduler(1, taken=True))
    with pytest.raises(Killed):
        submit_jobs(plan_of(silent), world=silent)
    assert Phase.WAITING in {step.phase for step in next(watch_jobs(world=silent)).steps}
    assert {step.phase for step in next(watch_jobs(world=silent)).steps} == {Phase.PENDING}


def test_an_evaluation_names_the_tag_of_its_training_too(world: World) -> None:
    submit_jobs(plan_of(world), world=world)
    requests = queue(world).requests
    edges = [(requests[each.after_ok[0]].tag, each.after_tags) for each in requests.values() if each.after_ok]
    assert len(edges) == 8
    assert all(after == (tag,) for tag, after in edges)


def test_only_the_chosen_runs_are_queued(world: World) -> None:
    run_id = scaffold_runs(world=world).runs[0]
    receipt = submit_jobs(plan_of(world), runs=(run_id,), world=world)
    assert {job.run_id for job in receipt.jobs} == {run_id}
    assert len(queue(world).requests) == 2


def test_another_plan_is_refused_and_nothing_is_queued(world: World) -> None:
    with pytest.raises(PlanError, match="is not the sealed one"):
        submit_jobs("0" * 64, world=world)
    assert not queue(world).requests


def test_a_file_changed_since_it_was_sealed_is_refused(world: World) -> None:
    receipt = scaffold_runs(world=world)
    script = RunLayout(receipt.runs[0]).train_script
    world.store.write(script, (world.store.read_text(script) or "") + "# edited\n")
    with pytest.raises(PlanError, match="changed since"):
        submit_jobs(receipt.plan_id, world=world)
    assert not queue(world).requests


@pytest.mark.parametrize("caps", (Caps(max_jobs=3), Caps(max_gpu_hours=0.1)))
def test_a_cap_is_kept_before_anything_is_asked_or_queued(tmp_path: Path, caps: Caps) -> None:
    root = tmp_path / "parity"
    put_design(root, design(resources={"gpus": 1, "time": "01:00:00"}))
    world = world_at(root, site=Site(caps=caps))
    plan_id = scaffold_runs(world=world).plan_id
    for verb in (preview_submission, submit_jobs):
        with pytest.raises(PlanError, match="cap is"):
            verb(plan_id, world=world)
    assert not queue(world).requests


def test_the_question_depends_on_the_plan_alone(world: World) -> None:
    preview = preview_submission(plan_of(world), world=world)
    assert preview.question == preview_submission(plan_of(world), world=world).question
    assert "8 training and 9 evaluation jobs" in preview.question


def test_a_refusal_of_the_scheduler_keeps_what_was_queued_and_can_be_repeated(world: World) -> None:
    plan_id = plan_of(world)
    submit_jobs(plan_id, runs=(scaffold_runs(world=world).runs[0],), world=world)
    queue(world).refuse("no such partition", transient=False)
    with pytest.raises(SchedulerError, match="partition"):
        submit_jobs(plan_id, world=world)
    assert len(submit_jobs(plan_id, world=world).jobs) == len(queue(world).requests) == JOBS


def test_verdicts_are_recorded_once_and_the_watch_ends_with_the_last(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    for job in receipt.jobs:
        finish(world, job.run_id, job.step)
    last = list(watch_jobs(world=world))[-1]
    again = list(watch_jobs(world=world))[-1]
    assert last.finished
    assert again.finished
    assert {step.phase for step in last.steps} == {Phase.COMPLETED}
    assert {step.attempts[-1].verdict for step in again.steps} == {JobState.SUCCEEDED}
    assert len(events(world, Action.STATE_CHANGE)) == JOBS
    assert len(events(world, Action.ALL_COMPLETE)) == 1


def test_a_failed_training_cancels_its_own_evaluation_and_no_other(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    training = next(job for job in receipt.jobs if job.step is Step.TRAIN)
    queue(world).finish(training.job_id, 3)
    status = next(watch_jobs(world=world))
    phases = {(step.run_id, step.step): step.phase for step in status.steps}
    assert phases[training.run_id, Step.TRAIN] is Phase.FAILED
    assert phases[training.run_id, Step.EVAL] is Phase.CANCELLED
    assert list(phases.values()).count(Phase.PENDING) == JOBS - 2


def test_a_retry_opens_a_further_attempt_for_both_jobs_and_keeps_the_first(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    training = next(job for job in receipt.jobs if job.step is Step.TRAIN)
    queue(world).finish(training.job_id, 3)
    next(watch_jobs(world=world))
    again = retry_run(training.run_id, reason="the path was mended", world=world)
    assert [job.step for job in again.jobs] == [Step.TRAIN, Step.EVAL]
    assert queue(world).requests[again.jobs[1].job_id].after_ok == (again.jobs[0].job_id,)
    step = next(each for each in read_status(world=world).steps if each.run_id == training.run_id)
    assert [attempt.intent.number for attempt in step.attempts] == [1, 2]
    assert step.attempts[1].intent.why == "the path was mended"
    assert step.phase is Phase.PENDING


def test_what_may_still_run_is_not_tried_again(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    with pytest.raises(RunError, match="nothing to retry"):
        retry_run(receipt.jobs[0].run_id, reason="impatience", world=world)
    queue(world).forget(receipt.jobs[0].job_id)
    with pytest.raises(RunError, match="nothing to retry"):
        retry_run(receipt.jobs[0].run_id, reason="the scheduler forgot it", world=world)


def test_cancelling_touches_only_the_chosen_runs_and_is_recorded(world: World) -> None:
    receipt = submit_jobs(plan_of(world), world=world)
    run_id = receipt.jobs[0].run_id
    cancelled = cancel_runs(runs=(run_id,), reason="wrong data", world=world)
    assert len(cancelled.job_ids) == 2
    phases = {step.phase for step in read_status(world=world).steps if step.run_id != run_id}
    assert phases == {Phase.PENDING}
    assert events(world, Action.CANCEL) == [run_id, run_id]


def test_looking_changes_no_byte(world: World) -> None:
    submit_jobs(plan_of(world), world=world)
    before = {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()}
    read_status(world=world)
    preview_submission(plan_of(world), world=world)
    assert before == {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()}


def test_an_unknown_run_is_refused_with_the_names_there_are(world: World) -> None:
    with pytest.raises(RunError, match="no run is called `rank99`; candidates: `rank"):
        submit_jobs(plan_of(world), runs=("rank99",), world=world)
