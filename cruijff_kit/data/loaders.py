"""Loaders: the bytes of a data file to splits, with the place of all that is wrong.

A data file is one JSON object: split name to a list of rows, each row an object of
column name to text or number.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError

__all__ = ["Columns", "load_splits", "row_lines"]

_SHOWN = 20
_GAP = re.compile(r"[\s,:]*")


class Columns(NamedTuple):
    """The two columns every row has."""

    input: str = "input"
    """Column of the question."""
    output: str = "output"
    """Column of the answer."""


def load_splits(content: bytes, *, name: str, columns: Columns | None = None) -> Splits:
    """Return the splits of a data file; further columns of its rows are kept.

    Args:
        content: the file's bytes.
        name: file name shown in problems.
        columns: columns every row must have.

    Raises:
        SpecError: the file is torn, is laid out otherwise, or rows lack a column; every
            problem has its line, and at most twenty are listed.
    """
    text = _decoded(content, name)
    value = _parsed(text, name)
    problems = _layout_problems(value, name) or _row_problems(value, columns or Columns(), name=name, text=text)
    if problems:
        more = len(problems) - _SHOWN
        listed = problems[:_SHOWN] + ([Problem(f"and {more} more rows like these", place=name)] if more > 0 else [])
        raise SpecError(f"`{name}` is not a usable data set", problems=listed)
    return value


def row_lines(text: str) -> dict[tuple[str, int], int]:
    """Return the line, from 1, at which each row of a valid data file starts."""
    found = {}
    line, counted = 1, 0
    for split, index, start in _row_starts(text):
        line += text.count("\n", counted, start)
        counted = start
        found[split, index] = line
    return found


def _row_starts(text: str) -> Iterator[tuple[str, int, int]]:
    decoder = json.JSONDecoder()
    at = _next(text, text.index("{") + 1)
    while text[at] != "}":
        split, at = decoder.raw_decode(text, at)
        at, index = _next(text, at) + 1, 0
        while text[at := _next(text, at)] != "]":
            yield split, index, at
            _, at = decoder.raw_decode(text, at)
            index += 1
        at = _next(text, at + 1)


def _next(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        problem = Problem(f"byte {err.start} is not UTF-8", place=f"{name}:{line}", hint="save the file as UTF-8")
        raise SpecError(f"`{name}` cannot be read", problems=[problem]) from err


def _parsed(text: str, name: str) -> Any:
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return row

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (json.JSONDecodeError, RecursionError) as err:
        raise SpecError(f"`{name}` is not valid JSON", problems=[_torn(err, text, name=name)]) from err
    if repeated:
        facts = [Problem(f"key `{key}` is written twice", place=name, hint="keep one of them") for key in repeated]
        raise SpecError(f"`{name}` is ambiguous", problems=facts[:_SHOWN])
    return value


def _torn(err: Exception, text: str, *, name: str) -> Problem:
    if not isinstance(err, json.JSONDecodeError):
        return Problem("nested too deeply for a data set", place=name, hint="lay it out as split name to list of rows")
    if not text[err.pos :].strip():
        hint = "the file is torn: copy or generate it again"
        return Problem("the file ends before its JSON does", place=f"{name}:{err.lineno}", hint=hint)
    fact = f"{err.msg[:1].lower()}{err.msg[1:]} at column {err.colno}"
    return Problem(fact, place=f"{name}:{err.lineno}", hint="mend the line, or the one before it")


def _layout_problems(value: Any, name: str) -> list[Problem]:
    if not isinstance(value, dict):
        hint = 'wrap the rows as `{"train": [...], "test": [...]}`'
        return [Problem(f"the file holds {_kind(value)}, not an object of splits", place=name, hint=hint)]
    facts = {split: _kind(rows) for split, rows in value.items() if not isinstance(rows, list)}
    facts |= {split: "an empty list" for split, rows in value.items() if rows == []}
    hint = "give every split a list of rows, or remove it"
    problems = [Problem(f"split `{split}` holds {kind}", split, name, hint) for split, kind in facts.items()]
    return problems if value else [Problem("the file has no splits", place=name, hint=hint)]


def _row_problems(value: Any, columns: Columns, *, name: str, text: str) -> list[Problem]:
    wrong = [
        (split, index, column, fact)
        for split, rows in value.items()
        for index, row in enumerate(rows)
        for column, fact in _row_facts(row, columns)
    ]
    lines = row_lines(text) if wrong else {}
    return [
        Problem(
            fact,
            path=f"{split}[{index}]{column and '.'}{column}",
            place=f"{name}:{lines[split, index]}",
            hint="mend the row, or name other columns with `input_key` and `output_key` of `data.training`",
        )
        for split, index, column, fact in wrong
    ]


def _row_facts(row: Any, columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield column and fact for whatever is wrong with a row."""
    if not isinstance(row, dict):
        yield "", f"the row is {_kind(row)}, not an object"
        return
    known = ", ".join(f"`{column}`" for column in row) or "none"
    for column in columns:
        if column not in row:
            yield column, f"column `{column}` is missing; the row has {known}"
        elif not isinstance(row[column], str | int | float):
            yield column, f"column `{column}` holds {_kind(row[column])}, not text or a number"
    if row.get(columns.output) == "":
        yield columns.output, f"column `{columns.output}` is empty, so there is nothing to learn"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
