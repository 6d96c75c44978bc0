"""The failure policy on the embedded scheduler: jobs that vanish and run out of memory, for real."""

import getpass
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.ports import World
from cruijff_kit.schema.compute import ComputeReport
from cruijff_kit.schema.job import JobState
from cruijff_kit.schema.run import Phase, StepStatus
from tests.bit_design import bit_design
from tests.random_model import random_base


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a scaffolded experiment of two runs, one job in the queue at a time."""
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "site.yaml").write_text("queue: {max_queued: 1}\n", encoding="utf-8")
    recipe = Path(__file__).parent / "fickle_recipe.py"
    text = bit_design("fickle", model=random_base(tmp_path / "base"), recipe=recipe, seeds=(1,))
    world = open_world(project / "fickle", root=project, kind="human", name=getpass.getuser(), client=None)
    workflow.write_design(text, reason="test", world=world)
    workflow.scaffold_runs(world=world)
    return world


def test_what_vanished_is_tried_again_and_what_lacked_memory_once_a_smaller_pass_is_approved(world: World) -> None:
    plan_id = workflow.sealed_plan(world=world)[1].plan_id
    workflow.submit_jobs(plan_id, reason="test", world=world)
    *_, last = workflow.watch_jobs(poll=0.05, world=world)
    vanished, spent = last.steps
    assert [vanished.phase, spent.phase] == [Phase.COMPLETED, Phase.FAILED]
    assert [each.verdict for each in vanished.attempts] == [JobState.LOST, JobState.SUCCEEDED]
    assert "CUDA out of memory" in spent.attempts[-1].log[-1]

    workflow.retry_run(spent.run_id, apply_proposal=True, reason="half the rows", world=world)
    *_, last = workflow.watch_jobs(poll=0.05, world=world)
    assert {entry.phase for entry in last.steps} == {Phase.COMPLETED}
    assert [_passes(entry, world) for entry in last.steps] == [["4 x 1", "4 x 1"], ["4 x 1", "2 x 2"]]
    report = ComputeReport.model_validate_json(world.store.read("compute.json") or b"")
    assert len(report.jobs) == 4
    assert all(job.usage.elapsed_seconds for job in report.jobs)
    assert workflow.verify_audit(world=world).ok
    shown = CliRunner().invoke(cli, ["-C", str(world.store.root), "status", "--compute"])
    assert shown.exit_code == 0, shown.output
    assert [line.split()[1:4] for line in shown.output.splitlines()[2:6]] == [
        ["train", "1", "lost"], ["train", "2", "succeeded"], ["train", "1", "failed"], ["train", "2", "succeeded"],
    ]  # fmt: skip


def _passes(entry: StepStatus, world: World) -> list[str]:
    return (world.store.read_text(f"runs/{entry.run_id}/ran.txt") or "").splitlines()
