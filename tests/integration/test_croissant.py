"""`ck data croissant`: written beside a generated data set once, and only if that is what its sidecar tells."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.workflow.croissant import describe_dataset
from cruijff_kit.workflow.data_list import list_data
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from tests.fakes.designed import design, put_design, world_at

pytestmark = pytest.mark.once


@pytest.fixture
def world(tmp_path: Path) -> World:
    put_design(tmp_path / "parity", design(factors={}, runs=[{"name": "tuned"}]))
    world = world_at(tmp_path / "parity")
    scaffold_runs(world=world)
    return world


def key_of(world: World) -> str:
    return recorded_plan(world=world)[0].datasets[0].key


def test_a_data_set_is_described_once_and_the_seal_holds(world: World) -> None:
    key = key_of(world)
    first = describe_dataset(key, world=world)
    assert first.changed
    assert world.store.digest(f"data/{key}.croissant.json") == first.sha256
    records = len(list(world.audit.records()))
    again = describe_dataset(f"data/{key}.json", world=world)
    assert not again.changed
    assert len(list(world.audit.records())) == records
    sealed_plan(world=world)
    scaffold_runs(world=world)
    assert [each.path for each in list_data(world=world) if not each.bundled] == [f"data/{key}.json"]


def test_data_that_were_changed_are_not_described(world: World) -> None:
    path = world.store.root / f"data/{key_of(world)}.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(SpecError, match="not what its sidecar tells"):
        describe_dataset(key_of(world), world=world)


@pytest.mark.parametrize("name", ("nothing", "..", "", "../parity/data/x.json"))
def test_what_was_not_generated_here_is_refused_with_the_names_of_what_was(world: World, name: str) -> None:
    with pytest.raises(SpecError, match="no data set that was generated here") as caught:
        describe_dataset(name, world=world)
    assert key_of(world) in caught.value.hint


def test_data_made_by_hand_need_a_design_to_be_described_and_that_is_said(world: World) -> None:
    key = key_of(world)
    (world.store.root / "experiment_summary.md").unlink()
    with pytest.raises(PlanError, match="names the experiment, its people and its day, and there is no design here"):
        describe_dataset(key, world=world)
    assert world.store.read(f"data/{key}.croissant.json") is None


def test_the_command_tells_what_it_wrote(world: World) -> None:
    words = ["-C", str(world.store.root), "data", "croissant", key_of(world), "--license", "CC0-1.0"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "24 train, 8 validation, 8 test" in done.output
    assert "it said so already" in CliRunner().invoke(cli, words).output
