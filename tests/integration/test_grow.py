"""A run grown into a design: the same content, so the same id, wherever its rows came from."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.receipt import GrownDesign
from cruijff_kit.workflow.grow import grow_design
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at

ROWS = {
    "train": [{"input": f"question {at}", "output": str(at)} for at in range(12)],
    "validation": [{"input": "held", "output": "1"}],
    "test": [{"input": "tested", "output": "2"}],
}


def scaffolded(root: Path, **changes: Any) -> tuple[World, str]:
    """Return an experiment's world and its first run."""
    put_design(root, design(**changes))
    world = world_at(root)
    return world, scaffold_runs(world=world).runs[0]


def grown(world: World, run: str, target: Path, **told: Any) -> tuple[GrownDesign, World]:
    there = world_at(target)
    levels = told.pop("levels", {"lora_rank": (8, 32)})
    return grow_design(run, levels=levels, reason="more of it", worlds=(world, there), **told), there


def test_the_run_s_own_level_is_among_those_that_are_varied(tmp_path: Path) -> None:
    world, run = scaffolded(tmp_path / "parity")
    found, there = grown(world, run, tmp_path / "more")
    spec = read_design(there)
    assert spec.factors == {"lora_rank": (4, 8, 32)}
    assert (spec.controls.lr, spec.controls.epochs, spec.controls.seeds) == (3e-4, 2, (1,))
    assert found.same is not None
    assert found.same.endswith(run.rpartition("-")[2])
    assert [each.name for each in spec.runs] == ["base"]


def test_a_generated_data_set_is_generated_again_by_the_same_arguments(tmp_path: Path) -> None:
    factors = {"data.N": [24, 40], "lr": [1e-3]}
    world, run = scaffolded(tmp_path / "parity", factors=factors)
    found, there = grown(world, run, tmp_path / "more")
    assert read_design(there).data.training.arguments["N"] == 24
    assert found.same is not None


@pytest.mark.parametrize("place", ("parity/data/rows.json", "elsewhere/rows.json"))
def test_rows_of_the_experiment_are_copied_and_others_read_where_they_lie(place: str, tmp_path: Path) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(ROWS), encoding="utf-8")
    inside = place.startswith("parity/")
    path = place.removeprefix("parity/") if inside else str(file)
    world, run = scaffolded(tmp_path / "parity", data={"training": {"path": path}, "tier": "green"})
    found, there = grown(world, run, tmp_path / "more", seeds=(5,))
    assert found.same is not None
    assert (tmp_path / "more" / "data" / "rows.json").is_file() == inside
    assert read_design(there).data.training.path == path
    assert set(scaffold_runs(world=there).runs) == set(found.runs)


def test_rows_that_were_marked_since_are_kept_as_closely_in_the_grown_design(tmp_path: Path) -> None:
    file = tmp_path / "parity" / "data" / "rows.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(ROWS), encoding="utf-8")
    world, run = scaffolded(tmp_path / "parity", data={"training": {"path": "data/rows.json"}, "tier": "green"})
    assert read_design(grown(world, run, tmp_path / "free")[1]).data.tier == "green"
    file.with_name("TIER").write_text("red\n", encoding="utf-8")
    assert read_design(grown(world, run, tmp_path / "kept")[1]).data.tier == "red"


def test_without_anything_to_vary_the_run_stands_alone_with_its_seeds(tmp_path: Path) -> None:
    world, run = scaffolded(tmp_path / "parity")
    found, there = grown(world, run, tmp_path / "more", levels={}, seeds=(8, 9), question="Again?")
    assert read_design(there).question == "Again?"
    assert len(found.runs) == 3 + 1
    assert found.same is not None


def test_what_holds_nothing_fixed_or_would_replace_a_design_is_refused(tmp_path: Path) -> None:
    world, run = scaffolded(tmp_path / "parity")
    control = next(each for each in scaffold_runs(world=world).runs if each.startswith("base"))
    with pytest.raises(RunError, match="holds nothing fixed"):
        grown(world, control, tmp_path / "more")
    put_design(tmp_path / "taken", design())
    with pytest.raises(PlanError, match="has a design already"):
        grown(world, run, tmp_path / "taken")
    assert not (tmp_path / "more").exists()


def test_nothing_is_left_of_rows_whose_grown_design_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "parity" / "data" / "rows.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(ROWS), encoding="utf-8")
    world, run = scaffolded(tmp_path / "parity", data={"training": {"path": "data/rows.json"}, "tier": "green"})
    target = world_at(tmp_path / "more")._replace(shelf=DiskShelf())
    with pytest.raises(SpecError, match="lora_rnk"):
        grow_design(run, levels={"lora_rnk": (8,)}, reason="more of it", worlds=(world, target))
    assert not [path for path in (tmp_path / "more").rglob("*") if path.is_file()]
