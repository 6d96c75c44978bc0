"""Designs that name a template, or let rows say what they are: what is refused, and where the summary says it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.data_view import show_data
from cruijff_kit.workflow.design import check_design, write_design
from tests.fakes.designed import world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

DESIGN: dict[str, Any] = {
    "name": "capitals",
    "question": "Does the template matter?",
    "created": "2026-11-20",
    "models": [{"name": "tiny", "path": "/models/tiny"}],
    "data": {"training": {"path": "words.json"}, "tier": "green"},
    "runs": [{"name": "tuned"}, {"name": "base", "type": "control"}],
    "evaluation": {"tasks": [{"name": "test", "task": "capitalization"}]},
}
ROWS: dict[str, Any] = {
    "train": [{"input": word, "output": word.capitalize()} for word in ("alpha", "bravo", "delta", "gamma")],
    "test": [{"input": word, "output": word.capitalize()} for word in ("india", "lemon")],
}


class Refused(NamedTuple):
    """Controls that cannot be, and what must be said of them."""

    controls: dict[str, Any]
    """What the design sets."""
    path: str
    """Where the problem is placed."""
    says: str
    """Part of the message."""
    remedy: str
    """Part of the hint."""
    test_rows: tuple[dict[str, Any], ...] = ()
    """Rows that the test split has beside its own."""


REFUSED = {
    "an unknown template": Refused(
        {"template": "alpca"}, "controls.template", "did you mean `alpaca`?", "name a template"
    ),
    "a template without an answer": Refused(
        {"template": "Q: {input}"}, "controls.template", "it names no answer", "`ck schema`"
    ),
    "a template of plain text": Refused(
        {"dataset_type": "text_completion", "template": "chatml"},
        "controls.template",
        "writes no conversations",
        "leave `template` out",
    ),
    "a system message that a template has no place for": Refused(
        {"system_prompt": "Be brief.", "template": "{input} -> {output}"},
        "controls.system_prompt",
        "it has no `{system}`",
        "leave `system_prompt` empty",
    ),
    "a text that is to be evaluated": Refused(
        {"dataset_type": "auto"},
        "controls.dataset_type",
        "test[2]: the row is a plain `text`: it is learnt whole and asks nothing",
        "`prompt` and `completion`",
        ({"text": "kilo"},),
    ),
    "a prompt for rows that say what they ask": Refused(
        {"dataset_type": "auto", "prompt": "Q: {input}"},
        "controls.prompt",
        "`auto` has no prompt template",
        "say by their own columns",
    ),
    "rows that are shared by two splits, each in its own form": Refused(
        {"dataset_type": "auto"},
        "data.training",
        "share 1 questions, such as `alpha`",
        "remove the shared rows",
        ({"question": "alpha", "answer": "ALPHA"},),
    ),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a model that has no chat template, and no design yet."""
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level(template=None)})
    world = world_at(tmp_path / "capitals")._replace(hub=hub)
    world.store.root.mkdir()
    put(world, ROWS)
    return world


def put(world: World, rows: dict[str, Any]) -> None:
    (world.store.root / "words.json").write_text(json.dumps(rows), encoding="utf-8")


def written(controls: dict[str, Any], world: World) -> str:
    write_design(dump_yaml({**DESIGN, "controls": {"seeds": [1], **controls}}), reason="to see", world=world)
    return (world.store.root / ExperimentLayout.summary).read_text(encoding="utf-8")


def refused(controls: dict[str, Any], world: World) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        check_design(dump_yaml({**DESIGN, "controls": {"seeds": [1], **controls}}), world=world)
    return tuple(caught.value.problems)


@pytest.mark.parametrize("name", REFUSED)
def test_a_design_is_refused_with_place_and_remedy(name: str, world: World) -> None:
    case = REFUSED[name]
    put(world, {**ROWS, "test": [*ROWS["test"], *case.test_rows]})
    (problem,) = refused({"template": "chatml", **case.controls}, world)
    assert problem.path == case.path
    assert case.says in problem.message
    assert case.remedy in problem.hint


def test_a_model_without_a_chat_template_takes_a_named_one(world: World) -> None:
    (problem,) = refused({}, world)
    assert "name one with `template`, such as `chatml`" in problem.hint
    summary = written({"template": "alpaca"}, world)
    assert "alpaca" in summary.partition("## Configuration")[2]
    view = show_data(world=world)
    assert view.template == "alpaca"
    assert view.samples[0].text.endswith("### Instruction:\nalpha\n\n### Response:\n⟦Alpha<|eos|>⟧")
    assert view.problems == ()


def test_a_template_can_be_a_factor_and_its_runs_are_different_ones(world: World) -> None:
    factors = {"template": ["alpaca", "llama", "{input} = {output}"]}
    spec = {**DESIGN, "factors": factors, "runs": [], "controls": {"seeds": [1]}}
    runs = check_design(dump_yaml(spec), world=world).plan.runs
    assert [run.settings["template"].value for run in runs] == ["alpaca", "llama2", "{input} = {output}"]
    assert len({run.id for run in runs}) == 3
    assert runs[0].id.startswith("template-alpaca")


def test_texts_alone_need_no_template_at_all(world: World) -> None:
    put(world, {"train": [{"text": f"word {at}"} for at in range(8)], "test": ROWS["test"]})
    spec = {**DESIGN, "controls": {"seeds": [1], "dataset_type": "auto", "max_seq_len": 32}}
    spec |= {"tools": {"evaluation": "none"}, "evaluation": {}, "runs": [{"name": "tuned"}]}
    write_design(dump_yaml(spec), reason="to see", world=world)
    view = show_data(count=1, world=world)
    assert [sample.text for sample in view.samples] == ["<|bos|>⟦word 0<|eos|>⟧"]
    assert view.proof is not None
    assert view.proof.proven == {"train": 8}
