"""The grid: which runs a design implies, in which order, and which designs have none."""

from typing import Any

import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.planning.grid import cross
from cruijff_kit.schema.spec import Controls
from tests.fakes.designed import DESIGN, design

TWO_MODELS = [{"name": "tiny", "path": "/models/tiny"}, {"name": "big", "path": "/models/big"}]


def slugs(**changes: Any) -> list[str]:
    return [point.slug for point in cross(design(**changes))]


def test_factors_are_crossed_seeds_innermost_and_the_control_runs_once() -> None:
    assert slugs() == [
        "rank4_lr3e-4_seed1",
        "rank4_lr3e-4_seed2",
        "rank4_lr1e-3_seed1",
        "rank4_lr1e-3_seed2",
        "rank16_lr3e-4_seed1",
        "rank16_lr3e-4_seed2",
        "rank16_lr1e-3_seed1",
        "rank16_lr1e-3_seed2",
        "base",
    ]


def test_a_list_runs_what_it_names_and_nothing_else() -> None:
    runs = [{"name": "low", "parameters": {"lora_rank": 2}}, {"name": "base", "type": "control"}]
    points = cross(design(design="list", factors={}, runs=runs))
    assert [point.slug for point in points] == ["low_seed1", "low_seed2", "base"]
    assert points[0].settings["lora_rank"].source == "run"
    assert points[0].settings["lora_alpha"].value == 4.0


def test_a_design_without_factors_trains_its_controls_once_a_seed() -> None:
    assert slugs(factors={}) == ["tiny_seed1", "tiny_seed2", "base"]


def test_any_control_can_be_a_factor() -> None:
    levels = {
        "lora_alpha": [8.0, 16.0],
        "batch_size_val": [1, 2],
        "recipe": ["peft_lora"],
        "prompt": ["{input}", "Q: {input}"],
    }
    # Mappings are no levels.
    mappings = {"loss_options", "harm_weights", "critical_errors", "calibration_monitor"}
    for name in set(Controls.model_fields) - {"seeds"} - mappings:
        chosen = levels.get(name, [Controls.model_fields[name].default])
        points = cross(design(factors={name: chosen}, controls={"seeds": [1]}, runs=[]))
        assert [point.settings[name].value for point in points] == chosen
        assert all(point.settings[name].source == "factor" for point in points)


def test_models_and_generator_arguments_vary_like_controls() -> None:
    factors = {"model": ["tiny", "big"], "data.p": [0.0, 0.25]}
    control = {"name": "base", "type": "control", "model": "big"}
    points = cross(design(models=TWO_MODELS, factors=factors, runs=[control], controls={"seeds": [1]}))
    assert [(point.slug, point.model.name, point.data.values().get("p")) for point in points] == [
        ("tiny_p0_seed1", "tiny", 0.0),
        ("tiny_p0.25_seed1", "tiny", 0.25),
        ("big_p0_seed1", "big", 0.0),
        ("big_p0.25_seed1", "big", 0.25),
        ("base", "big", None),
    ]


def test_files_vary_where_the_data_is_a_file() -> None:
    points = cross(design(data={"training": {"path": "a.json"}}, factors={"data.path": ["a.json", "b.json"]}, runs=[]))
    assert [point.data.path for point in points] == ["a.json", "a.json", "b.json", "b.json"]


def test_a_further_seed_leaves_the_other_slugs_alone() -> None:
    more = slugs(controls={**DESIGN["controls"], "seeds": [1, 2, 3]})
    assert [slug for slug in more if not slug.endswith("seed3")] == slugs()


@pytest.mark.parametrize(
    "changes,path,words",
    (
        ({"factors": {"lora_rnak": [1, 2]}}, "factors.lora_rnak", "did you mean `lora_rank`?"),
        ({"factors": {"seeds": [1, 2]}}, "factors.seeds", "controls.seeds"),
        ({"factors": {"data.path": ["a"]}}, "factors.data.path", "an argument of the generator"),
        ({"data": {"training": {"path": "a.json"}}, "factors": {"data.p": [1]}}, "factors.data.p", "vary `data.path`"),
        ({"factors": {"lora_rank": [4, -1]}}, "factors.lora_rank[1]", "`-1`"),
        ({"factors": {"model": ["tinny"]}}, "factors.model", "did you mean `tiny`?"),
        ({"models": TWO_MODELS}, "factors.model", "vary `model`"),
        ({"models": TWO_MODELS, "factors": {"model": ["tiny", "big"]}}, "runs[0].model", "name one with `model:`"),
        ({"tools": {"preparation": "none"}}, "factors.lora_rank", "tools.preparation"),
        (
            {"factors": {"generation.max_tokens": [1, 2]}},
            "factors.generation.max_tokens",
            "tools.preparation: none",
        ),
        (
            {"tools": {"preparation": "none"}, "factors": {"generation.max_token": [1]}, "runs": []},
            "factors.generation.max_token",
            "`generation.max_tokens`",
        ),
        (
            {"tools": {"preparation": "none"}, "factors": {"generation.temperature": [0.5]}, "runs": []},
            "factors.generation.temperature",
            "evaluation.generation",
        ),
        ({"design": "list"}, "factors", "design: full"),
        ({"design": "list", "factors": {}, "runs": []}, "runs", "has no run"),
        ({"runs": [{"name": "x", "parameters": {"model": "tiny"}}]}, "runs[0].parameters.model", "beside `name`"),
        ({"runs": [{"name": "x", "parameters": {"epoch": 1}}]}, "runs[0].parameters.epoch", "did you mean `epochs`?"),
    ),
)
def test_what_cannot_be_crossed_is_refused_with_place_and_remedy(
    changes: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(PlanError) as caught:
        cross(design(**changes))
    assert any(problem.path == path and words in str(problem) for problem in caught.value.problems)


def test_all_problems_of_a_design_are_told_at_once() -> None:
    factors = {"lora_rank": [0, 4], "speed": [1], "lr": ["fast"]}
    with pytest.raises(PlanError) as caught:
        cross(design(factors=factors, runs=[{"name": "x", "model": "huge"}]))
    assert {problem.path for problem in caught.value.problems} == {
        "factors.lora_rank[0]",
        "factors.speed",
        "factors.lr[0]",
        "runs[0].model",
    }
