"""What jobs took: each attempt, from the scheduler, the job itself and GPU samples; kept for later estimates."""

from pathlib import Path

import pytest

from cruijff_kit.analysis.gpu_samples import gpu_use
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.compute import ComputeReport
from cruijff_kit.schema.job import JobState, JobUsage, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.run import Manifest, MetricPoint
from cruijff_kit.workflow.attempts import read_attempts, write_attempts
from cruijff_kit.workflow.compute import read_compute, show_compute
from cruijff_kit.workflow.prior_runs import search_prior_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Submitted, scaffolded_template

SAMPLES = """\
timestamp, index, utilization.gpu [%], memory.used [MiB]
2026/11/20 14:00:00.000, 0, 90 %, 40960 MiB
2026/11/20 14:00:00.000, 1, 10 %, 1024 MiB
2026/11/20 14:00:30.000, 0, 70 %, 20480 MiB
2026/11/20 14:00:30.000, 1, [N/A], 2048 MiB
2026/11/20 14:01:00.000, 0, 5"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one run that trains and is evaluated on one GPU, and a control."""
    root = tmp_path_factory.mktemp("template") / "parity"
    changes = {"factors": {"lora_rank": [4]}, "controls": {"seeds": [1]}}
    return scaffolded_template(root, **changes, resources={"gpus": 1, "time": "02:00:00"})


@pytest.fixture
def exp(template: Path, tmp_path: Path) -> Submitted:
    made = Submitted(template, tmp_path / "projects" / "parity")
    submit_jobs(made.plan_id, world=made.world)
    return made


def _to_the_end(exp: Submitted) -> str:
    """Lose a training once, then let everything succeed; return the run's id."""
    run = read_status(world=exp.world).steps[0].run_id
    first = exp.job_id(run)
    exp.scheduler.start(first)
    exp.saves(first, 1)
    exp.scheduler.took[first] = JobUsage(elapsed_seconds=1800)
    exp.scheduler.lose(first)
    next(watch_jobs(world=exp.world))
    _trained(exp, run)
    for _ in watch_jobs(world=exp.world):
        for job_id, request in exp.alive():
            if all(each.state is JobState.SUCCEEDED for each in exp.scheduler.reports(request.after_ok).values()):
                exp.scheduler.took[job_id] = JobUsage(elapsed_seconds=3600, energy_joules=1.8e6)
                exp.succeed(job_id)
    return run


def _trained(exp: Submitted, run: str) -> None:
    """Leave the files that a training leaves."""
    layout, plan = RunLayout(run), recorded_plan(world=exp.world)[0]
    (planned,) = [each for each in plan.runs if each.id == run]
    now = exp.clock.now()
    points = [MetricPoint(step=n, epoch=0, tokens=500 * n, tokens_per_second=1000.0 + n) for n in range(1, 21)]
    exp.world.store.write(layout.metrics, "".join(point.model_dump_json() + "\n" for point in points))
    manifest = Manifest(
        run_id=run, git_sha=None, git_patch_sha256=None, packages={}, inputs={"model": planned.model.sha256 or ""},
        seeds={}, host="node1", device="cuda:0 A GPU", threads=1, job_ids=("2",), started=now, ended=now,
    )  # fmt: skip
    exp.world.store.write(layout.manifest, manifest.model_dump_json())
    exp.world.store.write(layout.gpu_samples(exp.job_id(run)), SAMPLES)


def test_every_attempt_is_accounted_for_and_what_failed_counts_too(exp: Submitted) -> None:
    run = _to_the_end(exp)
    report = ComputeReport.model_validate_json(exp.world.store.read(ExperimentLayout.compute) or b"")
    assert [(job.run_id == run, job.step, job.attempt, job.state) for job in report.jobs] == [
        (True, Step.TRAIN, 1, JobState.LOST),
        (True, Step.TRAIN, 2, JobState.SUCCEEDED),
        (True, Step.EVAL, 1, JobState.CANCELLED),
        (True, Step.EVAL, 2, JobState.SUCCEEDED),
        (False, Step.EVAL, 1, JobState.SUCCEEDED),
    ]
    assert report.gpu_hours == report.hours == 3.5
    assert report.energy_kwh == 1.5
    assert report == read_compute(world=exp.world)


def test_of_two_attempts_that_had_one_number_neither_is_charged_with_what_the_other_took(exp: Submitted) -> None:
    run = _to_the_end(exp)
    first, second = read_attempts(exp.world.store)[(run, Step.TRAIN)]
    write_attempts(exp.world.store, first.model_copy(update={"job_id": second.job_id}))
    took = {
        job.attempt: job.usage.elapsed_seconds for job in read_compute(world=exp.world).jobs if job.step is Step.TRAIN
    }
    assert took[2] == 3600
    assert took[1] != 3600


def test_a_watch_after_one_that_was_killed_at_the_end_writes_what_was_used(exp: Submitted) -> None:
    _to_the_end(exp)
    before = exp.world.store.read(ExperimentLayout.compute)
    (exp.world.store.root / ExperimentLayout.compute).unlink()
    assert len(list(watch_jobs(world=exp.world))) == 1
    assert exp.world.store.read(ExperimentLayout.compute) == before


def test_speed_is_the_median_after_warm_up_in_processed_tokens(exp: Submitted) -> None:
    _to_the_end(exp)
    speeds = [job.speed for job in read_compute(world=exp.world).jobs if job.speed]
    assert [(each.middle, each.tokens, each.on_gpu) for each in speeds] == [(1012.5, 10_000, True)]
    assert speeds[0].slow < speeds[0].middle < speeds[0].fast


def test_the_table_tells_used_against_estimated(exp: Submitted) -> None:
    told = AuditEvent(
        actor=exp.world.actor,
        verb="design",
        action=Action.CALCULATE_TIME,
        subject="parity",
        outputs={"training time in all": "1 h (told)"},
    )
    exp.world.audit.append(told)
    _to_the_end(exp)
    view = show_compute(world=exp.world)
    lost, trained = view.rows[:2]
    assert (lost[3], lost[4], lost[5]) == ("lost", "30 min 00 s", "25 %")
    assert trained[8] == "0: 80 %, 40.0 GiB; 1: 10 %, 2.0 GiB"
    assert view.note == (
        "Used 3.5 h of jobs, 3.5 GPU-hours, 1.5 kWh; "
        "expected at most 4 GPU-hours by the time limits of the planned jobs; training time in all 1 h (told)."
    )


def test_a_later_estimate_knows_the_speed_of_runs_whose_files_are_gone(exp: Submitted) -> None:
    run = _to_the_end(exp)
    plan = recorded_plan(world=exp.world)[0]
    model = plan.runs[0].model.sha256 or ""
    before = search_prior_runs([model], world=exp.world)
    (exp.world.store.root / RunLayout(run).metrics).unlink()
    after = search_prior_runs([model], world=exp.world)
    assert before == after
    assert after.measured[0].pace.middle == 1012.5


def test_each_gpu_is_told_by_itself_and_what_is_no_figure_is_left_out() -> None:
    zero, one = gpu_use(SAMPLES.splitlines())
    assert (zero.samples, zero.utilisation, zero.utilisation_max, zero.memory_mib) == (2, 80.0, 90.0, 40960.0)
    assert (one.samples, one.utilisation, one.memory_mib) == (2, 10.0, 2048.0)
    assert gpu_use(["", "x,y", "t, 0, [N/A], [N/A]"])[0].utilisation is None
    assert gpu_use([]) == ()


def test_what_a_job_says_of_itself_stands_where_the_scheduler_knows_nothing(exp: Submitted) -> None:
    run = read_status(world=exp.world).steps[0].run_id
    job_id = exp.job_id(run)
    exp.scheduler.start(job_id)
    exp.saves(job_id, 1, cpu_seconds=12.5, max_memory_bytes=2 * 1024**3)
    exp.scheduler.finish(job_id, 1)
    next(watch_jobs(world=exp.world))
    exp.scheduler.forget(job_id)
    (job,) = [job for job in read_compute(world=exp.world).jobs if job.step is Step.TRAIN]
    assert (job.usage.cpu_seconds, job.usage.max_memory_bytes) == (12.5, 2 * 1024**3)
    assert job.usage.elapsed_seconds == 1.0
