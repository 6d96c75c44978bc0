"""Broken designs are refused with place and remedy, all problems at once, and nothing is written."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.workflow.consent import allow_data, preview_allow
from cruijff_kit.workflow.design import check_design, write_design
from tests.fakes.designed import world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

DESIGN: dict[str, Any] = {
    "name": "capitals",
    "question": "Does rank matter?",
    "created": "2026-11-20",
    "models": [{"name": "tiny", "path": "/models/tiny"}],
    "data": {"training": {"path": "words.json"}, "tier": "green"},
    "factors": {"lora_rank": [4, 16], "lr": [3e-4, 1e-3]},
    "runs": [{"name": "base", "type": "control"}],
    "controls": {"seeds": [1, 2], "batch_size": 1, "epochs": 2, "num_warmup_steps": 2, "max_seq_len": 64},
    "evaluation": {"tasks": [{"name": "test", "task": "capitalization"}]},
    "analysis": {"groups": ["word_length"]},
}
"""A sound design on a file of the user's; every broken one differs from it in one thing."""


def rows(*words: str) -> list[dict[str, str]]:
    return [{"input": word, "output": word.capitalize(), "word_length": str(len(word))} for word in words]


ROWS: dict[str, Any] = {
    "train": rows("alpha", "bravo", "delta", "gamma"),
    "validation": rows("hotel"),
    "test": rows("india", "lemon"),
}


class Broken(NamedTuple):
    """One broken design: what to break, and what must be said."""

    break_it: Callable[[dict[str, Any], dict[str, Any]], object]
    """Changes a design and its rows."""
    path: str
    """Where the problem is placed: path in the design."""
    says: str
    """Part of the message."""
    remedy: str
    """Part of the hint."""


def at(*keys: Any, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    """Return a change that sets a key of the design."""

    def change(spec: dict[str, Any], _: dict[str, Any]) -> None:
        inner: Any = spec
        for key in keys[:-1]:
            inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
        inner[keys[-1]] = value

    return change


def without(*keys: Any) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    """Return a change that removes a key of the design."""

    def change(spec: dict[str, Any], _: dict[str, Any]) -> None:
        inner: Any = spec
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return change


def generated(**arguments: Any) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    """Return a change that generates the data instead."""
    return at("data", "training", value={"generator": "capitalization", "arguments": arguments})


FORM = {
    "a misspelt key": Broken(
        at("controls", "batchsize", value=4), "controls.batchsize", "unknown key", "write `batch_size`"
    ),
    "a key in the wrong place": Broken(at("lr", value=1e-3), "lr", "unknown key `lr`", "belongs at `controls.lr`"),
    "another tool's word": Broken(
        at("controls", "learning_rate", value=1), "controls.learning_rate", "unknown key", "`controls.lr`"
    ),
    "a key there never is": Broken(
        at("evaluation", "matrix_epochs", value=0), "evaluation.matrix_epochs", "unknown", "each row"
    ),
    "a missing key": Broken(without("question"), "question", "`question` is missing", "add `question:`"),
    "an empty question": Broken(at("question", value=""), "question", "is empty", "fill it in"),
    "a name no path can take": Broken(at("name", value="a/b"), "name", "`a/b` is not allowed", "Name of the"),
    "no day": Broken(at("created", value="2026-02-30"), "created", "no day of the calendar", "year-month-day"),
    "a negative rank": Broken(at("controls", "lora_alpha", value=-4), "controls.lora_alpha", "above 0", "mend"),
    "half an epoch": Broken(at("controls", "epochs", value=1.5), "controls.epochs", "a whole number", "mend"),
    "a truth for a number": Broken(at("controls", "epochs", value=True), "controls.epochs", "`true` is", "a number"),
    "an engine unknown": Broken(
        at("tools", value={"preparation": "torchtun"}), "tools.preparation", "`torchtune`", "write `torchtune`"
    ),
    "an ambiguous time": Broken(at("resources", value={"time": "10:00"}), "resources.time", "seconds included", "mend"),
    "a level that is no list": Broken(at("factors", "lr", value=0.1), "factors.lr", "must be a list", "`lr: [0.1]`"),
    "a format unknown": Broken(
        at("data", "training", "format", value="csv"), "data.training.format", "`parquet`", "mend"
    ),
    "columns of a generator": Broken(
        at("data", "training", value={"generator": "words", "columns": {"a": "b"}}),
        "data.training",
        "names its own",
        "",
    ),
    "a newer form": Broken(at("schema_version", value=2), "", "newer than this package", "ck schema"),
    "a misspelt rule": Broken(
        at("policy", value={"lost": {"retires": 3}}), "policy.lost.retires", "unknown key", "write `retries`"
    ),
    "a reaction unknown": Broken(
        at("policy", value={"failed": {"reaction": "again"}}), "policy.failed.reaction", "`again` is not", "mend"
    ),
    "no data at all": Broken(at("data", "training", value={}), "data.training", "exactly one of", "Rows for"),
}
PLAN = {
    "more GPU-hours than the site gives": Broken(
        at("policy", value={"max_gpu_hours": 500}), "policy.max_gpu_hours", "this site's budget, `200`", "at most 200"
    ),
    "more attempts than the site gives": Broken(
        at("policy", value={"max_retries": 26}), "policy.max_retries", "this site's budget, `25`", "at most 25"
    ),
    "attempts that can never be made": Broken(
        at("policy", value={"max_retries": 3, "lost": {"retries": 4}}), "policy.lost.retries", "can never", "at most 3"
    ),
    "a negative level": Broken(at("factors", "lora_rank", value=[4, -8]), "factors.lora_rank[1]", "`-8`", "ck schema"),
    "an unknown factor": Broken(at("factors", "lora_rnk", value=[4, 8]), "factors.lora_rnk", "unknown", "`lora_rank`"),
    "a factor held fixed too": Broken(
        at("controls", "lora_rank", value=8), "controls.lora_rank", "also held fixed", "in one place"
    ),
    "a level named twice": Broken(at("factors", "lora_rank", value=[4, 4]), "factors", "a level twice", "varied"),
    "a duplicate run": Broken(
        at("runs", 0, value={"name": "again", "parameters": {"lora_rank": 4, "lr": 3e-4}}),
        "runs[0]",
        "is the same as",
        "remove one",
    ),
    "a control run that trains": Broken(
        at("runs", 0, "parameters", value={"lora_rank": 8}),
        "runs[0].parameters.lora_rank",
        "only training reads",
        "`type: fine-tuned`",
    ),
    "an epoch not saved": Broken(at("evaluation", "epochs", value=[5]), "evaluation.epochs", "not saved", "add it to"),
    "a matrix row without run": Broken(
        at("evaluation", "matrix", value=[{"run": "basis", "tasks": ["test"]}]),
        "evaluation.matrix[0].run",
        "no run is called",
        "runs are",
    ),
    "a prompt without question": Broken(
        at("controls", "prompt", value="Capitalise:"), "controls.prompt", "lacks `{input}`", "put `{input}`"
    ),
    "an unknown recipe": Broken(at("controls", "recipe", value="sft"), "controls.recipe", "unknown", "name one"),
    "unknown custom metrics": Broken(
        at("controls", "custom_metrics", value="label_formats"), "controls.custom_metrics", "unknown", "`label_format`"
    ),
    "labels left empty": Broken(
        at("controls", "custom_metrics", value="label_format:0,"), "controls.custom_metrics", "unknown", "yes,no"
    ),
    "a label metric of prompts": Broken(
        lambda spec, _: spec["controls"].update(custom_metrics="label_format", train_on_input=True),
        "controls.custom_metrics",
        "first supervised token",
        "leave `train_on_input` out",
    ),
    "an unknown task": Broken(
        at("evaluation", "tasks", 0, "task", value="capitalisation"),
        "evaluation.tasks[0].task",
        "unknown task",
        "`capitalization`",
    ),
    "a task file that is missing": Broken(
        at("evaluation", "tasks", 0, "task", value="mine.py@it"), "evaluation.tasks[0].task", "is missing", "path"
    ),
    "an unknown outcome": Broken(
        at("analysis", "primary_metric", value="includes"), "analysis.primary_metric", "known are", "name one"
    ),
    "a comparison without its control": Broken(
        lambda spec, _: (spec.pop("runs"), spec["analysis"].update(comparisons=["base"])),
        "analysis.comparisons",
        "needs a control run",
        "add `{name: base",
    ),
    "nothing evaluated": Broken(without("evaluation"), "evaluation.tasks", "nothing is evaluated", "none"),
    "the training split evaluated": Broken(
        at("evaluation", "tasks", 0, "split", value="train"),
        "evaluation.tasks[0].split",
        "training split",
        "not trained",
    ),
    "seeds named twice": Broken(at("controls", "seeds", value=[1, 1]), "controls.seeds[1]", "named twice", "keep one"),
}
WORLD = {
    "a model without config": Broken(
        at("models", 0, "path", value="/models/none"), "models[0].path", "does not exist", "mend the path"
    ),
    "another model than meant": Broken(
        at("models", 0, "sha256", value="b" * 64), "models[0].sha256", "has hash", "remove `sha256`"
    ),
    "a file of metrics that is missing": Broken(
        at("controls", "custom_metrics", value="mine.py"), "controls.custom_metrics", "is missing", "experiment"
    ),
    "a file that is missing": Broken(
        at("data", "training", "path", value="wrds.json"), "data.training", "cannot be read", "mend the path"
    ),
    "another format than stated": Broken(
        at("data", "training", "format", value="parquet"), "data.training.format", "is json; the design", "format: json"
    ),
    "a column to rename that is missing": Broken(
        at("data", "training", "columns", value={"word": "wrd"}), "train[0].wrd", "renames to `word`", "mend the row"
    ),
    "questions and answers read as conversations": Broken(
        at("controls", "dataset_type", value="chat"), "train[0].messages", "is missing; the row has", "mend the row"
    ),
    "an answer that ends too soon": Broken(
        lambda _, data: data["train"][1].update(output="Eagle<|eot|>s"),
        "data.training",
        "train[1]: an answer holds an end token before its end",
        "ck data show",
    ),
    "rows without an answer": Broken(
        lambda _, data: data["train"][2].pop("output"), "train[2].output", "is missing; the row has", "mend the row"
    ),
    "a missing split": Broken(
        lambda _, data: data.pop("test"), "evaluation.tasks.test.split", "no rows in", "splits are"
    ),
    "overlapping splits": Broken(
        lambda _, data: data["test"].append(data["train"][0]), "data.training", "share 1 questions", "remove the shared"
    ),
    "fewer rows than expected": Broken(
        at("data", "training", "splits", value={"train": 800}), "data.training.splits.train", "has 4 rows", "mend"
    ),
    "a column that is missing": Broken(
        at("controls", "prompt", value="{input} {clue}"), "controls.prompt", "column `clue`", "name one of"
    ),
    "a prompt that tells the answer": Broken(
        at("controls", "prompt", value="{input} {output}"), "controls.prompt", "gives the answer away", "remove"
    ),
    "a group that is no column": Broken(
        at("analysis", "groups", value=["word_len"]), "analysis.groups[0]", "no column", "`word_length`"
    ),
    "rows too long": Broken(at("controls", "max_seq_len", value=16), "controls.max_seq_len", "tokens", "max_seq_len"),
    "a system message in plain text": Broken(
        at("controls", value={"dataset_type": "text_completion", "system_prompt": "Be brief."}),
        "controls.system_prompt",
        "no system message",
        "before `{input}`",
    ),
    "an unknown generator": Broken(
        at("data", "training", value={"generator": "capitals"}),
        "data.training.generator",
        "unknown",
        "write `capitalization`",
    ),
    "an unknown argument": Broken(
        generated(word_lenght=5), "data.training.arguments.word_lenght", "unknown argument", "`word_length`"
    ),
    "more words than there are": Broken(
        generated(test=100_000), "data.training.arguments.test", "the list has", "ask for fewer"
    ),
    "words that are missing": Broken(generated(words="none.txt"), "data.training", "cannot be read", "mend the path"),
}
BROKEN = {**FORM, **PLAN, **WORLD}


@pytest.fixture
def world(tmp_path: Path) -> World:
    root = tmp_path / "capitals"
    root.mkdir()
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    return world_at(root)._replace(hub=hub)


def tree(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def refused(spec: dict[str, Any], data: dict[str, Any], world: World) -> tuple[Problem, ...]:
    """Write a design that must be refused, and see that nothing was written."""
    (world.store.root / "words.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    before = tree(world.store.root)
    with pytest.raises(SpecError) as caught:
        write_design(dump_yaml(spec), reason="a test", world=world)
    assert tree(world.store.root) == before
    assert world.audit.head() is None
    return caught.value.problems


def test_the_design_that_the_broken_ones_differ_from_is_sound(world: World) -> None:
    (world.store.root / "words.json").write_text(json.dumps(ROWS), encoding="utf-8")
    review = check_design(dump_yaml(DESIGN), world=world)
    assert len(review.plan.runs) == 9
    assert [text for text in review.warnings if "steps" not in text] == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_design_is_refused_with_place_and_remedy(name: str, world: World) -> None:
    broken, spec, data = BROKEN[name], copy.deepcopy(DESIGN), copy.deepcopy(ROWS)
    broken.break_it(spec, data)
    problems = refused(spec, data, world)
    assert [problem.path for problem in problems] == [broken.path]
    (problem,) = problems
    assert broken.says in problem.message
    assert broken.remedy in problem.hint
    file, _, line = problem.place.rpartition(":")
    assert file in {"design.yaml", "words.json"}
    assert int(line) >= 1


def test_there_are_at_least_thirty_ways_to_break_a_design() -> None:
    assert len(BROKEN) >= 30


def test_problems_of_every_kind_are_listed_together_in_the_order_of_their_lines(world: World) -> None:
    spec, data = copy.deepcopy(DESIGN), copy.deepcopy(ROWS)
    for name in ("a key in the wrong place", "half an epoch", "an unknown factor", "a model without config"):
        BROKEN[name].break_it(spec, data)
    BROKEN["rows without an answer"].break_it(spec, data)
    problems = refused(spec, data, world)
    assert {problem.path for problem in problems} == {
        "lr",
        "controls.epochs",
        "factors.lora_rnk",
        "models[0].path",
        "train[2].output",
    }
    lines = [int(problem.place.rpartition(":")[2]) for problem in problems if problem.place.startswith("design")]
    assert lines == sorted(lines)


def test_a_torn_data_file_is_named_with_its_line(world: World) -> None:
    (world.store.root / "words.json").write_text('{"train": [\n{"input": "a", ', encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        check_design(dump_yaml(DESIGN), world=world)
    assert [problem.place for problem in caught.value.problems] == ["words.json:2"]


def test_rows_are_quoted_only_where_the_tier_allows_it(world: World) -> None:
    spec, data = copy.deepcopy(DESIGN), copy.deepcopy(ROWS)
    data["test"].append(data["train"][0])
    assert "such as `alpha`" in refused(spec, data, world)[0].message
    for tier in ("yellow", "red"):
        spec["data"]["tier"] = tier
        assert "alpha" not in str(refused(spec, data, world))
    spec["data"]["tier"] = "yellow"
    allow_data(preview_allow(["words.json"], way="show", world=world), reason="ours", who="Ada", world=world)
    with pytest.raises(SpecError, match="such as `alpha`"):
        check_design(dump_yaml(spec), world=world)


def test_a_folder_may_raise_the_tier_of_its_data(world: World) -> None:
    (world.store.root / "TIER").write_text("red\n", encoding="utf-8")
    (problem,) = refused(DESIGN, ROWS, world)
    assert problem.path == "data.tier"
    assert problem.hint == "write `tier: red`"
    (world.store.root / "TIER").write_text("blue\n", encoding="utf-8")
    assert "says `blue`" in refused(DESIGN, ROWS, world)[0].message


def test_an_evaluation_file_of_its_own_is_checked_against_the_training_rows(world: World) -> None:
    other = {"test": [{**ROWS["train"][1], "input": "bravo"}, *rows("a" * 70)]}
    (world.store.root / "other.json").write_text(json.dumps(other), encoding="utf-8")
    spec = copy.deepcopy(DESIGN)
    spec["evaluation"]["tasks"][0]["dataset"] = "other.json"
    problems = {problem.path: problem.message for problem in refused(spec, ROWS, world)}
    assert set(problems) == {"evaluation.tasks[0].dataset", "controls.max_seq_len"}
    assert "share 1 questions, such as `bravo`" in problems["evaluation.tasks[0].dataset"]
    assert problems["controls.max_seq_len"].startswith("test[1]: the prompt has")


@pytest.mark.parametrize("text", ("", "just words", "[1, 2]", "name: a\nname: b\n", "a: &x 1\nb: *x\n", "a: [1\n"))
def test_text_that_is_no_design_is_refused(text: str, world: World) -> None:
    with pytest.raises(SpecError) as caught:
        write_design(text, reason="a test", world=world)
    assert caught.value.problems
    assert tree(world.store.root) == {}


def test_a_problem_in_a_summary_is_placed_at_its_line_of_that_file(world: World) -> None:
    with pytest.raises(SpecError) as caught:
        check_design("---\nname: a\nfoo: 1\n---\n\n# a\n", world=world)
    assert "experiment_summary.md:3" in {problem.place for problem in caught.value.problems}
