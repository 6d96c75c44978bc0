"""Prompt templates."""

import pytest

from cruijff_kit.data.prompts import fill_template, placeholders
from cruijff_kit.errors import SpecError


def test_every_named_column_is_put_in() -> None:
    assert fill_template("{greeting}, {name}! {name}?", {"greeting": "Hi", "name": "Ada"}) == "Hi, Ada! Ada?"


@pytest.mark.parametrize(
    "template, filled",
    (
        ("{{input}}", "{input}"),
        ("{{{input}}}", "{x}"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": {"b": {input}}}', '{"a": {"b": x}}'),
        ('{{"a": "{input}"}}', '{"a": "x"}'),
        ("\\frac{1}{2} {}", "\\frac{1}{2} {}"),
        ("a { b } c", "a { b } c"),
        ("{} {1} { input}", "{} {1} { input}"),
    ),
)
def test_braces_that_are_no_field_stay_or_are_unescaped(template: str, filled: str) -> None:
    assert fill_template(template, {"input": "x"}) == filled


def test_a_value_is_never_read_as_a_template() -> None:
    assert fill_template("{input} {other}", {"input": "{other} {{}}", "other": "o"}) == "{other} {{}} o"


def test_unknown_columns_are_refused_all_at_once_with_the_known_ones() -> None:
    with pytest.raises(SpecError) as refusal:
        fill_template("{inptu} {zzz}", {"input": "x", "topic": "y"})
    first, second = refusal.value.problems
    assert "`inptu`" in first.message
    assert "`input`, `topic`" in first.message
    assert first.hint == "write `{input}`"
    assert "`{{zzz}}`" in second.hint


def test_placeholders_are_listed_once_and_in_order() -> None:
    assert placeholders('{b} {a} {b} {{c}} {"d": 1}') == ("b", "a")
