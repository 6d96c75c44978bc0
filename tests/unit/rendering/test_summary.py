"""A design survives being written and read; people's notes and their edits are seen."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.planning.spec_parse import parse_spec
from cruijff_kit.rendering.summary import body_diff, front_matter, is_current, join_summary, parse_summary
from cruijff_kit.schema.spec import Controls, ExperimentSpec
from tests.fakes.designed import design

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
TEXT = st.text(min_size=1, max_size=40)
LEVELS = st.none() | st.booleans() | st.integers(-9, 10**12) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
FACTORS = st.dictionaries(NAMES, st.lists(LEVELS, min_size=1, max_size=3, unique_by=repr), max_size=3)
CONTROLS = st.fixed_dictionaries(
    {},
    optional={
        "seeds": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3),
        "prompt": TEXT,
        "system_prompt": st.text(max_size=40),
        "lr": st.floats(min_value=1e-12, max_value=10),
        "lora_alpha": st.none() | st.floats(min_value=0.5, max_value=64),
        "epochs": st.integers(1, 5),
        "train_on_input": st.booleans(),
        "epochs_to_save": st.sampled_from(["all", "last"]) | st.lists(st.integers(0, 4), min_size=1, max_size=3),
        "dtype": st.sampled_from(["fp32", "bf16"]),
    },
)
TASKS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "task": TEXT}, optional={"split": TEXT, "samples": st.integers(1, 99)}),
    max_size=2,
)
ARGUMENTS = st.dictionaries(NAMES, LEVELS | st.lists(st.integers(), max_size=3), max_size=3)
SPECS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "question": TEXT,
        "created": st.dates().map(str),
        "models": st.lists(st.fixed_dictionaries({"name": NAMES, "path": TEXT}), min_size=1, max_size=2),
        "data": st.fixed_dictionaries(
            {"training": st.fixed_dictionaries({"generator": TEXT}, optional={"arguments": ARGUMENTS})},
            optional={"tier": st.sampled_from(["green", "yellow", "red"])},
        ),
    },
    optional={
        "hypothesis": st.text(max_size=80),
        "factors": FACTORS,
        "controls": CONTROLS,
        "runs": st.lists(
            st.fixed_dictionaries({"name": NAMES}, optional={"parameters": st.dictionaries(NAMES, LEVELS, max_size=2)}),
            max_size=2,
        ),
        "evaluation": st.fixed_dictionaries({"tasks": TASKS}),
        "resources": st.fixed_dictionaries({}, optional={"time": st.just("1-02:03:04"), "gpus": st.integers(0, 8)}),
    },
)


def read(text: str) -> ExperimentSpec:
    summary = parse_summary(text)
    document = load_yaml(summary.front, name="s.md", first_line=summary.first_line)
    parsed = parse_spec(document.value, document.marks)
    assert parsed.spec is not None
    assert parsed.problems == ()
    return parsed.spec


@given(SPECS, st.text(), st.text())
@settings(max_examples=150)
def test_a_design_is_read_back_as_it_was_written(value: dict[str, Any], body: str, notes: str) -> None:
    spec = ExperimentSpec.model_validate(value)
    text = join_summary(spec, "# title\n", source=body, notes=notes)
    back = read(text)
    assert back == spec
    assert back.model_dump_json() == spec.model_dump_json(), "levels keep their types"
    assert back.controls.model_fields_set == spec.controls.model_fields_set, "what was set stays set"
    assert join_summary(back, "# title\n", source=body, notes=notes) == text
    assert parse_summary(text).notes == notes
    assert is_current(parse_summary(text), spec, source=body)


def test_a_value_set_to_its_default_is_still_set() -> None:
    spec = design(controls={"epochs": Controls().epochs})
    assert read(join_summary(spec, "", source="")).controls.model_fields_set == {"epochs"}


def test_only_what_was_set_is_written_in_the_order_of_the_form() -> None:
    assert front_matter(design(controls={"lr": 3e-4, "epochs": 2}, factors={})).endswith(
        "controls:\n  epochs: 2\n  lr: 0.0003\nevaluation:\n  tasks:\n    - name: bits\n      task: rows\n"
    )


@pytest.mark.parametrize("text", ("name: a\n", "---\nname: a\n", "---\r\nname: a\r\n---\r\n", "\ufeffname: a\n"))
def test_plain_yaml_is_all_front_matter(text: str) -> None:
    summary = parse_summary(text)
    assert summary.front.strip() == "name: a"
    assert summary.body.strip() == summary.notes == ""
    assert not summary.edited


def test_an_edit_of_the_body_is_seen_and_shown_and_one_of_the_notes_is_neither() -> None:
    text = join_summary(design(), "# parity\n\n## Tools\n\nnone\n", source="x", notes="mine\n")
    noted = parse_summary(text.replace("mine", "mine, and more"))
    assert not noted.edited
    edited = parse_summary(text.replace("none", "some"))
    assert edited.edited
    assert not is_current(edited, design(), source="x")
    assert "-some\n+none" in body_diff(edited, "# parity\n\n## Tools\n\nnone\n")


def test_a_body_whose_seal_was_removed_counts_as_edited_and_no_body_does_not() -> None:
    text = join_summary(design(), "# parity\n", source="x", notes="mine\n")
    unsealed = "\n".join(line for line in text.split("\n") if not line.startswith("<!--"))
    assert parse_summary(unsealed).edited
    bare = text[: text.index("\n# parity")] + text[text.index("\n## Notes") :]
    assert not parse_summary(bare).edited
    assert parse_summary(bare).notes == "mine\n"


def test_another_source_or_front_matter_makes_a_summary_stale() -> None:
    summary = parse_summary(join_summary(design(), "# parity\n", source="x"))
    assert is_current(summary, design(), source="x")
    assert not is_current(summary, design(), source="y")
    assert not is_current(summary, design(hypothesis="it does"), source="x")


def test_a_heading_inside_the_notes_stays_in_the_notes() -> None:
    notes = "\n## Notes\n---\n<!-- rendered by me -->\nlast"
    assert parse_summary(join_summary(design(), "# parity\n", source="x", notes=notes)).notes == notes
