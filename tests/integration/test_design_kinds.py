"""Designs that take points of a space: from their text to run directories and what the summary says of them."""

from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.experiment import write_training

PLAIN: dict[str, Any] = {
    **DESIGN,
    "factors": {},
    "runs": [],
    "tools": {"evaluation": "none"},
    "evaluation": {},
    "controls": {"seeds": [1], "batch_size": 4},
}
RANGES = {"lr": {"low": 1e-5, "high": 1e-3, "log": True}, "lora_rank": {"low": 8, "high": 64, "step": 8}}
PAIRS = {
    "lora_rank": [4, 16],
    "lr": [1e-4, 1e-3],
    "weight_decay": [0.0, 0.1],
    "lr_scheduler": ["cosine", "linear"],
    "num_warmup_steps": [0, 3],
}


def text(design: Any, **changes: Any) -> str:
    return dump_yaml({**PLAIN, "design": design, **changes})


def scaffolded(root: Path, design: Any, **changes: Any) -> tuple[Plan, World]:
    world = world_at(root / "parity")
    write_design(text(design, **changes), reason="to see", world=world)
    scaffold_runs(world=world)
    return recorded_plan(world=world)[0], world


def problems(root: Path, design: Any, **changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        check_design(text(design, **changes), world=world_at(root / "parity"))
    return str(caught.value)


def test_a_latin_hypercube_becomes_run_directories_with_its_points(tmp_path: Path) -> None:
    plan, world = scaffolded(tmp_path, {"kind": "latin_hypercube", "points": 6, "seed": 3, "space": RANGES})
    assert len({run.id for run in plan.runs}) == 6
    for run in plan.runs:
        config = load_yaml(world.store.read_text(RunLayout(run.id).config) or "", name="finetune.yaml").value
        assert config["optimizer"]["lr"] == run.factors["lr"]
        assert config["model"]["lora_rank"] == run.factors["lora_rank"]
    again, _ = scaffolded(tmp_path / "again", {"kind": "latin_hypercube", "points": 6, "seed": 3, "space": RANGES})
    assert again.runs == plan.runs


def test_factors_beside_a_space_are_crossed_with_its_points(tmp_path: Path) -> None:
    design = {"kind": "latin_hypercube", "points": 3, "space": RANGES}
    plan, _ = scaffolded(tmp_path, design, factors={"lr_scheduler": ["cosine", "linear"]})
    assert [run.factors["lr_scheduler"] for run in plan.runs] == ["cosine"] * 3 + ["linear"] * 3
    grid = {"kind": "grid", "space": {"lr": {"low": 1e-5, "high": 1e-3, "log": True, "points": 3}}}
    plan, _ = scaffolded(tmp_path / "grid", grid, factors={"lora_rank": [4, 8]})
    assert [run.factors["lr"] for run in plan.runs] == [1e-5, 1e-4, 1e-3] * 2


def test_a_grid_over_ranges_names_the_same_runs_as_its_levels_written_out(tmp_path: Path) -> None:
    ranged, _ = scaffolded(tmp_path, {"kind": "grid", "space": {"lora_rank": RANGES["lora_rank"]}})
    listed, _ = scaffolded(tmp_path / "listed", "full", factors={"lora_rank": list(range(8, 65, 8))})
    assert [run.id for run in ranged.runs] == [run.id for run in listed.runs]


def test_a_fraction_runs_its_part_and_the_summary_says_what_it_cannot_tell_apart(tmp_path: Path) -> None:
    plan, world = scaffolded(tmp_path, {"kind": "fractional", "runs": 8}, factors=PAIRS)
    assert len(plan.runs) == 8
    summary = world.store.read_text("experiment_summary.md") or ""
    assert "Fractional factorial of resolution III: 8 of 32 combinations" in summary
    assert "Not told apart: " in summary


def test_the_effects_of_a_fraction_are_estimated_from_the_runs_it_has(tmp_path: Path) -> None:
    plan, world = scaffolded(tmp_path, {"kind": "fractional"}, factors=PAIRS, controls={"seeds": [1, 2]})
    for run in plan.runs:
        write_training(world.store.root, run)
    write_report(world=world)
    report = world.store.read_text("summary.md") or ""
    assert "| lora_rank | 16 - 4 |" in report


def test_the_points_of_a_latin_hypercube_are_reported_each_by_itself(tmp_path: Path) -> None:
    plan, world = scaffolded(tmp_path, {"kind": "latin_hypercube", "points": 40, "space": RANGES})
    for run in plan.runs:
        write_training(world.store.root, run)
    write_report(world=world)
    report = world.store.read_text("summary.md") or ""
    assert sum("lora_rank" in line and "| lr " in line for line in report.splitlines()) >= 40


def test_a_search_starts_with_its_default_alone(tmp_path: Path) -> None:
    plan, world = scaffolded(tmp_path, {"kind": "search", "trials": 40, "space": RANGES})
    assert [run.id.rpartition("-")[0] for run in plan.runs] == ["default_seed1"]
    summary = world.store.read_text("experiment_summary.md") or ""
    assert "Search by val_loss: up to 40 trials" in summary
    assert "at most 53 trainings" in summary
    assert "`ck sweep watch`" in summary
    assert "| `lr` | 1e-05 to 0.001, by ratio |" in summary


def test_the_preset_of_a_search_reckons_warm_up_from_the_length_of_its_runs(tmp_path: Path) -> None:
    changes = {"controls": {"seeds": [1], "batch_size": 1, "epochs": 50}}
    _, world = scaffolded(tmp_path, {"kind": "search", "trials": 4, "preset": "tune"}, **changes)
    summary = world.store.read_text("experiment_summary.md") or ""
    assert "| `lora_alpha` | 16 to 128 in steps of 16 |" in summary
    assert "| `num_warmup_steps` | 12 to 120 |" in summary


def test_all_problems_of_a_space_are_told_at_once_with_the_way_out(tmp_path: Path) -> None:
    space = {"warmup_ratio": [0.1, 0.2], "compile": [True, False], "lora_dropout": {"low": 0.1, "high": 2}}
    told = problems(tmp_path, {"kind": "search", "trials": 4, "metric": "match", "space": space})
    assert "`num_warmup_steps`, which `preset: tune` reckons" in told
    assert "`compile` changes no result" in told
    assert "`2` is not a valid `lora_dropout`" in told
    assert "`match` is measured by an evaluation, and there is none" in told


@pytest.mark.parametrize(
    "design,changes,fact",
    (
        ({"kind": "search", "trials": 4, "space": RANGES}, {"factors": {"lr": [1, 2]}}, "are not crossed"),
        ({"kind": "search", "trials": 4, "space": RANGES}, {"runs": [{"name": "default"}]}, "is held against"),
        ({"kind": "search", "trials": 4, "space": RANGES}, {"analysis": {"alpha": 0.01}}, "can never show a win"),
        ({"kind": "search", "trials": 4, "metric": "val_los", "space": RANGES}, {}, "measured by an evaluation"),
        ({"kind": "latin_hypercube", "points": 3, "space": RANGES}, {"factors": {"lr": [1, 2]}}, "and in `factors`"),
        ({"kind": "grid", "space": {"lr": [1, 2]}}, {"controls": {"lr": 1.0}}, "is varied and is also held fixed"),
        ({"kind": "latin_hypercube", "points": 9, "space": {"lora_rank": [1, 2]}}, {}, "too few values for 9"),
        ({"kind": "fractional"}, {"factors": {"lr": [1, 2, 3], "epochs": [1, 2]}}, "`lr` has 3"),
        ({"kind": "grid", "space": {"lrr": [1, 2]}}, {}, "unknown factor `lrr`"),
    ),
)
def test_a_design_that_contradicts_itself_is_refused(
    tmp_path: Path, design: Any, changes: dict[str, Any], fact: str
) -> None:
    assert fact in problems(tmp_path, design, **changes)


def test_a_search_by_the_test_split_is_warned_of(tmp_path: Path) -> None:
    tasks = [{"name": "bits", "task": "rows", "split": "test", "scorers": ["match"]}]
    design = {"kind": "search", "trials": 4, "metric": "match", "space": RANGES}
    told = text(design, tools={}, evaluation={"tasks": tasks})
    review = check_design(told, world=world_at(tmp_path / "parity"))
    assert any("flatter the winner" in warning for warning in review.warnings)


def test_a_run_with_seeds_of_its_own_is_repeated_over_these_alone(tmp_path: Path) -> None:
    runs = [{"name": "long", "parameters": {"epochs": 2}, "seeds": [7, 8]}, {"name": "short"}]
    plan, _ = scaffolded(tmp_path, "list", runs=runs)
    assert [(run.id.partition("_")[0], run.seed) for run in plan.runs] == [("long", 7), ("long", 8), ("short", 1)]
