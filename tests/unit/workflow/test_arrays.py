"""Grids as arrays: one request for many jobs, and afterwards every job by itself."""

import itertools
from pathlib import Path

import pytest

from cruijff_kit.errors import SchedulerError
from cruijff_kit.rendering.array_script import ArrayScript, parse_array
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.job import ArrayRequest, JobState, Step, array_of
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.policy import Backoff, Queue
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.cancel import cancel_runs
from cruijff_kit.workflow.logs import tail_log
from cruijff_kit.workflow.seal import read_lock
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Killed, Submitted, scaffolded_template

RUNS = 6
JOBS = 2 * RUNS + 1
"""Six runs that train and are evaluated, and a control that is only evaluated."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the experiment, scaffolded once."""
    root = tmp_path_factory.mktemp("template") / "parity"
    return scaffolded_template(root, factors={"lora_rank": [4, 16]}, controls={"seeds": [1, 2, 3]})


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    """Return the experiment on a site that makes arrays of three jobs and more."""
    return arrayed(template, tmp_path / "parity")


def arrayed(template: Path, root: Path, **queue: int) -> Submitted:
    return Submitted(template, root, site=Site(queue=Queue.model_validate({"arrays": 3, **queue})))


def submit(exp: Submitted) -> None:
    submit_jobs(exp.plan_id, world=exp.world)


def tables(exp: Submitted) -> dict[str, ArrayScript]:
    """Return the scripts of the arrays by the arrays' tags."""
    paths = exp.world.store.glob(ExperimentLayout.arrays, "*/array.slurm")
    return {path.split("/")[1]: parse_array(exp.world.store.read_text(path) or "") for path in paths}


def assert_all_queued_once(exp: Submitted) -> None:
    tags = [request.tag for request in exp.scheduler.requests.values()]
    assert len(tags) == len(set(tags)) == JOBS
    steps = read_status(world=exp.world).steps
    assert {exp.scheduler.requests[entry.attempts[-1].job_id or ""].tag for entry in steps} == set(tags)
    for entry in steps:
        assert [attempt.intent.number for attempt in entry.attempts] == [1]
        if entry.step is Step.EVAL and entry.attempts[0].after_ok:
            assert entry.attempts[0].after_ok == (exp.job_id(entry.run_id),)


def test_a_grid_is_one_array_of_trainings_and_one_of_evaluations_each_after_its_own(exp: Submitted) -> None:
    submit(exp)
    assert exp.scheduler.arrays == 2
    assert_all_queued_once(exp)
    for entry in read_status(world=exp.world).steps:
        request = exp.scheduler.requests[entry.attempts[-1].job_id or ""]
        if request.after_ok:
            assert request.after_ok == (exp.job_id(entry.run_id),)
            training = exp.scheduler.requests[request.after_ok[0]].tag
            assert request.after_tags == (training,)
            assert (array_of(request.tag) or "?")[1] == (array_of(training) or "!")[1]


def test_each_index_is_one_run_and_the_hash_is_that_of_its_sealed_script(exp: Submitted) -> None:
    submit(exp)
    lock, found = read_lock(exp.world), set()
    assert lock is not None
    for tag, script in tables(exp).items():
        for row in script.rows:
            (job_id,) = exp.scheduler.find([f"{tag}.{row.place}"]).values()
            step = Step.TRAIN if "finetune" in row.script else Step.EVAL
            layout = RunLayout(row.folder.removeprefix("runs/"))
            assert exp.job_id(layout.run_id, step) == job_id
            sealed = lock.files[layout.train_script if step is Step.TRAIN else layout.eval_script]
            assert row.sha256 == sealed == exp.world.store.digest(f"{row.folder}/{row.script}")
            found.add((layout.run_id, step))
    assert len(found) == 2 * RUNS


def test_the_record_tells_of_an_array_once_with_all_its_jobs(exp: Submitted) -> None:
    submit(exp)
    (event,) = exp.records(Action.SUBMIT_JOB)
    runs = {entry.run_id: entry.attempts[0].job_id for entry in read_status(world=exp.world).steps[: 2 * RUNS : 2]}
    assert {job_id: run for job_id, run in event.outputs.items() if job_id != "scheduler"} == {
        job_id: run for run, job_id in runs.items()
    }
    assert event.subject == f"array of {RUNS} train jobs"
    assert len(exp.records(Action.SUBMIT_EVAL)) == 2


def test_the_cap_counts_elements_and_the_rest_follows(template: Path, tmp_path: Path) -> None:
    exp = arrayed(template, tmp_path / "parity", max_queued=8)
    submit(exp)
    assert len(exp.scheduler.requests) == 8
    assert exp.scheduler.arrays == 2
    for _ in watch_jobs(world=exp.world):
        assert len(exp.alive()) <= 8
        ready = [job for job, request in exp.alive() if _succeeded(exp, request.after_ok)]
        if ready:
            exp.succeed(ready[0])
    assert {entry.phase for entry in read_status(world=exp.world).steps} == {Phase.COMPLETED}
    assert len(exp.scheduler.requests) == JOBS


def test_an_array_is_no_larger_than_the_cluster_allows(exp: Submitted) -> None:
    exp.scheduler.largest_array = 3
    submit(exp)
    assert exp.scheduler.arrays == 4
    assert {len(table.rows) for table in tables(exp).values()} == {3}
    assert_all_queued_once(exp)


@pytest.mark.parametrize("largest,arrays", ((0, 3), (1, 3), (1000, 0), (1000, 7)))
def test_jobs_go_one_by_one_where_arrays_are_not_to_be_had_or_wanted(
    template: Path, tmp_path: Path, largest: int, arrays: int
) -> None:
    exp = arrayed(template, tmp_path / "parity", arrays=arrays)
    exp.scheduler.largest_array = largest
    submit(exp)
    assert exp.scheduler.arrays == 0
    assert_all_queued_once(exp)


def test_an_array_that_is_refused_for_its_size_is_cut_until_it_fits(template: Path, tmp_path: Path) -> None:
    exp = Submitted(template, tmp_path / "parity", site=Site(queue=Queue(arrays=3, backoff=Backoff(tries=9))))
    take, sizes = exp.scheduler.submit_array, list[int]()

    def narrow(request: ArrayRequest) -> dict[str, str]:
        sizes.append(len(request.elements))
        if len(request.elements) > 2:
            raise SchedulerError("QOSMaxSubmitJobPerUserLimit", transient=True)
        return take(request)

    exp.scheduler.submit_array = narrow
    submit(exp)
    assert sizes[:3] == [6, 3, 1]
    assert_all_queued_once(exp)
    assert {len(table.rows) for table in tables(exp).values()} == {RUNS}


def test_a_submitter_killed_anywhere_leaves_nothing_lost_and_nothing_twice(template: Path, tmp_path: Path) -> None:
    moment = 0
    for moment in itertools.count(1, 2):
        exp = arrayed(template, tmp_path / str(moment) / "parity")
        exp.bomb.left = moment
        try:
            submit(exp)
        except Killed:
            submit(exp)
            assert_all_queued_once(exp)
            continue
        exp.bomb.left = None
        break
    assert moment > 20


def test_what_a_killed_submitter_left_is_adopted_by_a_watch_as_one_array(exp: Submitted) -> None:
    take = exp.scheduler.submit_array

    def dying(request: ArrayRequest) -> dict[str, str]:
        take(request)
        raise Killed

    exp.scheduler.submit_array = dying
    with pytest.raises(Killed):
        submit(exp)
    exp.scheduler.submit_array = take
    next(watch_jobs(world=exp.world))
    assert_all_queued_once(exp)
    assert [event.reason for event in exp.records(Action.SUBMIT_JOB)] == ["adopted after an interrupted submission"]


def test_an_element_is_cancelled_and_retried_by_itself(exp: Submitted) -> None:
    submit(exp)
    first, second = list(dict.fromkeys(entry.run_id for entry in read_status(world=exp.world).steps))[:2]
    cancel_runs(runs=(first,), reason="wrong data", world=exp.world)
    exp.scheduler.finish(exp.job_id(second), 3)
    next(watch_jobs(world=exp.world))
    assert [exp.step(first, step).phase for step in Step] == [Phase.CANCELLED] * 2
    assert [exp.step(second, step).phase for step in Step] == [Phase.FAILED, Phase.CANCELLED]
    assert len(exp.alive()) == JOBS - 4
    again = retry_run(second, reason="the path was mended", world=exp.world)
    assert exp.scheduler.arrays == 2
    assert exp.scheduler.requests[again.jobs[1].job_id].after_ok == (again.jobs[0].job_id,)


def test_what_the_scheduler_itself_said_of_a_job_follows_what_the_job_said(exp: Submitted) -> None:
    submit(exp)
    run, job_id = read_status(world=exp.world).steps[0].run_id, read_status(world=exp.world).steps[0].attempts[0].job_id
    array, _ = array_of(exp.last(run).intent.tag) or ("", 0)
    theirs = ExperimentLayout.array_output(array, job_id or "")
    exp.world.store.write(theirs, "slurmstepd: error: prolog failed\n")
    assert tail_log(run, world=exp.world).lines == ("slurmstepd: error: prolog failed",)
    exp.prints(job_id or "", "step 1\nstep 2\n")
    assert tail_log(run, world=exp.world).lines[-2:] == ("step 2", "slurmstepd: error: prolog failed")
    exp.world.store.write(theirs, "step 1\nstep 2\n")
    assert tail_log(run, world=exp.world).lines == ("step 1", "step 2")


def test_an_evaluation_that_waited_in_vain_and_was_forgotten_is_cancelled_not_lost(exp: Submitted) -> None:
    submit(exp)
    run = read_status(world=exp.world).steps[0].run_id
    evaluation = exp.job_id(run, Step.EVAL)
    exp.scheduler.finish(exp.job_id(run), 3)
    exp.scheduler.forget(evaluation)
    next(watch_jobs(world=exp.world))
    exp.later(hours=2)
    next(watch_jobs(world=exp.world))
    assert exp.last(run, Step.EVAL).verdict is JobState.CANCELLED
    assert exp.step(run, Step.EVAL).phase is Phase.CANCELLED


def _succeeded(exp: Submitted, job_ids: tuple[str, ...]) -> bool:
    return all(report.state is JobState.SUCCEEDED for report in exp.scheduler.reports(job_ids).values())
