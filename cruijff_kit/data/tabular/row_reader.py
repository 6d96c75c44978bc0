"""Rows of a table read as features, answer and groups, what does not fit noted with its row."""

from collections.abc import Sequence
from decimal import Decimal
from typing import IO, NamedTuple

from cruijff_kit.data.tabular.cells import number_of
from cruijff_kit.data.tabular.features import Feature, Field, fields_of, misfit, shown
from cruijff_kit.data.tabular.readers import TableRow, open_table
from cruijff_kit.data.tabular.styles import Style
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import TableSchema, Tabular

__all__ = ["ReadRow", "RowReader", "Telling"]

_NOTED, _SHOWN = 20, 5
_REMEMBERED = 4096


class Telling(NamedTuple):
    """How rows are told, checked against the schema and the template."""

    arguments: Tabular
    """What was asked for."""
    schema: TableSchema
    """What the columns mean."""
    features: tuple[str, ...]
    """Variables told, in order."""
    style: Style
    """Features to clauses."""
    joint: str
    """What stands between clauses."""
    likeness: Style | None = None
    """Clauses by which rows are found alike where those told are not at hand before; the style itself where None."""

    def alike(self, features: list[Feature]) -> str:
        """Return the text by which rows are found alike."""
        return self.joint.join((self.likeness or self.style)(features))


class ReadRow(NamedTuple):
    """What is needed of one row."""

    features: list[Feature]
    """What is told, in order."""
    answer: str
    """What is to be answered."""
    groups: dict[str, str]
    """Columns kept beside, in words."""


class RowReader:
    """Reads rows of an open table as features, answer and groups; notes what does not fit."""

    def __init__(self, telling: Telling, file: IO[bytes]) -> None:
        """Open the table and find the columns.

        Raises:
            SpecError: the table cannot be read or lacks a column.
            SiteError: the extra that reads the format is not installed.
        """
        self.told = telling
        name = telling.arguments.source
        table = open_table(file, name, sheet=telling.arguments.sheet)

        def fields(names: tuple[str, ...]) -> list[Field]:
            return fields_of(telling.schema, names, columns=table.columns, source=name)

        self.rows = table.rows
        self.features = fields(telling.features)
        (self.target,) = fields((telling.arguments.target,))
        self.groups = fields(telling.arguments.groups)
        self.entity = self._column(telling.schema.entity, table.columns)
        self._memo: dict[str, dict[str, Feature]] = {name: {} for name in telling.schema.variables}
        self._noted: list[tuple[int, str, str]] = []
        self.threshold = None if telling.arguments.threshold is None else Decimal(repr(telling.arguments.threshold))

    def _column(self, name: str | None, columns: tuple[str, ...]) -> int | None:
        if name is not None and name not in columns:
            problem = Problem(f"column `{name}` is not in the table", "entity", hint="mend `entity` in the schema")
            raise SpecError("the table does not fit its schema", problems=[problem])
        return None if name is None else columns.index(name)

    def read(self, row: TableRow, number: int) -> ReadRow | str:
        """Return what is needed of a row, or why it is left out."""
        cell = self.target.cell(row)
        if cell is None:
            return "no answer"
        answer = self._answer(cell, row, number=number)
        if answer is None:
            return "its answer is mapped to nothing"
        features = [self._feature(field, row, number=number) for field in self.features]
        if self.told.arguments.missing == "skip" and any(feature.value is None for feature in features):
            return "a feature is missing"
        said = [self._feature(field, row, number=number) for field in self.groups]
        words = self.told.arguments.missing_text
        if self.told.arguments.missing == "say":
            features = [each if each.value is not None else each._replace(value=words, unit="") for each in features]
        return ReadRow(features, answer, {each.name: each.words or words for each in said})

    def _feature(self, field: Field, row: TableRow, *, number: int) -> Feature:
        """Return a variable of a row in words; cells come again and again, so some thousands are kept."""
        memo, text = self._memo[field.name], row[field.at]
        if text in memo:
            return memo[text]
        feature = shown(field, row)
        why = None if feature.cell is None else misfit(feature.cell, field.variable, ranged=False)
        if why is not None:
            hint = "mend the schema; `ck data schema TABLE --check SCHEMA` lists all that does not fit"
            self._note(number, f"a cell of `{field.name}` does not fit: {why}", hint=hint)
        elif len(memo) < _REMEMBERED:
            memo[text] = feature
        return feature

    def _answer(self, cell: str, row: TableRow, *, number: int) -> str | None:
        mapping = self.told.arguments.mapping
        if mapping:
            if cell not in mapping:
                self._note(
                    number,
                    f"a cell of `{self.target.name}` is not in `mapping`",
                    hint="add it, or map it to null to leave such rows out",
                )
            return mapping.get(cell)
        if self.threshold is None:
            return self._feature(self.target, row, number=number).value
        value = number_of(cell)
        if value is None:
            self._note(
                number,
                f"a cell of `{self.target.name}` is no number",
                hint="name it in `missing` of the variable, or use `mapping`",
            )
            return None
        return "1" if value > self.threshold else "0"

    def _note(self, number: int, fact: str, *, hint: str) -> None:
        self._noted.append((number, fact, hint))
        if len(self._noted) >= _NOTED:
            self.finish()

    def finish(self) -> None:
        """Refuse a table in which anything does not fit; what is wrong with many rows is said once."""
        alike: dict[tuple[str, str], list[int]] = {}
        for number, fact, hint in self._noted:
            alike.setdefault((fact, hint), []).append(number)
        if alike:
            source = self.told.arguments.source
            problems = [
                Problem(fact, f"{source} {_rows(numbers)}", hint=hint) for (fact, hint), numbers in alike.items()
            ]
            raise SpecError("the table does not fit its schema", problems=problems)


def _rows(numbers: Sequence[int]) -> str:
    """Return the first of these rows in words; reading stops early, so how many there are is not known."""
    told = ", ".join(map(str, numbers[:_SHOWN]))
    return f"row{'s' if len(numbers) > 1 else ''} {told}{' and more' if len(numbers) > _SHOWN else ''}"
