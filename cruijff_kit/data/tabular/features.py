"""Features: the variables of one row, each with its name and its value in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from cruijff_kit.data.tabular.cells import number_of, number_text
from cruijff_kit.data.tabular.readers import TableRow
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import TableSchema, Variable

__all__ = ["Feature", "Field", "canonical", "fields_of", "known", "misfit", "shown"]


class Field(NamedTuple):
    """A variable and where its column stands."""

    name: str
    """Its name in the schema."""
    variable: Variable
    """What it means."""
    at: int
    """Position of its column."""
    missing: frozenset[str]
    """Cells that stand for no answer."""

    def cell(self, row: TableRow) -> str | None:
        """Return its cell of a row in its one spelling; None where there is no answer."""
        text = row[self.at]
        if text in self.missing:
            return None
        cell = canonical(text, self.variable)
        return None if cell in self.missing else cell


class Feature(NamedTuple):
    """A variable of one row as it is told."""

    name: str
    """Its name in the schema."""
    label: str
    """What it is called in the text."""
    value: str | None
    """Its value in words, the unit left out; None where there is no answer."""
    unit: str
    """What stands behind the value."""
    cell: str | None
    """Its cell, which no perturbation touches."""
    variable: Variable
    """What it means."""

    @property
    def words(self) -> str | None:
        """Return value and unit."""
        return f"{self.value} {self.unit}" if self.value is not None and self.unit else self.value


def fields_of(schema: TableSchema, names: Iterable[str], *, columns: Sequence[str], source: str) -> list[Field]:
    """Return variables by name, their columns found in a table.

    Raises:
        SpecError: the table lacks a column.
    """
    fields, problems = [], []
    for name in names:
        variable = schema.variables[name]
        column = variable.column or name
        if column not in columns:
            shown_columns = ", ".join(f"`{each}`" for each in columns[:12])
            hint = f"its columns are {shown_columns}; name one with `column` of `{name}`, or remove the variable"
            problems.append(Problem(f"column `{column}` is not in the table", place=source, hint=hint))
            continue
        missing = frozenset((*schema.missing, *variable.missing))
        fields.append(Field(name, variable, columns.index(column), missing))
    if problems:
        raise SpecError(f"`{source}` does not fit its schema", problems=problems)
    return fields


def canonical(text: str, variable: Variable) -> str:
    """Return a cell in the one spelling of its value: numbers lose idle zeros and exponents."""
    if variable.type not in {"integer", "number"}:
        return text
    number = number_of(text)
    return text if number is None else number_text(number)


def misfit(cell: str, variable: Variable, *, ranged: bool = True) -> str | None:
    """Return why a cell is none of its variable; None where it is one.

    Args:
        cell: in its one spelling.
        variable: what it should be of.
        ranged: whether a number outside the range is none.
    """
    number = number_of(cell) if variable.type in {"integer", "number"} else None
    if variable.type in {"integer", "number"} and number is None and cell not in variable.value_map:
        return "it is no number"
    if variable.type == "integer" and number is not None and number != int(number):
        return "it is no whole number"
    if ranged and number is not None and variable.range:
        # A bound is meant as it is written, not as the float nearest to it.
        least, greatest = (Decimal(repr(bound)) for bound in variable.range)
        if not least <= number <= greatest:
            return f"it lies outside {number_text(least)} to {number_text(greatest)}"
    if variable.type == "category" and variable.value_map and cell not in variable.value_map:
        return "`value_map` does not name it"
    return None


def shown(field: Field, row: TableRow) -> Feature:
    """Return a variable of a row in words."""
    variable, cell = field.variable, field.cell(row)
    value, unit = _in_words(cell, variable)
    return Feature(field.name, variable.display_name, value, unit, cell, variable)


def _in_words(cell: str | None, variable: Variable) -> tuple[str | None, str]:
    """Return the words of a cell and its unit; a cell that the map names has none."""
    if cell is None:
        return None, ""
    if cell in variable.value_map:
        return variable.value_map[cell], ""
    number = number_of(cell) if variable.type == "number" and variable.decimals is not None else None
    return (cell if number is None else number_text(number, decimals=variable.decimals)), variable.unit


def known(names: Iterable[str], variables: Mapping[str, Variable], *, argument: str) -> Iterator[Problem]:
    """Yield a problem for each name that is no variable."""
    for name in names:
        if name not in variables:
            hint = f"variables are {', '.join(f'`{each}`' for each in variables)}"
            yield Problem(f"`{name}` is no variable of the schema", argument, hint=hint)
