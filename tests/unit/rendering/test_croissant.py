"""Croissant descriptions: every split and plain column told, no cell, and nothing that would shift a reader's rows."""

import json
from typing import Any

import pytest

from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.rendering.croissant import Origins, croissant_text
from cruijff_kit.schema.data import DatasetFacts

ORIGINS = Origins("parity", "2026-11-20", "CC0-1.0", ("ada", "bo"))


def told(splits: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    facts = DatasetFacts(key="rows-1", path="data/rows-1.json", sha256="a" * 64, bytes=99, splits={})
    return json.loads(croissant_text(facts, splits, origins=ORIGINS))


def kinds(splits: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    (records,) = told(splits)["recordSet"]
    return {field["name"]: field["dataType"] for field in records["field"]}


def test_a_generated_data_set_is_described_split_by_split() -> None:
    made = make_dataset("reports", {})
    found = json.loads(croissant_text(made.facts, made.splits, origins=ORIGINS))
    assert [each["@id"] for each in found["recordSet"]] == [split for split, rows in made.splits.items() if rows]
    assert {each["sha256"] for each in found["distribution"]} == {made.facts.sha256}
    assert {each["contentUrl"] for each in found["distribution"]} == {f"{made.facts.key}.json"}
    files = {each["@id"] for each in found["distribution"]}
    for records in found["recordSet"]:
        assert {field["source"]["fileObject"]["@id"] for field in records["field"]} <= files
        assert [field["name"] for field in records["field"]] == list(made.splits[records["@id"]][0])
    assert [each["name"] for each in found["creator"]] == ["ada", "bo"]
    assert (found["license"], found["datePublished"], found["version"]) == ("CC0-1.0", "2026-11-20", "1.0.0")


def test_no_cell_of_the_data_is_in_its_description() -> None:
    text = json.dumps(told({"train": [{"input": "patient 4711", "output": "ill"}, {"input": "x", "output": "y"}]}))
    assert "4711" not in text
    assert "ill" not in text


@pytest.mark.parametrize(
    "values, kind",
    (
        (["a", "b"], "sc:Text"),
        ([1, 2], "sc:Integer"),
        ([1.5, 2.0], "sc:Float"),
        ([1, 2.5], "sc:Float"),
        ([True, False], "sc:Boolean"),
    ),
)
def test_a_column_has_the_type_of_its_values(values: list[Any], kind: str) -> None:
    assert kinds({"train": [{"input": value} for value in values]}) == {"input": kind}


@pytest.mark.parametrize("values", ([1, "a"], [True, 1], ["a", None], [["a"], ["b"]], [{"a": 1}, {"a": 2}]))
def test_a_column_of_other_or_mixed_values_is_left_out_and_named(values: list[Any]) -> None:
    rows = [{"input": "x", "odd": value} for value in values]
    assert kinds({"train": rows}) == {"input": "sc:Text"}
    assert "odd" in told({"train": rows})["recordSet"][0]["description"]


def test_a_column_that_some_rows_lack_is_left_out_as_it_would_shift_the_others() -> None:
    assert kinds({"train": [{"input": "x", "note": "y"}, {"input": "z"}]}) == {"input": "sc:Text"}
    assert kinds({"train": [{"input": "x"}, {"input": "z", "note": "y"}]}) == {"input": "sc:Text"}


def test_names_that_are_no_words_are_quoted_in_paths() -> None:
    (records,) = told({"train": [{"the input": "x"}]})["recordSet"]
    assert records["field"][0]["source"]["extract"]["jsonPath"] == "$.train[*].'the input'"


def test_a_split_without_rows_is_not_described() -> None:
    found = told({"train": [{"input": "x"}], "test": []})
    assert [each["@id"] for each in found["recordSet"]] == ["train"]
