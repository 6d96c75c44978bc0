"""Run ids: readable, stable, and never a function of where a run lives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cruijff_kit.planning.run_ids import canonical_json, component, content_hash, run_id, shorten
from cruijff_kit.schema.noun import Name, RunId
from cruijff_kit.schema.spec import Level


@pytest.mark.parametrize(
    "factor,level,expected",
    (
        ("lora_rank", 4, "rank4"),
        ("lr", 3e-4, "lr3e-4"),
        ("lr", 1e-3, "lr1e-3"),
        ("lr", 0.05, "lr0.05"),
        ("lr", 1.5e-5, "lr1.5e-5"),
        ("lr", 1.0, "lr1"),
        ("lr_scheduler", "linear", "sched-linear"),
        ("train_on_input", True, "input-true"),
        ("max_grad_norm", None, "clip-none"),
        ("model", "llama-1b", "llama-1b"),
        ("data.p", 0.5, "p0.5"),
        ("data.bit_length", 8, "bit-length8"),
        ("data.path", "sets/five letters.json", "data-five-letters"),
        ("system_prompt", "Answer: yes/no?\n", "system-Answer-yes-no"),
        ("prompt", "→", "prompt-h76185b"),
    ),
)
def test_each_kind_of_level_has_a_short_spelling(factor: str, level: str | float | None, expected: str) -> None:
    assert component(factor, level) == expected


def test_the_seed_is_never_cut_off_a_long_slug() -> None:
    slug = shorten(("a" * 40, "b" * 40), 12345)
    assert slug.endswith("_seed12345")
    assert len(slug) == 48


def test_an_id_is_slug_and_eight_digits_of_the_hash() -> None:
    assert run_id("rank4_seed1", content_hash({"b": 1, "a": [0.5, None]})) == "rank4_seed1-a0e9efb4"


def test_canonical_json_has_one_text_for_one_value() -> None:
    assert canonical_json({"b": 1e-3, "a": "ü"}) == '{"a":"ü","b":0.001}'


levels = st.one_of(
    st.none(), st.booleans(), st.integers(-9999, 9999), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
factors = st.sampled_from(["lr", "lora_rank", "model", "prompt", "system_prompt", "data.path", "data.p", "data.Ünï_x"])


@given(st.lists(st.tuples(factors, levels), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_whatever_varies_gives_a_valid_run_id_and_job_name(varied: list[tuple[str, Level]], seed: int) -> None:
    slug = shorten(tuple(component(name, level) for name, level in varied), seed)
    found = run_id(slug, content_hash(json.dumps(varied)))
    assert TypeAdapter(RunId).validate_python(found) == found
    assert TypeAdapter(Name).validate_python(f"{found}-eval") == f"{found}-eval"
