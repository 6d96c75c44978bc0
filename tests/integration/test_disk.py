"""`ck disk`: what an experiment takes, what is proposed, and that nothing else ever goes."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.site_facts import FolderFacts
from cruijff_kit.workflow.disk import list_disk, prune_disk
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import preview_submission
from tests.archived import FILES as LEFT
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.site_probe import FakeProbe

FILES = {**LEFT, "other": "mine.txt"}
DESIGN = {"factors": {}, "runs": [{"name": "tuned"}], "controls": {"seeds": [1, 2], "epochs": 1}}


def done(world: World, path: str, artefacts: dict[str, Path]) -> None:
    hashes = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in artefacts.items()}
    marker = Done(exit_code=0, artefacts=hashes, finished=datetime(2026, 11, 27, tzinfo=UTC))
    world.store.write(path, marker.model_dump_json())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return an experiment of two runs: the first finished, the second trained and not evaluated."""
    root = tmp_path / "parity"
    put_design(root, design(**DESIGN))
    world = world_at(root)._replace(shelf=DiskShelf())
    first, second = scaffold_runs(world=world).runs
    for run in (first, second):
        output = root / "outputs" / "parity" / RunLayout(run).output
        output = output if output.parent.is_dir() else root / "outputs" / RunLayout(run).output
        for path in FILES.values():
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_bytes(b"x" * 5000)
        vouched = {
            str((output / FILES[kind]).relative_to(root)): output / FILES[kind] for kind in ("adapters", "merged")
        }
        done(world, RunLayout(run).done("train"), vouched)
    done(world, RunLayout(first).done("eval"), {})
    return world


def files_of(world: World) -> set[str]:
    return {path.name for path in (world.store.root / "outputs").rglob("*") if path.is_file()}


def test_each_kind_is_told_and_only_what_can_be_made_again_is_proposed(world: World) -> None:
    report = list_disk(world=world)
    first, second = (run for run in dict.fromkeys(item.run_id for item in report.items) if run)
    may_go = {(item.run_id, item.kind) for item in report.items if item.prunable}
    assert {item.kind for item in report.items if item.run_id == first} == set(FILES)
    # The second is still to be evaluated, perhaps with its merged model.
    assert may_go == {
        (first, "merged"), (first, "checkpoints"), (first, "unfinished"), (second, "checkpoints"),
        (second, "unfinished"),
    }  # fmt: skip
    assert report.prunable == sum(item.bytes for item in report.items if item.prunable) > 0
    assert {item.kind for item in report.items if not item.run_id} >= {"records", "data"}


def test_pruning_removes_what_was_proposed_and_the_runs_stay_finished(world: World) -> None:
    before = [(entry.run_id, entry.step, entry.phase) for entry in read_status(world=world).steps]
    proposed = list_disk(world=world)
    receipt = prune_disk(reason="the disk is full", world=world)
    assert receipt.bytes == proposed.prunable
    left = list_disk(world=world)
    assert left.prunable == 0
    first = next(item.run_id for item in left.items if item.run_id)
    assert {item.kind for item in left.items if item.run_id == first} == {"adapters", "tracking", "other"}
    # What `DONE` vouches for is still there, so that what was finished stays so.
    assert [(entry.run_id, entry.step, entry.phase) for entry in read_status(world=world).steps] == before
    records = [record for record in world.audit.records() if record.verb == "prune"]
    assert {record.reason for record in records} == {"the disk is full"}
    assert prune_disk(world=world).files == 0


def test_kinds_may_be_chosen(world: World) -> None:
    prune_disk(kinds=("checkpoints",), world=world)
    assert {item.kind for item in list_disk(world=world).items if item.prunable} == {"merged", "unfinished"}


def test_a_run_that_may_still_go_on_loses_nothing(world: World) -> None:
    for run in {entry.run_id for entry in read_status(world=world).steps}:
        (world.store.root / RunLayout(run).done("train")).unlink()
    assert list_disk(world=world).prunable == 0
    before = files_of(world)
    prune_disk(world=world)
    assert files_of(world) == before


def test_without_a_plan_nothing_is_said_and_nothing_goes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="not scaffolded"):
        prune_disk(world=world_at(tmp_path / "empty")._replace(shelf=DiskShelf()))


def test_the_command_proposes_and_removes_nothing_where_nobody_can_type(world: World) -> None:
    before = files_of(world)
    told = CliRunner().invoke(cli, ("-C", str(world.store.root), "disk", "--json"))
    assert json.loads(told.output)["prunable"] > 0
    said = CliRunner().invoke(cli, ("-C", str(world.store.root), "disk", "--prune"))
    assert "may go" in said.output
    assert "no terminal" in str(said.exception)
    assert files_of(world) == before


def test_a_quota_that_is_too_small_is_named_with_its_file_system_and_what_may_go(tmp_path: Path) -> None:
    root = tmp_path / "parity"
    put_design(root, design())
    told = {"exists": True, "free": 10**12, "quota_left": 1000, "quota_of": "group lab", "files_left": 3}
    small = FolderFacts.model_validate({**told, "path": str(root / "outputs"), "mount": "/scratch"})
    home = FolderFacts(path=str(root), exists=True, free=10, mount="/home")
    world = world_at(root)._replace(probe=FakeProbe(small, home))
    receipt = scaffold_runs(world=world)
    first, plan_id = receipt.runs[0], receipt.plan_id
    checkpoint = root / "outputs" / RunLayout(first).output / "recipe_state" / "step_3" / "tensors.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x" * 2_000_000)
    done(world, RunLayout(first).done("train"), {})
    with pytest.raises(PlanError) as caught:
        preview_submission(plan_id, world=world._replace(shelf=DiskShelf()))
    place = f"at `{root / 'outputs'}`, on `/scratch`"
    said = [problem.message for problem in caught.value.problems]
    assert len(said) == 3
    assert said[0].endswith(f"1e-06 GB are left by the quota of group lab {place}")
    assert said[1] == f"8 runs make some 400 files, and 3 more may be made {place}"
    assert said[2].endswith(f"GB are free at `{root}`, on `/home`")
    assert "`ck disk --prune` frees 0.002 GB here" in str(caught.value)
