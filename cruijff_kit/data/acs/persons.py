"""Persons of the survey as questions: read twice, drawn by hash, told in words.

The first reading marks each person whom the task is about by a digest of what would be told;
persons who read the same stay in one split. The second tells those who were drawn. Only they
are held, so a file of any size will do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cruijff_kit.data.acs.arguments import SPLITS, AcsPersons, sizes_of
from cruijff_kit.data.acs.shares import CHANCE_OF, Marks, deal, shifted
from cruijff_kit.data.acs.tasks import TASKS, AcsTask
from cruijff_kit.data.acs.words import code_of, person_schema
from cruijff_kit.data.draws import ordered
from cruijff_kit.data.known_chances import chance_columns
from cruijff_kit.data.table_rows import TableRows
from cruijff_kit.data.tabular.cells import number_of
from cruijff_kit.data.tabular.division import digest
from cruijff_kit.data.tabular.features import Feature, Field, fields_of, known, misfit, shown
from cruijff_kit.data.tabular.readers import Table
from cruijff_kit.data.tabular.styles import STYLES, condensed
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress

__all__ = ["tell_persons"]

_Codes = Mapping[str, Mapping[str, str]]
_STEP, _SHOWN, _REMEMBERED = 20_000, 20, 4096
_UNTOLD = "not applicable"
_FORMS = {"verbose": "dictionary", "condensed": "condensed", "terse": "terse"}


class _Person(NamedTuple):
    """What is needed of one person."""

    number: int
    """Place in the file, from 1."""
    features: list[Feature]
    """What is told, in the order of the task."""
    answer: str
    """What is to be answered; `0` or `1` where it is no or yes."""
    groups: dict[str, str]
    """Columns kept beside."""
    chance: float | None
    """Probability of yes, where the table tells it."""


def tell_persons(
    arguments: AcsPersons, opened: Callable[[], Table], *, source: str, codes: _Codes, progress: Progress | None = None
) -> TableRows:
    """Return the persons drawn from a table, told as asked.

    Args:
        arguments: task, form, sizes, seed.
        opened: opens the table anew.
        source: its name, shown with what is wrong.
        codes: words of the survey's dictionary, by column and code.
        progress: told of persons read, of all that will be.

    Raises:
        SpecError: the table lacks a column, a code is not known, or there are too few persons.
        SiteError: the extra that reads the format is not installed.
    """
    task = TASKS[arguments.task]
    marks, total = Marks.empty(), 0
    for total, person in _Reader(arguments, opened(), source=source, codes=codes).persons():
        if person is not None:
            text = "; ".join(condensed(person.features))
            yes = task.yes is not None and person.answer == "1"
            marks.add(digest(text, seed=arguments.seed), number=person.number, yes=yes)
        if progress and total % _STEP == 0:
            progress(total, total, "persons looked at")
    dealt = deal(marks, sizes_of(arguments), halves=arguments.balanced)
    reader = _Reader(arguments, opened(), source=source, codes=codes)
    found: dict[int, _Person] = {}
    for number, person in reader.persons():
        if person is not None and number in dealt:
            found[number] = person
        if progress and number % _STEP == 0:
            progress(total + number, 2 * total, "persons told")
    drawn = [(split, found[number]) for number, split in dealt.items()]
    return _persons(arguments, reader, drawn=drawn, share=marks.share)


def _persons(
    arguments: AcsPersons, reader: "_Reader", *, drawn: Sequence[tuple[str, _Person]], share: float
) -> TableRows:
    sizes, task = sizes_of(arguments), reader.task
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS if split in sizes}
    cells: dict[str, list[tuple[str, ...]]] = {split: [] for split in splits}
    for split, person in drawn:
        splits[split].append(_row(person, arguments, task=task, share=share))
        cells[split].append(tuple(feature.cell or "" for feature in person.features))
    numeric = frozenset(each.name for each in reader.features if each.variable.type == "integer")
    return TableRows(splits, task.features, numeric, cells, arguments.answers if task.yes is not None else ())


def _row(person: _Person, arguments: AcsPersons, *, task: AcsTask, share: float) -> dict[str, Any]:
    no, yes = arguments.answers
    told = [each if each.value is not None else each._replace(value=_UNTOLD, unit="") for each in person.features]
    style, joint = STYLES[_FORMS[arguments.form]]
    ask = "Answer with a number." if task.yes is None else f"Answer {yes} for yes, {no} for no."
    text = joint.join(style(_arranged(told, arguments, number=person.number)))
    row: dict[str, Any] = {"input": f"{text}\n\n{task.question} {ask}", "output": person.answer}
    if task.yes is not None:
        row["output"] = yes if person.answer == "1" else no
    row |= {**person.groups, "row": person.number}
    if person.chance is not None and task.yes is not None:
        chance = round(shifted(person.chance, share=share, halves=arguments.balanced), 6)
        row |= chance_columns({no: round(1 - chance, 6), yes: chance})
    return row


def _arranged(told: list[Feature], arguments: AcsPersons, *, number: int) -> list[Feature]:
    """Return features in the order asked for."""
    if arguments.order == "published":
        return told
    label = "variables" if arguments.order == "once" else f"variables of {number}"
    names = ordered((each.name for each in told), seed=arguments.seed, label=label)
    return sorted(told, key=lambda each: names.index(each.name))


class _Reader:
    """Reads the persons of an open table whom a task is about; notes codes that nobody knows."""

    def __init__(self, arguments: AcsPersons, table: Table, *, source: str, codes: _Codes) -> None:
        schema, self.task = person_schema(table.columns, codes), TASKS[arguments.task]
        self.table, self.source = table, source
        unknown = list(known(arguments.groups, schema.variables, argument="groups"))
        if unknown:
            raise SpecError("the persons cannot be told like that", problems=unknown)

        def fields(names: Sequence[str]) -> list[Field]:
            return fields_of(schema, dict.fromkeys(names), columns=table.columns, source=source)

        needed = (*self.task.features, self.task.target, *(each.column for each in self.task.keep), *arguments.groups)
        by_name = {field.name: field for field in fields(needed)}
        self.features = [by_name[name] for name in self.task.features]
        self.groups = [by_name[name] for name in arguments.groups]
        self.keep = [(bounds, by_name[bounds.column].at) for bounds in self.task.keep]
        self.target = by_name[self.task.target]
        column = f"{CHANCE_OF}{arguments.task}"
        self.chance = table.columns.index(column) if column in table.columns else None
        self.memo: dict[tuple[str, str], Feature] = {}
        self.problems: list[Problem] = []

    def persons(self) -> Iterator[tuple[int, _Person | None]]:
        """Yield (place, person) of every row; None for whom the task is not about."""
        for number, row in enumerate(self.table.rows, 1):
            about = all(bounds.holds(row[at]) for bounds, at in self.keep)
            yield number, self._person(number, row) if about else None
        self._refuse()

    def _person(self, number: int, row: Sequence[str]) -> _Person | None:
        cell = self._feature(self.target, row, number=number).cell
        if self.task.yes is None and cell is None:
            return None
        # As published: without a cell, as where nobody travels, the answer is no.
        answer = str(cell) if self.task.yes is None else str(int(self.task.yes.holds(cell or "")))
        features = [self._feature(field, row, number=number) for field in self.features]
        said = [self._feature(field, row, number=number) for field in self.groups]
        groups = {each.name: each.words or _UNTOLD for each in said}
        return _Person(number, features, answer, groups, self._chance(row, number=number))

    def _chance(self, row: Sequence[str], *, number: int) -> float | None:
        """Return the probability of yes that a population made up tells; None where the file is the survey's."""
        if self.chance is None:
            return None
        chance = number_of(row[self.chance])
        if chance is None or not 0 <= chance <= 1:
            column = self.table.columns[self.chance]
            self._note(number, f"a cell of `{column}` is no probability", hint="remove the column, or mend it")
            return None
        return float(chance)

    def _feature(self, field: Field, row: Sequence[str], *, number: int) -> Feature:
        key = (field.name, row[field.at])
        if key in self.memo:
            return self.memo[key]
        feature = shown(field._replace(at=0), [code_of(row[field.at])])
        why = None if feature.cell is None else misfit(feature.cell, field.variable, ranged=False)
        if why is not None:
            hint = "the file may be of a year that codes otherwise: tell it with `tabular` and a schema of your own"
            self._note(number, f"a cell of `{field.name}` does not fit: {why}", hint=hint)
        elif len(self.memo) < _REMEMBERED * len(self.features):
            self.memo[key] = feature
        return feature

    def _note(self, number: int, fact: str, *, hint: str) -> None:
        self.problems.append(Problem(fact, place=f"{self.source} row {number}", hint=hint))
        if len(self.problems) >= _SHOWN:
            self._refuse()

    def _refuse(self) -> None:
        if self.problems:
            raise SpecError(f"`{self.source}` holds what is not known", problems=self.problems)
