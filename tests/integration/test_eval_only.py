"""Experiments that train nothing: base models under several prompts, from the design to the report."""

import json
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.bootstrap import open_world
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.planning.grid import cross
from cruijff_kit.ports import World
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Phase
from cruijff_kit.workflow import (
    check_design,
    collect_results,
    estimate_runs,
    preview_submission,
    read_status,
    recorded_plan,
    scaffold_runs,
    spot_check_run,
    submit_jobs,
    watch_jobs,
    write_design,
    write_report,
)
from tests.fakes.designed import design
from tests.random_model import random_base

pytestmark = pytest.mark.once

WORDS = ("house", "tree", "apples", "a", "river", "stone")
PROMPTS = ["{input}", "Answer with one word: {input}"]
TWO = [{"name": "tiny", "path": "/models/tiny"}, {"name": "big", "path": "/models/big"}]
PLAIN: dict[str, Any] = {"tools": {"preparation": "none"}, "runs": [], "controls": {}, "factors": {}}


def sweep(base: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "prompts",
        "question": "Which prompt does the base model follow best?",
        "created": "2026-11-20",
        "tools": {"preparation": "none"},
        "models": [{"name": "tiny", "path": base}],
        "data": {"training": {"path": "words.json"}, "tier": "green"},
        "factors": {"prompt": PROMPTS},
        "controls": {"max_seq_len": 128, "seeds": [1, 2]},
        "evaluation": {
            "tasks": [{"name": "words", "task": "rows"}, {"name": "short", "task": "rows", "samples": 3}],
            "generation": {"max_tokens": 4},
        },
        **changes,
    }


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return an experiment that went the whole way: designed, scaffolded, submitted, watched and reported."""
    folder = tmp_path_factory.mktemp("sweep")
    root, base = folder / "prompts", random_base(folder / "models" / "base")
    root.mkdir()
    rows = [{"input": word, "output": word.title()} for word in WORDS]
    (root / "words.json").write_text(json.dumps({"test": rows}), encoding="utf-8")
    world = open_world(root, root=folder, kind="human", name="ada", client=None)
    write_design(dump_yaml(sweep(base)), reason="a sweep of prompts", world=world)
    plan_id = scaffold_runs(world=world).plan_id
    submit_jobs(plan_id, world=world)
    *_, last = watch_jobs(poll=0.5, timeout=300, world=world)
    assert {step.phase for step in last.steps} == {Phase.COMPLETED}, last
    write_report(world=world)
    return world


def test_every_prompt_is_evaluated_once_however_many_seeds_there_are(reported: World) -> None:
    plan, lock = recorded_plan(world=reported)
    assert [(run.type, run.factors["prompt"], len(run.cells)) for run in plan.runs] == [
        ("control", prompt, 2) for prompt in PROMPTS
    ]
    assert len({run.id for run in plan.runs}) == 2
    assert {step.step for step in read_status(world=reported).steps} == {Step.EVAL}
    preview = preview_submission(lock.plan_id, world=reported)
    assert (preview.train_jobs, preview.eval_jobs) == (0, 0)
    assert not list(reported.store.root.glob("runs/*/finetune.*"))


def test_each_run_was_asked_with_its_own_prompt(reported: World) -> None:
    for run, start in zip(recorded_plan(world=reported)[0].runs, ("house", "Answer with one word: house"), strict=True):
        (path,) = (reported.store.root / RunLayout(run.id).cell_logs("words_base")).glob("*.eval")
        log = read_eval_log(str(path))
        assert (log.samples or [])[0].messages[0].text == start


def test_prompts_are_compared_on_the_same_items(reported: World) -> None:
    table = collect_results(world=reported)
    first, second = (run.id for run in recorded_plan(world=reported)[0].runs)
    assert {(row.run, row.task, row.n) for row in table.rows} == {
        (run, task, n) for run in (first, second) for task, n in (("words", 6), ("short", 3))
    }
    assert all(row.value is not None for row in table.rows)
    text = (reported.store.root / "summary.md").read_text(encoding="utf-8")
    (start,) = (at for at, line in enumerate(text.splitlines()) if "Each run against the first" in line)
    told = [line for line in text.splitlines()[start:] if line.startswith(f"| `{second}` | `{first}` |")]
    assert [line.split("|")[3].strip() for line in told[:2]] == ["words", "short"]
    assert "fine-tuned" not in text
    assert "2 of 2 runs have every planned result" in text


def test_the_design_says_in_words_that_nothing_is_trained(reported: World) -> None:
    text = (reported.store.root / "experiment_summary.md").read_text(encoding="utf-8")
    assert "2 of base models, none trained" in text
    assert "nothing is trained" in text
    assert "minimum detectable difference from the first run" in text.lower()
    assert "seeds repeat trainings, and nothing is trained" in text
    for word in ("lora_rank", "Adapters:", "training time", "checkpoints on disk"):
        assert word not in text.partition("## Compute Estimates")[2].partition("## Quick")[0]
    assert "`lora_rank`" not in text


def test_spot_check_and_estimate_have_something_sensible_to_say(reported: World) -> None:
    run = recorded_plan(world=reported)[0].runs[1].id
    found = spot_check_run(run, count=2, world=reported)
    assert [sample.prompt.count("Answer with one word") for sample in found.samples] == [1, 1]
    with pytest.raises(RunError, match="trains nothing"):
        estimate_runs(world=reported)


def test_models_are_crossed_with_prompts_and_generation_settings() -> None:
    varied = {"model": ["tiny", "big"], "system_prompt": ["", "Be brief."], "generation.max_tokens": [4, 8]}
    points = cross(design(**{**PLAIN, "models": TWO, "factors": varied}))
    assert len(points) == 8
    assert {(point.type, point.seed) for point in points} == {("control", 14)}
    assert {point.generation.max_tokens for point in points if point.generation} == {4, 8}
    assert len({point.slug for point in points}) == 8


def test_without_factors_every_model_is_evaluated() -> None:
    points = cross(design(**{**PLAIN, "models": TWO}))
    assert [point.model.name for point in points] == ["tiny", "big"]
    assert [point.model.name for point in cross(design(**PLAIN))] == ["tiny"]


def test_runs_may_have_prompts_and_settings_of_their_own() -> None:
    parameters = {"prompt": "Q: {input}", "generation.max_tokens": 3}
    runs = [{"name": "plain", "type": "control"}, {"name": "asked", "type": "control", "parameters": parameters}]
    plain, asked = cross(design(**{**PLAIN, "runs": runs}))
    assert (plain.settings["prompt"].value, plain.generation) == ("{input}", None)
    assert asked.settings["prompt"].value == "Q: {input}"
    assert asked.generation is not None
    assert asked.generation.max_tokens == 3


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"analysis": {"comparisons": ["base"]}}, "every run is compared with the first one"),
        ({"tools": {"preparation": "none", "evaluation": "none"}}, "nothing is trained and nothing is evaluated"),
        ({"factors": {"lr": [0.1, 0.2]}}, "read by training alone"),
        ({"runs": [{"name": "tuned"}]}, "or `type: control`"),
    ),
)
def test_what_has_no_meaning_without_training_is_refused_in_words(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (tmp_path / "words.json").write_text(json.dumps({"test": [{"input": "a", "output": "A"}]}), encoding="utf-8")
    base = random_base(tmp_path / "base")
    world = open_world(tmp_path, root=tmp_path, kind="human", name="ada", client=None)
    with pytest.raises((SpecError, PlanError)) as caught:
        check_design(dump_yaml(sweep(base, **changes)), world=world)
    assert words in str(caught.value)
