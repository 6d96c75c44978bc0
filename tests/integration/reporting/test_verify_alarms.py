"""Verifying what nobody changed: experiments of any size, finished or not, raise no alarm."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from cruijff_kit.cli import verify as command
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.verification import Difference
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.verify import verify_experiment
from tests.fakes.experiment import Size, make_experiment, plan_of, write_training
from tests.integration.reporting.conftest import ACTOR, world_at


@pytest.mark.parametrize("number", range(5))
def test_a_clean_experiment_raises_no_alarm(number: int, tmp_path: Path) -> None:
    assert _alarms(number, tmp_path) == []


def test_what_jobs_left_since_the_report_is_said_to_be_that(world: World, plan: Plan, tmp_path: Path) -> None:
    run = plan.runs[0]
    late = world.store.root / RunLayout(run.id).cell(run.cells[0].name)
    late.rename(tmp_path / "late")
    write_report(world=world)
    assert verify_experiment(world=world).ok
    (tmp_path / "late").rename(late)
    found = verify_experiment(world=world)
    assert not found.ok
    assert found.notes[0].startswith(f"jobs have left results since the report was made, of `{run.id}`: ")


@pytest.mark.soak
def test_a_hundred_clean_experiments_raise_no_alarm(tmp_path: Path) -> None:
    assert [(number, each) for number in range(100) for each in _alarms(number, tmp_path / str(number))] == []


def _alarms(number: int, place: Path) -> list[Difference]:
    """Return what is wrong with an experiment in which nothing is: of any size, finished or not."""
    chance = Random(number)
    size = Size(
        words=chance.randint(4, 20), others=1, steps=chance.randint(5, 25), seeds=tuple(range(1, chance.randint(2, 3))),
        evaluated=number % 4 != 3,
    )  # fmt: skip
    root = place / chance.choice(("plain", "with space", "ünï—cödé"))
    make_experiment(root, size)
    for path in _undone(root, size, chance=chance):
        path.unlink()
    world = world_at(root, size)
    write_report(world=world)
    for event in range(chance.randint(0, 2)):
        world.audit.append(AuditEvent(actor=ACTOR, verb="sync", action=Action.SYNC_RUNS, subject=str(event)))
        if chance.random() < 0.5:
            write_report(world=world)
    return list(verify_experiment(world=world).differences)


def _undone(root: Path, size: Size, *, chance: Random) -> Iterator[Path]:
    """Yield markers to take away, and leave some trainings half done."""
    for run in plan_of(size).runs:
        layout = RunLayout(run.id)
        if run.type == "fine-tuned" and chance.random() < 0.2:
            write_training(root, run, upto=size.steps // 2)
            yield root / layout.done("train")
            yield root / layout.manifest
        for cell in run.cells:
            if chance.random() < 0.1:
                yield root / layout.cell_done(cell.name)


def test_before_a_report_there_is_nothing_to_verify(world: World) -> None:
    result = CliRunner().invoke(command.verify, obj=str(world.store.root.parent / "nothing"))
    assert isinstance(result.exception, PlanError)
    assert "there is no directory `nothing`" in str(result.exception)
    with pytest.raises(Exception, match="nothing was reported yet"):
        verify_experiment(world=world)
