"""Schemas of tables: drafted without what tells a person, read with places, written so that reading gives them back."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.tabular.draft import draft_schema, look_at, misfits
from cruijff_kit.data.tabular.schema_text import parse_schema, render_schema
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.table import RESERVED, TableSchema, Variable
from tests.people import SCHEMA, csv_bytes, people
from tests.table_files import ENDINGS, write_table

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in RESERVED)
BOUNDS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e9, 1e9, allow_nan=False))


@st.composite
def schemas(draw: st.DrawFn) -> TableSchema:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    variables = {}
    for name in names:
        codes = draw(st.lists(WORDS, max_size=3, unique=True))
        said = draw(st.lists(WORDS, min_size=len(codes), max_size=len(codes), unique=True))
        variables[name] = Variable(
            display_name=f"{name}!",
            type=draw(st.sampled_from(("integer", "number", "category", "text", "date"))),
            column=draw(st.none() | st.just(f"{name} of file")),
            unit=draw(st.sampled_from(("", "years", "1e3", "yes"))),
            decimals=draw(st.none() | st.integers(0, 12)),
            range=draw(st.none() | st.tuples(BOUNDS, BOUNDS).map(lambda pair: (min(pair), max(pair)))),
            value_map=dict(zip(codes, said, strict=True)),
            missing=tuple(draw(st.lists(WORDS, max_size=2))),
            restatements=tuple(f"{each} {{value}}" for each in draw(st.lists(WORDS, max_size=2))),
        )
    return TableSchema(
        description=draw(WORDS | st.just("")),
        missing=tuple(draw(st.lists(WORDS, max_size=3))),
        entity=draw(st.none() | WORDS),
        variables=variables,
        left_out=draw(st.dictionaries(WORDS, WORDS, max_size=2)),
    )


@given(schemas())
def test_what_is_written_reads_back_the_same(schema: TableSchema) -> None:
    text = render_schema(schema)
    assert parse_schema(text, name="x.yaml") == schema
    assert render_schema(parse_schema(text, name="x.yaml")) == text


@pytest.mark.parametrize(
    "old,new,told",
    (
        ("type: integer", "type: whole", "people.yaml:8 variables.age.type: `whole` is not allowed"),
        (
            "display_name: age\n    type: integer",
            "type: integer",
            "variables.age.display_name: `display_name` is missing",
        ),
        ("unit: years", "unit: years\n    units: y", "unknown key `units`"),
        ("synonyms: [town]", "synonyms: [gender]", "`gender` is what `sex` may be called too"),
        ("value_map: {1: male, 2: female}", "value_map: {1: male, 2: male}", "two values are both shown as `male`"),
        ("{male: M, female: F}", "{male: P, female: P}", "two values are both shown as `P`"),
        ("That makes {value}.", "That is it.", "restatement `That is it.` does not say the value"),
        ("range: [18, 99]", "range: [99, 18]", "the range ends before it starts"),
        ("  town:\n", "  town:\n    column: age\n", "column `age` is `age` too"),
        ("  town:\n", "  my-town:\n", "`my-town` is no name for a template"),
        ("  town:\n", "  raw:\n", "`raw` is no name for a template"),
    ),
)
def test_what_is_wrong_in_a_schema_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in SCHEMA
    with pytest.raises(SpecError) as caught:
        parse_schema(SCHEMA.replace(old, new, 1), name="people.yaml")
    assert told in str(caught.value)
    assert "people.yaml:" in str(caught.value)
    assert "hint:" in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = SCHEMA.replace("type: integer", "type: whole").replace("type: category", "type: kind")
    with pytest.raises(SpecError) as caught:
        parse_schema(text, name="people.yaml")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_draft_of_every_format_fits_its_own_table(ending: str, tmp_path: Path) -> None:
    path = write_table(tmp_path, ending)
    with path.open("rb") as file:
        look = look_at(file, path.name)
    drafted = draft_schema(look)
    schema = parse_schema(render_schema(drafted), name="x.yaml")
    assert schema == drafted
    assert look.rows == 60
    kinds = {name: each.type for name, each in schema.variables.items()}
    assert kinds == {
        "age": "integer",
        "score": "number",
        "city": "category",
        "born": "date",
        "code": "category" if ending == ".dta" else "integer",
    }
    with path.open("rb") as file:
        assert list(misfits(file, path.name, schema=schema, shown=True)) == []


def test_labels_of_a_stata_file_become_names_and_words(tmp_path: Path) -> None:
    with write_table(tmp_path, ".dta").open("rb") as file:
        schema = draft_schema(look_at(file, "people.dta"))
    assert schema.variables["age"].display_name == "age at interview"
    assert schema.variables["code"].value_map == {"1": "man", "2": "woman"}


PRIVATE: dict[str, Any] = {
    "person_id": lambda n: n,
    "Full Name": lambda n: f"Ann {n % 7}",
    "contact": lambda n: f"a{n}@example.org",
    "reach": lambda n: f"+31 20 55{n:05}",
    "zip_code": lambda n: 10000 + n % 9,
    "dateOfBirth": lambda n: f"19{n % 80 + 10}-01-01",
    "token": lambda n: f"x{n:04}",
    "remarks": lambda n: f"a long remark about somebody that goes on and on, in words of their own: {n}",
    "empty": lambda n: "",
    "always": lambda n: "yes",
}


@pytest.mark.parametrize("column", PRIVATE)
def test_what_may_tell_a_person_is_left_out_and_said(column: str) -> None:
    rows = [[PRIVATE[column](n), n % 50 / 7] for n in range(60)]
    look = look_at(BytesIO(csv_bytes(rows, (column, "weight"))), "people.csv")
    drafted = draft_schema(look)
    assert list(drafted.variables) == ["weight"]
    assert drafted.left_out[column]
    kept = draft_schema(look, keep=(column,))
    assert len(kept.variables) == 2
    assert kept.left_out == {}


def test_a_check_counts_what_does_not_fit_and_quotes_only_what_may_be_shown() -> None:
    rows = people(60)
    rows[3][1], rows[4][2], rows[9][2], rows[5][4] = 130, "X", "X", "much"
    content = csv_bytes(rows)
    schema = parse_schema(SCHEMA.replace("left_out: {house: it tells households apart}", ""), name="x.yaml")
    found = list(misfits(BytesIO(content), "people.csv", schema=schema, shown=True))
    assert found == [
        "age: 1 cells do not fit, first in row 4: it lies outside 18 to 99",
        "sex: 2 cells `X` do not fit, first in row 5: `value_map` does not name it",
        "income: 1 cells do not fit, first in row 6: it is no number",
    ]
    hidden = list(misfits(BytesIO(content), "people.csv", schema=schema, shown=False))
    assert "X" not in " ".join(hidden)
