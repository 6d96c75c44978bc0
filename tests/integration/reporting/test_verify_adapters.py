"""Verifying adapters: those on disk are those that were trained and evaluated, or are named."""

import shutil
from pathlib import Path

import pytest

from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.mirror import MirrorMark
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.collect import gather_results
from cruijff_kit.workflow.verify_adapters import check_adapters
from tests.fakes.experiment import SMALL, plan_of
from tests.integration.reporting.conftest import world_at


@pytest.fixture(scope="module")
def table(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ResultTable:
    root = Path(shutil.copytree(_finished, tmp_path_factory.mktemp("collected") / "experiment"))
    return gather_results(plan_of(SMALL), world=world_at(root))


def weights_of(run: PlannedRun) -> str:
    return f"outputs/{RunLayout(run.id).epoch(0)}/adapter_model.safetensors"


def test_a_changed_byte_of_an_adapter_is_named_with_the_marker_of_its_training(
    table: ResultTable, world: World, plan: Plan
) -> None:
    path = weights_of(plan.runs[0])
    content = bytearray(world.store.read(path) or b"")
    content[3] ^= 1
    world.store.write(path, bytes(content))
    count, checked = check_adapters(plan, table, world=world)
    (wrong,) = checked.differences
    assert (wrong.kind, wrong.path, wrong.shown) == ("file", path, world.store.digest(path))
    assert wrong.words == "the adapter is not the one that its training wrote"
    assert wrong.origins[0].file == RunLayout(plan.runs[0].id).done("train")
    assert (count, checked.files, checked.notes) == (8, 16, ())


def test_adapters_swapped_between_two_runs_are_named_each_as_that_of_the_other(
    table: ResultTable, world: World, plan: Plan
) -> None:
    runs = plan.runs[:2]
    first, second = (world.store.root / weights_of(run) for run in runs)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    _, checked = check_adapters(plan, table, world=world)
    assert [(each.path, each.words) for each in checked.differences] == [
        (weights_of(run), f"the adapter is not the one that its training wrote: it is that of `{other.id}`, epoch_0")
        for run, other in zip(runs, runs[::-1], strict=True)
    ]


def test_an_adapter_trained_since_is_not_the_one_evaluated_though_its_marker_vouches_for_it(
    table: ResultTable, world: World, plan: Plan
) -> None:
    run, path = plan.runs[0], weights_of(plan.runs[0])
    world.store.write(path, "weights of a later training")
    marker = RunLayout(run.id).done("train")
    done = Done.model_validate_json(world.store.read(marker) or b"")
    artefacts = {**done.artefacts, path: world.store.digest(path) or ""}
    world.store.write(marker, done.model_copy(update={"artefacts": artefacts}).model_dump_json())
    _, checked = check_adapters(plan, table, world=world)
    fact = "evaluated another adapter of epoch 0 than its training vouches for"
    assert [each.words for each in checked.differences] == [f"`{cell.task.name}` {fact}" for cell in run.cells]
    for each in checked.differences:
        assert (each.path, each.shown, each.made) == (path, artefacts[path], done.artefacts[path])
        assert each.origins[0].sha256 == world.store.digest(each.origins[0].file)


def test_an_evaluation_whose_training_vouches_for_no_adapter_or_left_no_marker_is_told(
    table: ResultTable, world: World, plan: Plan
) -> None:
    bare, lost = (RunLayout(run.id).done("train") for run in plan.runs[:2])
    done = Done.model_validate_json(world.store.read(bare) or b"")
    world.store.write(bare, done.model_copy(update={"artefacts": {}}).model_dump_json())
    (world.store.root / lost).unlink()
    count, checked = check_adapters(plan, table, world=world)
    assert ({each.path for each in checked.differences}, count) == ({bare}, 6)
    (note,) = checked.notes
    assert note.startswith(f"the training of `{plan.runs[1].id}` left no marker that can be read")


def test_a_missing_adapter_is_named_but_not_in_a_copy_that_was_fetched_without_adapters(
    table: ResultTable, world: World, plan: Plan
) -> None:
    shutil.rmtree(world.store.root / "outputs" / RunLayout(plan.runs[0].id).output)
    _, checked = check_adapters(plan, table, world=world)
    assert [(each.words, each.shown) for each in checked.differences] == [("the file is missing", "missing")] * 2
    shutil.rmtree(world.store.root / "outputs")
    world.store.write(ExperimentLayout.mirror, MirrorMark(site=None, host="login", dir="/lab/exp").model_dump_json())
    count, fetched = check_adapters(plan, table, world=world)
    assert (count, fetched.files, fetched.differences) == (0, 0, ())
    assert fetched.notes == ("adapters that were left at login:/lab/exp and not compared: 8",)
