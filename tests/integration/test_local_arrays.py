"""A grid as arrays on the scheduler built in: the same scripts, the same folders, no cluster."""

from pathlib import Path

from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.schema.job import Step, array_of
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.run import Phase
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.submit import submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.fakes.designed import world_at
from tests.light_grid import put_light_grid


def test_a_grid_runs_as_arrays_and_each_job_is_told_of_where_its_run_lies(tmp_path: Path) -> None:
    root = tmp_path / "it's $(here)" / "parity"
    site = put_light_grid(root, 12)
    scheduler = LocalScheduler(tmp_path / "queue", site=site, gpus=(), grace=0.3, linger=0.5)
    world = world_at(root, site=site)._replace(scheduler=scheduler, clock=SystemClock())
    submit_jobs(scaffold_runs(world=world).plan_id, world=world)
    status = list(watch_jobs(poll=0.1, timeout=120, world=world))[-1]
    assert {entry.phase for entry in status.steps} == {Phase.COMPLETED}
    assert len({(array_of(entry.attempts[0].intent.tag) or ("", 0))[0] for entry in status.steps}) == 2
    for entry in status.steps:
        layout, job_id = RunLayout(entry.run_id), entry.attempts[0].job_id or ""
        assert (root / layout.folder / f"ran-{entry.step.value}.txt").read_text(encoding="utf-8") == f"{job_id}\n"
        own = root / layout.job_output(job_id)
        assert f"said by {entry.step.value}" in own.read_text(encoding="utf-8")
        array, _ = array_of(entry.attempts[0].intent.tag) or ("", 0)
        assert own.samefile(root / ExperimentLayout.array_output(array, job_id))
        if entry.step is Step.EVAL:
            assert len(entry.attempts[0].after_ok) == 1
