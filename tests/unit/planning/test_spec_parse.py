"""Whatever is wrong with the form of a design is told in the user's words, all at once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.planning.spec_keys import field_at, key_help, keys_below, remedy_for
from cruijff_kit.planning.spec_parse import parse_spec, placed
from cruijff_kit.schema.spec import ExperimentSpec
from tests.fakes.designed import DESIGN

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted(ExperimentSpec.model_fields)


def problems(text: str) -> dict[str, Problem]:
    document = load_yaml(text, name="d.yaml")
    return {problem.path: problem for problem in parse_spec(document.value, document.marks).problems}


@given(st.sampled_from(KEYS), JSON)
def test_any_value_anywhere_gives_a_design_or_placed_problems_never_a_crash(key: str, value: Any) -> None:
    document = load_yaml(dump_yaml({**DESIGN, key: value}), name="d.yaml")
    parsed = parse_spec(document.value, document.marks)
    assert parsed.spec is not None or parsed.problems
    assert all(problem.place.startswith("d.yaml") and problem.message for problem in parsed.problems)
    assert not [problem for problem in parsed.problems if "pydantic" in str(problem)]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_form_has_a_meaning_to_tell(key: str) -> None:
    assert key_help((key,))


@pytest.mark.parametrize(
    "path,remedy",
    (
        (("controls", "lora_rnk"), "write `lora_rank`"),
        (("lora_rank",), "it belongs at `controls.lora_rank`; move it there"),
        (("controls", "tasks"), "it belongs at `evaluation.tasks`; move it there"),
        (("rank",), "it belongs at `controls.lora_rank`; move it there"),
        (("variables",), "it belongs at `factors`; move it there"),
        (("evaluation", "tasks", 0, "scorer"), "write `scorers`"),
        (("resources", "lora_rankk"), "did you mean `controls.lora_rank`?"),
        (("tools", "xyzzy"), "remove it; keys here are `preparation`, `evaluation`"),
    ),
)
def test_a_stray_key_is_sent_where_it_belongs(path: tuple[str | int, ...], remedy: str) -> None:
    assert remedy_for(path) == remedy


def test_keys_are_known_by_place() -> None:
    assert keys_below(("tools",)) == ("preparation", "evaluation")
    assert field_at(("models", 3, "path")) is not None
    assert field_at(("factors", "lr")) is None


def test_a_misspelt_required_key_is_one_problem() -> None:
    text = "name: a\nqestion: why\ncreated: 2026-11-20\nmodels: [{name: m, path: p}]\ndata: {training: {path: d}}\n"
    assert {path: problem.hint for path, problem in problems(text).items()} == {"qestion": "write `question`"}


def test_of_several_readings_of_a_value_all_that_was_allowed_is_told() -> None:
    found = problems("controls: {epochs_to_save: some}")["controls.epochs_to_save"]
    assert found.message == "`some` is not allowed; it must be `all` or `last` or `none` or a list, such as `[a, b]`"
    nested = problems("controls: {epochs_to_save: [0, -1]}")
    assert "controls.epochs_to_save[1]" in nested
    assert "controls.epochs_to_save" not in nested


def test_long_values_are_shown_short() -> None:
    assert len(problems(f"controls: {{epochs: {'x' * 500}}}")["controls.epochs"].message) < 200


def test_what_remains_of_a_broken_design_is_still_a_design() -> None:
    document = load_yaml(json.dumps({**DESIGN, "lr": 1, "controls": {"epochs": -1, "lr": 0.5}}), name="d.yaml")
    parsed = parse_spec(document.value, document.marks)
    assert {problem.path for problem in parsed.problems} == {"lr", "controls.epochs"}
    assert parsed.spec is not None
    assert parsed.spec.controls.lr == 0.5


def test_problems_are_placed_at_the_nearest_line_and_told_once_in_their_order() -> None:
    marks = load_yaml("a: 1\nb:\n  c: [x, y]\n", name="d.yaml").marks
    found = placed(
        [Problem("late", "b.c[1].z"), Problem("early", "a"), Problem("late", "b.c[1].z"), Problem("no")], marks
    )
    assert [(problem.message, problem.place) for problem in found] == [
        ("early", "d.yaml:1"),
        ("no", "d.yaml:1"),
        ("late", "d.yaml:3"),
    ]
