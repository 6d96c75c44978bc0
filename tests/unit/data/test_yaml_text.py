"""YAML reads back what was written, and says where it was wrong."""

import math
import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.yaml_text import dotted, dump_yaml, load_yaml
from cruijff_kit.errors import SpecError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
NUMBERS = ("1e-3", "0o17", "0x1f", "12:30:00", "2026-11-20", ".inf", "1_000", "+1", "-", "1.", ".5")
WORDS = ("yes", "No", "null", "~", "", "=", "<<", "y", "True", "---", "...", "?", "? a", ":", "#")
SHAPES = ("- x", "k: v", "[a, b]", "{x}", "&a", "*a", "!t", "%d", "@x", "`x`", '"q"', "a #b", "a: ", " a", "a ")
LINES = ("a\nb", "a\n\nb\n", "a\n  b", "a \nb", "a\tb\nc", "é\nü", "a\n---\nb", "\n", "a\n\n", " a\nb", "a\r\nb")
CODES = ("\u2028", "\ufeff", "\x85", "\x7f", "\U0001f600")
TRICKY = st.sampled_from([*NUMBERS, *WORDS, *SHAPES, *LINES, *CODES]) | st.text(
    "ab1 &*!|>'?;%@-~<.()$^=+/:,#", max_size=9
)
VALUES = st.recursive(
    SCALARS | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | TRICKY, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    text = dump_yaml(value)
    read = load_yaml(text, name="x.yaml").value
    assert read == value
    assert repr(read) == repr(value), "types are kept: 1 is not 1.0 and not True"


@given(VALUES)
def test_another_reader_of_yaml_sees_the_same_value(value: Any) -> None:
    assert yaml.safe_load(dump_yaml(value)) == value


@pytest.mark.parametrize(
    "text,value",
    (
        ("1e-3", 0.001),
        ("3E5", 300000.0),
        (".5", 0.5),
        ("-2", -2),
        ("0o17", 15),
        ("0x1f", 31),
        ("007", 7),
        ("-.inf", -math.inf),
        ("2026-11-20", "2026-11-20"),
        ("yes", "yes"),
        ("0:59:00", "0:59:00"),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ("~", None),
        ("True", True),
    ),
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    assert load_yaml(f"x: {text}", name="x.yaml").value == {"x": value}


def test_learning_rates_stay_readable() -> None:
    assert dump_yaml({"lr": [0.0003, 0.001, 1e-05]}) == "lr: [0.0003, 0.001, 1.0e-05]\n"


def test_a_nested_document_is_written_in_block_style() -> None:
    value = {"name": "a b", "runs": [{"id": "r1", "levels": [4, 8]}, {"id": "r2", "levels": []}], "text": "one\ntwo\n"}
    expected = textwrap.dedent("""\
        name: a b
        runs:
          - id: r1
            levels: [4, 8]
          - id: r2
            levels: []
        text: |
          one
          two
        """)
    assert dump_yaml(value) == expected


def test_every_key_and_item_knows_its_line() -> None:
    marks = load_yaml("\na:\n  b: 1\n  c:\n    - x\n    - y: 2\n", name="d.yaml").marks
    assert marks.place(("a", "b")) == "d.yaml:3"
    assert marks.place(("a", "c", 1, "y")) == "d.yaml:6"
    assert marks.place(("a", "missing")) == "d.yaml:2", "an absent key is placed at its parent"


def test_lines_count_from_where_the_text_starts_in_its_file() -> None:
    assert load_yaml("a: 1", name="d.md", first_line=2).marks.place(("a",)) == "d.md:2"


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(SpecError) as caught:
        load_yaml("a: 1\nb: [1, 2\nc: 3\n", name="d.yaml")
    assert caught.value.problems[0].place.startswith("d.yaml:3")


def test_everything_beyond_plain_data_is_refused_at_once_with_its_place() -> None:
    text = "a: &x 1\nb: *x\nc: !!python/object:os.system 1\na: 2\n? [k]\n: 1\n"
    with pytest.raises(SpecError) as caught:
        load_yaml(text, name="d.yaml")
    found = {problem.place: problem.message for problem in caught.value.problems}
    assert found["d.yaml:1"].startswith("anchor `&x`")
    assert found["d.yaml:2"].startswith("alias `*x`")
    assert found["d.yaml:3"].startswith("tag `")
    assert found["d.yaml:4"] == "key `a` is written twice, first on line 1"
    assert found["d.yaml:5"] == "a key must be text"


@pytest.mark.parametrize("text", ("[" * 5000, "{a: " * 5000, "- " * 5000, "a: 1\n" * 250_000))
def test_what_is_too_deep_or_too_long_is_refused_before_it_is_built(text: str) -> None:
    with pytest.raises(SpecError):
        load_yaml(text, name="d.yaml")


@pytest.mark.parametrize("text", ("a: \ud800", 'a: "\\ud800"', "a: \x00", "a: \x07"))
def test_what_is_no_character_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_yaml(f"b: 1\n{text}", name="d.yaml")
    assert caught.value.problems[0].place.startswith("d.yaml")


def test_a_second_document_is_refused() -> None:
    with pytest.raises(SpecError, match="second document"):
        load_yaml("a: 1\n---\nb: 2\n", name="d.yaml")


@pytest.mark.parametrize("value", ({1: "a"}, {"a": {1, 2}}, {"a": object()}))
def test_what_is_not_plain_data_cannot_be_written(value: Any) -> None:
    with pytest.raises(TypeError):
        dump_yaml(value)


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("models", 0, "name")) == "models[0].name"
