"""`ck data croissant`: written beside a generated data set once, and only if that is what its sidecar tells."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.sanity_checks.bit_sequences import generate as bits
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


@pytest.mark.parametrize("words", (("--output_dir", "mine", "--output", "coin.json"), ()))
def test_a_generated_file_is_described_without_a_design(words: tuple[str, ...], tmp_path: Path) -> None:
    told = ["generate", "model_organisms", "--rule", "coin", "--N", "50", "--test_size", "9"]
    made = [*_within(tmp_path), *told, *words]
    first = CliRunner().invoke(cli, made)
    assert first.exit_code == 0, first.output
    path = first.output.split()[0]
    done = CliRunner().invoke(cli, [*_within(tmp_path), "croissant", path])
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{path.removesuffix('.json')}.croissant.json: 40 train, 10 validation, 9 test")
    told = json.loads((tmp_path / path).with_suffix(".croissant.json").read_text(encoding="utf-8"))
    assert told["url"] == Path(path).name == told["distribution"][0]["contentUrl"]
    assert told["description"].startswith("Rows: 40 train")
    assert "experiment" not in told["citeAs"]
    assert "it said so already" in CliRunner().invoke(cli, [*_within(tmp_path), "croissant", path]).output


def test_data_of_a_generators_own_command_are_described(tmp_path: Path) -> None:
    assert bits.main(["--bit_length", "6", "--N", "60", "--val_size", "9", "--p", "0", "--bit_parity", "True",
                      "--output", "parity.json", "--output_dir", str(tmp_path / "green")]) == 0  # fmt: skip
    done = CliRunner().invoke(cli, [*_within(tmp_path), "croissant", "green/parity.json"])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "green/parity.croissant.json").read_text(encoding="utf-8"))
    assert told["name"] == "parity"


def _within(root: Path) -> list[str]:
    return ["-C", str(root), "data"]


def test_the_command_tells_what_it_wrote(world: World) -> None:
    words = ["-C", str(world.store.root), "data", "croissant", key_of(world), "--license", "CC0-1.0"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "24 train, 8 validation, 8 test" in done.output
    assert "it said so already" in CliRunner().invoke(cli, words).output
