"""Drafts: the schema that a table suggests, and what of it does not fit one that is written.

A draft leaves out what looks like an identifier or like personal data, and says so. It is a
guess from names and cells: a person reads it before anything is made of it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, NamedTuple

from cruijff_kit.data.tabular.cells import number_of, number_text, one_line
from cruijff_kit.data.tabular.features import Field, fields_of, misfit
from cruijff_kit.data.tabular.readers import Table, open_table
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import Progress
from cruijff_kit.schema.table import RESERVED, ColumnLook, TableSchema, Variable, VariableType

__all__ = ["Look", "draft_schema", "look_at", "misfits"]

_MOST_DISTINCT = 1_000
_MOST_CATEGORIES = 30
_STEP = 20_000
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?", re.ASCII)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{7,}[0-9]", re.ASCII)
_PERSONAL = re.compile(
    r"(?:^|_)(?:first|last|full|sur|family|given|maiden)?_?name$|mail|phone|mobile|^tel|address|street|"
    r"zip|post_?code|(?:^|_)ssn|social_?security|passport|birth|(?:^|_)dob(?:$|_)|(?:^|_)(?:lat|lon|lng|latitude|longitude)(?:$|_)|"
    r"(?:^|_)ip(?:$|_)|iban|account|licen[cs]e|password",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(
    r"(?:^|_)(?:id|uuid|guid|key|serial|idno|pid|hhid|caseid|respid)(?:$|_)|^(?:id|case)|id$", re.IGNORECASE
)


class Look(NamedTuple):
    """A table looked at once."""

    rows: int
    """Its rows."""
    columns: tuple[ColumnLook, ...]
    """What each column holds."""
    labels: Mapping[str, str]
    """What the file calls a column."""
    values: Mapping[str, Mapping[str, str]]
    """Words the file has for codes."""


class _Tally:
    """What is kept of a column while its cells pass."""

    def __init__(self) -> None:
        self.filled = self.missing = self.numbers = self.whole = self.dates = self.mails = self.phones = self.long = 0
        self.counts: Counter[str] = Counter()
        self.least: Decimal | None = None
        self.greatest: Decimal | None = None
        self.first = self.last = ""
        self.rising = True
        self._before: Decimal | None = None

    def add(self, cell: str, missing: frozenset[str]) -> None:
        if cell in missing:
            self.missing += 1
            return
        self.filled += 1
        if cell in self.counts or len(self.counts) < _MOST_DISTINCT:
            self.counts[cell] += 1
        number = number_of(cell)
        if number is not None:
            self._add_number(number)
        elif _DATE.fullmatch(cell):
            self.dates += 1
            self.first, self.last = min(self.first or cell, cell), max(self.last, cell)
        self.mails += _MAIL.fullmatch(cell) is not None
        self.phones += number is None and _PHONE.fullmatch(cell) is not None and not _DATE.fullmatch(cell)
        self.long += len(cell) > 60

    def _add_number(self, number: Decimal) -> None:
        self.numbers += 1
        self.whole += number == number.to_integral_value()
        self.rising = self.rising and (self._before is None or number > self._before)
        self._before = number
        self.least = number if self.least is None else min(self.least, number)
        self.greatest = number if self.greatest is None else max(self.greatest, number)

    @property
    def type(self) -> VariableType:
        if self.filled and self.numbers == self.filled:
            return "integer" if self.whole == self.filled else "number"
        if self.filled and self.dates == self.filled:
            return "date"
        return "category" if len(self.counts) <= _MOST_CATEGORIES else "text"

    @property
    def unique(self) -> bool:
        """Return whether no cell came twice, as far as cells were counted."""
        return self.filled >= 20 and len(self.counts) == min(self.filled, _MOST_DISTINCT) == sum(self.counts.values())


def look_at(
    file: IO[bytes],
    name: str,
    *,
    schema: TableSchema | None = None,
    sheet: str | None = None,
    progress: Progress | None = None,
) -> Look:
    """Read a table once and return what its columns hold; no row is kept.

    Args:
        file: the table.
        name: its name.
        schema: whose cells without an answer count; a draft's where None.
        sheet: sheet of a workbook.
        progress: told of rows read.

    Raises:
        SpecError: the table cannot be read.
        SiteError: the extra that reads the format is not installed.
    """
    table = open_table(file, name, sheet=sheet)
    missing = _missing(table, schema)
    tallies = [_Tally() for _ in table.columns]
    rows = 0
    for rows, row in enumerate(table.rows, 1):
        for tally, cell, none in zip(tallies, row, missing, strict=True):
            tally.add(cell, none)
        if progress and rows % _STEP == 0:
            progress(rows, rows, "rows looked at")
    looks = tuple(
        _look(column, tally, labelled=column in table.values)
        for column, tally in zip(table.columns, tallies, strict=True)
    )
    return Look(rows, looks, table.labels, table.values)


def _missing(table: Table, schema: TableSchema | None) -> list[frozenset[str]]:
    none = TableSchema.model_fields["missing"].default if schema is None else schema.missing
    own = {} if schema is None else {each.column or name: each.missing for name, each in schema.variables.items()}
    return [frozenset((*none, *own.get(column, ()))) for column in table.columns]


def _look(column: str, tally: _Tally, *, labelled: bool) -> ColumnLook:
    kind: VariableType = "category" if labelled else tally.type
    numeric = tally.least is not None and tally.greatest is not None and tally.numbers == tally.filled
    return ColumnLook(
        column=column,
        type=kind,
        missing=tally.missing,
        distinct=len(tally.counts),
        least=number_text(tally.least)
        if numeric and tally.least is not None
        else tally.first
        if kind == "date"
        else "",
        greatest=number_text(tally.greatest)
        if numeric and tally.greatest is not None
        else tally.last
        if kind == "date"
        else "",
        counts=dict(sorted(tally.counts.items(), key=_code_order)) if kind == "category" else {},
        note=_note(column, tally, kind=kind),
    )


def _code_order(item: tuple[str, int]) -> tuple[bool, Decimal, str]:
    number = number_of(item[0])
    return number is None, Decimal(0) if number is None else number, item[0]


def _note(column: str, tally: _Tally, *, kind: VariableType) -> str:
    """Return why a column is left out; or, of one that is kept, what to ask about it."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", column)
    if not tally.filled:
        return "left out: every cell is empty"
    if 2 * tally.mails > tally.filled:
        return "left out: looks like personal data (mail addresses)"
    if 2 * tally.phones > tally.filled:
        return "left out: looks like personal data (telephone numbers)"
    if _PERSONAL.search(snake):
        return "left out: looks like personal data, by its name"
    if _IDENTIFIER.search(snake) and kind != "number" and (tally.unique or len(tally.counts) > _MOST_CATEGORIES):
        return "left out: looks like an identifier, by its name"
    if tally.unique and (kind == "text" or (kind == "integer" and tally.rising)):
        return "left out: looks like an identifier, no cell comes twice"
    if kind == "text" and 2 * tally.long > tally.filled:
        return "left out: free text, which may name people"
    if len(tally.counts) == 1 and not tally.missing:
        return "left out: every cell is the same"
    if kind == "integer" and len(tally.counts) <= 10 and tally.filled > 20:
        return "few whole numbers: if these are codes, make it a category with a `value_map`"
    return ""


def draft_schema(look: Look, *, keep: Sequence[str] = ()) -> TableSchema:
    """Return the schema that a table suggests.

    Args:
        look: the table, looked at.
        keep: columns to keep though they look like identifiers or personal data.

    Raises:
        SpecError: `keep` names no column, or nothing is left.
    """
    columns = [each.column for each in look.columns]
    unknown = [name for name in keep if name not in columns]
    if unknown:
        raise SpecError(
            f"`{unknown[0]}` is no column", hint=f"columns are {', '.join(f'`{name}`' for name in columns)}"
        )
    variables: dict[str, Variable] = {}
    left: dict[str, str] = {}
    for each in look.columns:
        if each.note.startswith("left out: ") and each.column not in keep:
            left[each.column] = each.note.removeprefix("left out: ")
            continue
        variables[_free(_identifier(each.column), variables)] = _drafted(each, look)
    if not variables:
        raise SpecError("no column is left for a schema", hint="name those you want with `--keep`")
    return TableSchema(variables=_named_apart(variables), left_out=left)


def _drafted(look: ColumnLook, whole: Look) -> Variable:
    words = dict(whole.values.get(look.column, {}))
    if look.type == "category":
        words = {cell: words.get(cell, cell) for cell in (*words, *look.counts)}
        twice = Counter(words.values())
        words = {cell: said if twice[said] == 1 else f"{said} ({cell})" for cell, said in words.items()}
    numeric = look.type in {"integer", "number"}
    return Variable(
        display_name=whole.labels.get(look.column) or one_line(look.column.replace("_", " ")),
        type=look.type,
        column=look.column,
        range=(_bound(look.least), _bound(look.greatest)) if numeric and look.least else None,
        value_map=words,
    )


def _bound(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def _named_apart(variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """Return variables no two of which are called alike; a column's name tells those apart that a label does not."""
    said = Counter(each.display_name.casefold() for each in variables.values())
    found: dict[str, Variable] = {}
    for name, each in variables.items():
        alike = said[each.display_name.casefold()] > 1
        found[name] = each.model_copy(
            update={
                "display_name": f"{each.display_name} ({each.column})" if alike else each.display_name,
                "column": None if each.column == name else each.column,
            }
        )
    return found


def _identifier(column: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:60]
    return name if name[:1].isalpha() and name not in RESERVED else f"v_{name}".rstrip("_")


def _free(name: str, taken: Mapping[str, Variable]) -> str:
    number, found = 2, name
    while found in taken:
        number, found = number + 1, f"{name}_{number}"
    return found


def misfits(file: IO[bytes], name: str, *, schema: TableSchema, sheet: str | None = None, shown: bool) -> Iterator[str]:
    """Yield what of a table does not fit a schema, each kind once with how often and where first.

    Args:
        file: the table.
        name: its name.
        schema: what it should hold.
        sheet: sheet of a workbook.
        shown: whether cells may be quoted.

    Raises:
        SpecError: the table cannot be read, or lacks a column.
    """
    table = open_table(file, name, sheet=sheet)
    fields = fields_of(schema, schema.variables, columns=table.columns, source=name)
    if schema.entity is not None and schema.entity not in table.columns:
        yield f"entity: column `{schema.entity}` is not in the table"
    found: dict[tuple[str, str, str], list[int]] = {}
    for number, row in enumerate(table.rows, 1):
        for field in fields:
            _add_misfit(found, field, row=row, number=number, shown=shown)
    for (variable, why, cell), (count, first) in found.items():
        quoted = f" `{cell}`" if cell else ""
        yield f"{variable}: {count:,} cells{quoted} do not fit, first in row {first}: {why}"
    known = {*(each.column or name for name, each in schema.variables.items()), *schema.left_out, schema.entity}
    for column in table.columns:
        if column not in known:
            yield f"{column}: the table has this column, and the schema neither tells it nor leaves it out"


def _add_misfit(
    found: dict[tuple[str, str, str], list[int]], field: Field, *, row: Sequence[str], number: int, shown: bool
) -> None:
    cell = field.cell(row)
    why = None if cell is None else misfit(cell, field.variable)
    if why is None or cell is None:
        return
    quote = cell[:40] if shown and field.variable.type == "category" else ""
    entry = found.setdefault((field.name, why, quote), [0, number])
    entry[0] += 1
