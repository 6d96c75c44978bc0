"""Tables and schemas of invented people, for whoever tells tables in words."""

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

from cruijff_kit.data.generators.tabular import telling_of
from cruijff_kit.data.tabular.texts import scan_table, told_rows
from cruijff_kit.schema.table import Tabular

__all__ = ["SCHEMA", "arguments", "csv_bytes", "people", "told"]

SCHEMA = """
schema_version: 1
description: an invented person
entity: house
variables:
  age:
    display_name: age
    type: integer
    unit: years
    range: [18, 99]
    synonyms: [age in years, years of age]
    shorthand_map: {years: y}
    restatements: ["So this person is {value} old.", "That makes {value}."]
  sex:
    display_name: sex
    type: category
    value_map: {1: male, 2: female}
    missing: [-9]
    synonyms: [gender]
    shorthand_map: {male: M, female: F}
  town:
    display_name: place of living
    type: text
    synonyms: [town]
  income:
    display_name: income
    type: number
    decimals: 0
left_out: {house: it tells households apart}
"""


def people(count: int = 240) -> list[list[Any]]:
    """Return rows of house, age, sex, town and income; three people a house, all different."""
    return [
        [n // 3, 18 + n % 80, "-9" if n % 40 == 7 else 1 + n % 2, f"Town {n}", 1000 + 37 * n % 9000]
        for n in range(count)
    ]


def csv_bytes(
    rows: Sequence[Sequence[Any]], columns: Sequence[str] = ("house", "age", "sex", "town", "income")
) -> bytes:
    """Return a table as CSV."""
    text = StringIO()
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue().encode()


def arguments(**changes: Any) -> dict[str, Any]:
    """Return arguments of the generator; incomes above 5,000 are to be told."""
    given = {"source": "people.csv", "schema_file": "people.schema.yaml", "target": "income", "threshold": 5000}
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def told(
    rows: Sequence[Sequence[Any]], *, schema: str = SCHEMA, template: str | None = None, **changes: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Return (split, row) of every text that a table makes."""
    if template is not None:
        changes = {"style": "narrative", "template": "story.j2", **changes}
    typed = Tabular.model_validate(arguments(**changes))
    files = {"schema_file": schema.encode(), **({} if template is None else {"template": template.encode()})}
    telling = telling_of(typed, files)
    content = csv_bytes(rows)
    scan = scan_table(telling, BytesIO(content))
    return list(told_rows(telling, scan, opened=lambda: BytesIO(content)))
