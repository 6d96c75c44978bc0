"""What a running training says of its last step."""

from pathlib import Path

import pytest

from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.submit import submit_jobs
from tests.submitted import Submitted, scaffolded_template


@pytest.fixture
def exp(tmp_path: Path) -> Submitted:
    exp = Submitted(scaffolded_template(tmp_path / "template"), tmp_path / "parity")
    submit_jobs(scaffold_runs(world=exp.world).plan_id, world=exp.world)
    return exp


def test_a_training_that_runs_tells_its_last_step_and_one_that_waits_none(exp: Submitted, run: str) -> None:
    metrics = exp.world.store.root / RunLayout(run).metrics
    metrics.write_text('{"step":1,"epoch":0,"loss":2.5}\n{"step":2,"epoch":0,"loss":1.25,"lr":0.1}\n', encoding="utf-8")
    assert exp.step(run).last == {}
    exp.scheduler.start(exp.job_id(run))
    assert exp.step(run).last == {"step": 2, "epoch": 0, "loss": 1.25, "lr": 0.1}


def test_a_line_that_is_being_written_is_no_last_step(exp: Submitted, run: str) -> None:
    exp.scheduler.start(exp.job_id(run))
    assert exp.step(run).last == {}
    (exp.world.store.root / RunLayout(run).metrics).write_text('{"step":1,"epo', encoding="utf-8")
    assert exp.step(run).last == {}
