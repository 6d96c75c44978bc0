"""Rows told in words: answers that no perturbation changes, splits that share nothing, the same bytes anywhere."""

import json
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.generators.registry import check_arguments, dataset_key, make_dataset
from cruijff_kit.data.generators.tabular import telling_of
from cruijff_kit.data.splits import overlaps, split_lines, write_splits
from cruijff_kit.data.tabular.texts import scan_table, split_names, told_rows
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.table import Tabular
from tests.people import SCHEMA, arguments, csv_bytes, people, told

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("synonym", "shorthand", "reorder", "clause_addition")
ROWS = people()
STORY = "A person of {{ age }}{% if sex %}, {{ sex }}{% endif %}.\n{{ name.town|capitalize }}: {{ town }}.\n"


def inputs(found: list[tuple[str, dict[str, Any]]]) -> dict[int, str]:
    return {row["row"]: row["input"] for _, row in found}


def refusal(rows: Any = ROWS, **changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        told(rows, **changes)
    return str(caught.value)


def test_a_row_is_told_line_by_line_with_its_answer() -> None:
    found = {row["row"]: row for _, row in told(ROWS, question="Does this person earn much?", groups="sex")}
    assert found[1] == {
        "input": (
            "- The age is: 18 years\n- The sex is: male\n- The place of living is: Town 0\n\n"
            "Does this person earn much?"
        ),
        "output": "0",
        "sex": "male",
        "row": 1,
    }
    assert found[8]["input"].startswith("- The age is: 25 years\n- The place of living is")
    assert found[8]["sex"] == "not known"


def test_a_row_is_told_on_one_line_in_full_or_in_the_schemas_short_forms() -> None:
    rows = [[0, 41, 2, "Town 1", 6000], [3, 52, -9, "Town 2", 100], *people()]
    told_in = {
        style: {row["row"]: row["input"] for _, row in told(rows, style=style, missing="say")}
        for style in ("condensed", "terse")
    }
    assert told_in["condensed"][1] == "age: 41 years; sex: female; place of living: Town 1"
    assert told_in["terse"][1] == "age 41 y, sex F, place of living Town 1"
    assert told_in["condensed"][2] == "age: 52 years; sex: not known; place of living: Town 2"


def test_a_template_tells_sentences_and_its_variables_are_the_features() -> None:
    found = inputs(told(ROWS, template=STORY))
    assert found[1] == "A person of 18 years, male. Place of living: Town 0."
    assert found[8] == "A person of 25 years. Place of living: Town 7."


@pytest.mark.parametrize(
    "hostile", ("{{7*7}}", "{% raw %}", "{{ age }}", "${x}", "{0}", "{input}", "a\n- The age is: 5")
)
@pytest.mark.parametrize("template", (None, STORY))
def test_whatever_a_cell_holds_stays_as_it_is_and_on_one_line(hostile: str, template: str | None) -> None:
    rows = [[*row[:3], f"{hostile} {row[0]} {row[1]}", row[4]] for row in ROWS]
    for number, text in inputs(told(rows, template=template)).items():
        expected = f"{' '.join(hostile.split())} {rows[number - 1][0]} {rows[number - 1][1]}"
        assert expected in text
        assert "49" not in text.replace("49 years", "").replace(expected, "")
        assert len(text.splitlines()) <= 3


def test_words_of_the_schema_are_no_template_either() -> None:
    schema = SCHEMA.replace("display_name: place of living", 'display_name: "{{7*7}} {% x %}"')
    assert "{{7*7}} {% x %}: Town 0." in inputs(told(ROWS, schema=schema, template=STORY.replace("|capitalize", "")))[1]


@pytest.mark.parametrize(
    "template,told_of",
    (
        ("{{ age", "story.j2:1"),
        ("{{ height }}", "`height` is no variable of the schema"),
        ("{{ name.height }} {{ age }}", "`height` is no variable of the schema"),
        ("no variable", "it names no variable"),
        ("{{ income }} {{ age }}", "`income` is the answer, and the template tells it"),
        ("{{ age.__class__.__mro__ }}", "is unsafe"),
        ("{{ age.upper() }}", "not safely callable"),
        ("{{ [age, sex]|random }}", "no filter named 'random'"),
        ("{{ age }}{{ range(9) }}", "`range` is no variable"),
        ("{{ age }}{% include 'x' %}", "no loader"),
        ("{{ name }} {{ age }}", "is no text"),
        ("{{ sex }} {{ age }}", "a value is missing"),
        ("{{ 1 / (raw.age - 18) }}", "zero"),
    ),
)
def test_a_template_that_cannot_be_used_is_refused_in_words(template: str, told_of: str) -> None:
    assert told_of in refusal(template=template)


@given(
    st.lists(st.sampled_from(KINDS), unique=True),
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.sampled_from((None, STORY)),
)
@settings(max_examples=40)
def test_no_perturbation_changes_an_answer_a_split_or_a_group(
    kinds: list[str], seed: int, copies: int, template: str | None
) -> None:
    plain = told(ROWS[:90], template=template, seed=seed, groups="sex", missing="skip")
    changed = told(
        ROWS[:90],
        template=template,
        seed=seed,
        groups="sex",
        missing="skip",
        perturbations=tuple(kinds),
        copies=copies if kinds else 1,
    )
    told_of = {(split, row["row"]): (row["output"], row["sex"]) for split, row in plain}
    assert {(split, row["row"]): (row["output"], row["sex"]) for split, row in changed} == told_of
    each = Counter((split, row["row"]) for split, row in changed)
    assert all(count == (copies if kinds and split == "train" else 1) for (split, _), count in each.items())


@given(st.integers(0, 2**32), st.lists(st.sampled_from(KINDS), unique=True), st.integers(1, 12))
@settings(max_examples=30)
def test_no_entity_and_no_text_stands_in_two_splits(seed: int, kinds: list[str], houses: int) -> None:
    # Everyone of a town reads alike, and people of one house live in several towns.
    rows = [[n // 3, 30, 1, f"Town {n // houses % 40}", 1000 + 37 * n % 9000] for n in range(240)]
    why, found = "", []
    try:
        found = told(rows, seed=seed, perturbations=tuple(kinds))
    except SpecError as err:
        why = str(err)
    assert found or "rows that belong together leave a split empty" in why
    splits: dict[str, list[dict[str, Any]]] = {}
    where: dict[int, set[str]] = {}
    for split, row in found:
        splits.setdefault(split, []).append(row)
        where.setdefault(rows[row["row"] - 1][0], set()).add(split)
    assert overlaps(splits) == []
    assert all(len(names) == 1 for names in where.values())


def test_every_answer_keeps_its_share_in_every_split() -> None:
    rows = [[n, 18 + n % 80, 1, f"Town {n}", 9000 if n % 5 == 0 else 1000] for n in range(1000)]
    counts = Counter((split, row["output"]) for split, row in told(rows, validation=0.2, test=0.1))
    assert counts == {
        ("train", "1"): 140,
        ("train", "0"): 560,
        ("validation", "1"): 40,
        ("validation", "0"): 160,
        ("test", "1"): 20,
        ("test", "0"): 80,
    }


def test_a_smaller_limit_takes_rows_of_a_larger_one() -> None:
    small, large = (set(inputs(told(ROWS, limit=limit))) for limit in (60, 150))
    assert small < large
    assert len(small) <= 60 < len(large) <= 150


def test_rows_without_answer_and_features_without_value_are_treated_as_asked() -> None:
    rows = [[*row[:4], "NA" if row[0] == 3 else row[4]] for row in ROWS]
    assert not {10, 11, 12} & set(inputs(told(rows)))
    assert 8 not in inputs(told(ROWS, missing="skip"))
    assert "- The sex is: nobody says" in inputs(told(ROWS, missing="say", missing_text="nobody says"))[8]


def test_a_mapping_makes_answers_and_null_leaves_rows_out() -> None:
    found = told(ROWS, target="sex", threshold=None, mapping={"1": "M", "2": None})
    assert {row["output"] for _, row in found} == {"M"}
    assert "- The income is: 1000" in inputs(found)[1]


def test_context_stands_where_it_is_asked_for() -> None:
    first = {
        place: told(ROWS, context="In 2026.", context_placement=place)[0][1] for place in ("before", "after", "column")
    }
    assert first["before"]["input"].startswith("In 2026.\n\n- The age")
    assert first["after"]["input"].endswith("\n\nIn 2026.")
    assert first["column"]["context"] == "In 2026."
    assert "2026" not in first["column"]["input"]


@pytest.mark.parametrize(
    "changes,told_of",
    (
        ({"target": "height"}, "`height` is no variable of the schema"),
        ({"features": ("age", "income")}, "`income` is the answer and would be told"),
        ({"mapping": {"1": "x"}}, "`threshold` and `mapping` both make the answer"),
        ({"style": "narrative"}, "a `narrative` needs a template"),
        ({"copies": 2}, "the texts of a row would all be the same"),
        ({"validation": 0.5, "test": 0.5}, "nothing is left to train on"),
        ({"context_placement": "after"}, "there is no `context` to place"),
        ({"groups": ("sex", "sex")}, "`sex` is named twice"),
        ({"features": ("sex",)}, "rows that belong together leave a split empty"),
        ({"target": "sex", "threshold": None, "mapping": {"1": "x"}}, "a cell of `sex` is not in `mapping`"),
        ({"target": "town"}, "people.csv rows 1, 2, 3, 4, 5 and more: a cell of `town` is no number"),
    ),
)
def test_arguments_that_do_not_fit_are_refused_with_a_remedy(changes: dict[str, Any], told_of: str) -> None:
    text = refusal(**changes)
    assert told_of in text
    assert "hint:" in text


def test_cells_that_do_not_fit_are_told_by_row_and_never_quoted() -> None:
    rows = [[*row[:2], "secret" if row[0] == 5 else row[2], *row[3:]] for row in ROWS]
    text = refusal(rows)
    assert "people.csv rows 16, 17, 18: a cell of `sex` does not fit: `value_map` does not name it" in text
    assert text.count("hint:") == 1
    assert "secret" not in text


def test_perturbed_texts_that_would_meet_in_two_splits_are_refused() -> None:
    schema = SCHEMA.replace("synonyms: [town]", "shorthand_map: {Town 1: T, Town 2: T}")
    rows = [[n, 30, 1, f"Town {n % 3}", 9000] for n in range(60)]
    with pytest.raises(SpecError, match="two values are both shown as `T`"):
        told(rows, schema=schema)


def test_the_stream_writes_the_same_bytes_as_the_generator_in_memory() -> None:
    files = {"source": csv_bytes(ROWS), "schema_file": SCHEMA.encode()}
    given = arguments(perturbations=KINDS, copies=2)
    made = make_dataset("tabular", given, files=files)
    typed = Tabular.model_validate(given)
    telling = telling_of(typed, files)
    scan = scan_table(telling, BytesIO(files["source"]))
    lines = split_lines(split_names(typed), told_rows(telling, scan, opened=lambda: BytesIO(files["source"])))
    assert b"".join(lines) == made.content
    assert made.facts.inputs == {name: made.facts.inputs[name] for name in ("source", "schema_file")}


@given(
    st.dictionaries(
        st.sampled_from(("train", "validation", "test")),
        st.lists(st.fixed_dictionaries({"input": st.text(max_size=5), "n": st.integers()}), max_size=3),
    )
)
def test_lines_of_splits_are_the_text_of_splits(splits: dict[str, list[dict[str, Any]]]) -> None:
    rows = ((name, row) for name, each in splits.items() for row in each)
    assert b"".join(split_lines(list(splits), rows)) == write_splits(splits)


@given(st.permutations(list(arguments(seed=3, question="Who?", condition="plain").items())))
def test_a_name_is_fixed_by_arguments_and_contents_alone(items: list[tuple[str, Any]]) -> None:
    hashes = {"source": "0" * 64, "schema_file": "1" * 64}
    key = dataset_key("tabular", dict(items), hashes=hashes)
    assert key == "plain_80-10-10_" + key[-8:]
    assert key == dataset_key("tabular", {**dict(items), "source": "elsewhere.csv"}, hashes=hashes)
    assert key != dataset_key("tabular", {**dict(items), "seed": 4}, hashes=hashes)
    assert key != dataset_key("tabular", dict(items), hashes={**hashes, "schema_file": "2" * 64})


def test_arguments_that_are_missing_or_misspelt_are_named() -> None:
    problems = check_arguments("tabular", {"source": "x.csv", "targte": "y"})
    assert {problem.path for problem in problems} == {"schema_file", "target", "targte"}
    assert all(problem.hint for problem in problems)


def test_memory_hardly_grows_with_the_rows_of_a_table(tmp_path: Any) -> None:
    def peak(count: int) -> int:
        place = tmp_path / f"{count}.csv"
        place.write_bytes(
            csv_bytes([[n, 18 + n % 80, 1 + n % 2, f"Town {n} {'x' * 200}", n % 9000] for n in range(count)])
        )
        telling = telling_of(Tabular.model_validate(arguments()), {"schema_file": SCHEMA.encode()})
        tracemalloc.start()
        with place.open("rb") as file:
            scan = scan_table(telling, file)
        size = sum(len(json.dumps(row)) for _, row in told_rows(telling, scan, opened=lambda: place.open("rb")))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 300 * count
        return highest

    few, many = 6_000, 18_000
    assert (peak(many) - peak(few)) / (many - few) < 100


@pytest.mark.soak
@pytest.mark.parametrize("kind", ("csv", "parquet"))
def test_a_million_rows_are_told_in_flat_memory_with_progress(kind: str) -> None:
    words = [sys.executable, "benchmarks/tables.py", "--formats", kind, "--rows", "1000000"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,000,000 rows" in done.stdout
    assert int(re.findall(r"progress told (\d+) times", done.stdout)[0]) >= 150
