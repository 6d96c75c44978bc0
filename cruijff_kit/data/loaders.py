"""Loaders: the bytes of a data set to splits, with the place of all that is wrong.

Whatever its format, a data set is split name to a list of rows, each row an object of
column name to value; question and answer are text or numbers, a conversation is a list of turns.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.formats import Content, Part, format_of, read_parts
from cruijff_kit.data.items import item_facts
from cruijff_kit.data.json_text import row_lines
from cruijff_kit.data.plain_values import kind_of
from cruijff_kit.data.turns import MESSAGES, turn_facts
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.data import DataFormat
from cruijff_kit.schema.dataset_type import DatasetType

__all__ = ["Columns", "load_splits", "row_lines"]

_SHOWN = 20
_NONE: Mapping[str, str] = MappingProxyType({})
_HINT = "mend the row, or name other columns with `columns`, `input_key` and `output_key` of `data.training`"


class Columns(NamedTuple):
    """The columns every row has; None where none is asked for."""

    input: str | None = "input"
    """Column of the question."""
    output: str | None = "output"
    """Column of the answer."""
    messages: str | None = None
    """Column of the conversation."""
    renamed: Mapping[str, str] = _NONE
    """Columns renamed before anything else: name used here, name in the file."""
    items: bool = False
    """Whether each row has to be of a form that is seen from its own columns."""

    @classmethod
    def of(cls, config: DatasetConfig) -> "Columns":
        """Return the columns that a job's data set block asks for."""
        asked = (config.input_key, config.output_key)
        return cls.read_as(config.dataset_type, asked, renamed=dict(config.columns))

    @classmethod
    def read_as(cls, kind: DatasetType, asked: tuple[str, str], *, renamed: Mapping[str, str] = _NONE) -> "Columns":
        """Return the columns of rows of a type; `asked` are those of question and answer."""
        if kind == "auto":
            return cls(None, None, None, renamed, items=True)
        return cls(None, None, MESSAGES, renamed) if kind == "chat" else cls(*asked, None, renamed)


def load_splits(
    content: Content, *, name: str, columns: Columns | None = None, form: DataFormat | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return the splits of a data set; further columns of its rows are kept.

    Args:
        content: the file's bytes, or those of a folder's data files by name.
        name: file or folder name shown in problems; its ending tells the format.
        columns: columns every row must have; `input` and `output` where absent.
        form: format it must have; any where None.

    Raises:
        SpecError: a file is torn, is laid out otherwise, or rows lack a column; every
            problem has its line or row, and at most twenty are listed.
        SiteError: the extra that reads the format is not installed.
    """
    columns = columns or Columns()
    found = format_of(content, name)
    if form is not None and form != found:
        hint = f"write `format: {found}`, or leave it out"
        problem = Problem(f"`{name}` is {found}; the design says `{form}`", "data.training.format", hint=hint)
        raise SpecError(f"`{name}` is of another format", problems=[problem])
    parts = read_parts(content, name)
    problems = _empty(parts, name) or list(_renaming(parts, columns)) or list(_row_problems(parts, columns))
    if problems:
        more = len(problems) - _SHOWN
        listed = problems[:_SHOWN] + ([Problem(f"and {more} more rows like these", place=name)] if more > 0 else [])
        raise SpecError(f"`{name}` is not a usable data set", problems=listed)
    return {split: part.rows for split, part in parts.items()}


def _empty(parts: Mapping[str, Part], name: str) -> list[Problem]:
    hint = "give every split a list of rows, or remove it"
    return [
        Problem(f"split `{split}` holds an empty list", split, name, hint)
        for split, part in parts.items()
        if not part.rows
    ]


def _renaming(parts: dict[str, Part], columns: Columns) -> Iterator[Problem]:
    """Rename columns in place; yield rows that lack one, or have one of the new name already."""
    if not columns.renamed:
        return
    ours = {theirs: name for name, theirs in columns.renamed.items()}
    for split, part in parts.items():
        for index, row in enumerate(part.rows):
            if not isinstance(row, dict):
                continue
            yield from _unrenamable(row, columns.renamed, path=f"{split}[{index}]", part=part, index=index)
            part.rows[index] = {ours.get(column, column): value for column, value in row.items()}


def _unrenamable(
    row: Mapping[str, Any], renamed: Mapping[str, str], *, path: str, part: Part, index: int
) -> Iterator[Problem]:
    for name, theirs in renamed.items():
        if theirs not in row:
            fact = f"column `{theirs}`, which `columns` renames to `{name}`, is missing; the row has {_known(row)}"
            yield Problem(fact, f"{path}.{theirs}", part.place(index), "mend the row or `data.training.columns`")
        elif name in row and name not in renamed.values():
            fact = f"`columns` renames `{theirs}` to `{name}`, and the row has both"
            yield Problem(fact, f"{path}.{name}", part.place(index), "take another name in `data.training.columns`")


def _row_problems(parts: Mapping[str, Part], columns: Columns) -> Iterator[Problem]:
    for split, part in parts.items():
        for index, row in enumerate(part.rows):
            for column, fact in _row_facts(row, columns):
                path = f"{split}[{index}]{column and '.'}{column}"
                yield Problem(fact, path=path, place=part.place(index), hint=_HINT)


def _row_facts(row: Any, columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield column and fact for whatever is wrong with a row."""
    if not isinstance(row, dict):
        yield "", f"the row is {kind_of(row)}, not an object"
        return
    if columns.items:
        yield from item_facts(row)
    for column in (columns.input, columns.output):
        if column is not None:
            yield from _untold(row, column)
    if columns.output is not None and row.get(columns.output) == "":
        yield columns.output, f"column `{columns.output}` is empty, so there is nothing to learn"
    if columns.messages is not None and columns.messages not in row:
        yield columns.messages, f"column `{columns.messages}` is missing; the row has {_known(row)}"
    elif columns.messages is not None:
        for fact in turn_facts(row[columns.messages]):
            yield columns.messages, f"column `{columns.messages}`: {fact}"


def _untold(row: Mapping[str, Any], column: str) -> Iterator[tuple[str, str]]:
    if column not in row:
        yield column, f"column `{column}` is missing; the row has {_known(row)}"
    elif not isinstance(row[column], str | int | float):
        yield column, f"column `{column}` holds {kind_of(row[column])}, not text or a number"


def _known(row: Mapping[str, Any]) -> str:
    return ", ".join(f"`{column}`" for column in row) or "none"
