"""Answer tables: a CSV of answers of two classes, with the meaning of its probabilities made explicit."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from typing import Literal, NamedTuple

from cruijff_kit.errors import Problem, SpecError

__all__ = ["PROBABILITY", "AnswerTable", "Meaning", "read_answers"]

Meaning = Literal["1", "true", "predicted"]
"""What a probability is of: class 1, the true label, or the label predicted."""
PROBABILITY = "P(TRUE LABEL)"
"""The probability column, where no other is named."""

_TARGET, _PREDICTION, _ABSTAIN, _SET = "TRUE_LABEL", "PREDICTION", "ABSTAIN", "PREDICTION_SET"
_WORDS = {"1": "of class 1", "true": "of the true label", "predicted": "of the label predicted"}
_SHOWN = 20
# A threshold other than one half moves the agreement a little; another meaning moves it much.
_CLEARLY = 0.1


class AnswerTable(NamedTuple):
    """One entry a row in each column."""

    groups: tuple[str, ...]
    """Value of the group column."""
    targets: tuple[int, ...]
    """True label, 0 or 1."""
    predictions: tuple[int | None, ...]
    """Label predicted; None where the cell is empty."""
    probabilities: tuple[float | None, ...]
    """P(class 1); None where the cell is empty or there is no column."""
    abstained: tuple[bool, ...]
    """Whether the model declined to answer."""
    covered: tuple[bool | None, ...]
    """Whether the prediction set holds the true label; None without a column of sets."""


class _Sheet(NamedTuple):
    """The file as text cells."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]
    """Line and cells of each row."""
    shown: bool
    """Whether cells may be quoted."""

    def column(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [cells[at].strip() for _, cells in self.rows]

    def place(self, row: int) -> str:
        return f"{self.name}:{self.rows[row][0]}"

    def quoted(self, cell: str) -> str:
        return f"`{cell[:40]}`" if self.shown else "the cell, which is not shown,"


def read_answers(
    content: bytes,
    *,
    name: str,
    by: str,
    meaning: Meaning | None,
    probability: str = PROBABILITY,
    shown: bool = True,
) -> AnswerTable:
    """Return the answers of a CSV whose labels are 0 and 1.

    Columns are `TRUE_LABEL`, `PREDICTION`, the group column and, where there is one, the
    probability; `ABSTAIN` (0 or 1) and `PREDICTION_SET` (labels joined by `|`) where given.
    An empty prediction is an answer that could not be parsed.

    Args:
        content: the file's bytes.
        name: file name shown in problems.
        by: the group column.
        meaning: what the probabilities are of; required where there is such a column.
        probability: the probability column.
        shown: whether problems may quote cells.

    Raises:
        SpecError: the file is torn, lacks a column, holds values that cannot be, or its
            probabilities plainly mean something else; every problem has its line.
    """
    sheet = _sheet(content, name, shown=shown)
    _refuse_missing(sheet, by=by, meaning=meaning, probability=probability)
    parsed, shares = _cells(sheet, by=by, probability=probability)
    targets, predictions = [int(value or 0) for value in parsed[_TARGET]], parsed[_PREDICTION]
    if meaning is not None:
        _refuse_other_meaning(shares, targets, predictions=predictions, meaning=meaning, name=f"{name}: {probability}")
        labels = {"1": [1] * len(targets), "true": targets, "predicted": predictions}[meaning]
        shares = [_of_class_one(share, label) for share, label in zip(shares, labels, strict=True)]
    return AnswerTable(
        groups=tuple(sheet.column(by)),
        targets=tuple(targets),
        predictions=tuple(predictions),
        probabilities=tuple(shares),
        abstained=tuple(value == 1 for value in parsed[_ABSTAIN]),
        covered=tuple(_covered(sheet, targets)),
    )


_LABELS = {
    _TARGET: ("0", "1"),
    _PREDICTION: ("0", "1", ""),
    _ABSTAIN: ("0", "1", ""),
    _SET: ("", "0", "1", "0|1", "1|0"),
}
"""What each column of labels may hold."""


def _sheet(content: bytes, name: str, *, shown: bool) -> _Sheet:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        place = f"{name}:{content.count(bytes([10]), 0, err.start) + 1}"
        problem = Problem(f"byte {err.start} is not UTF-8", place=place, hint="save the file as UTF-8")
        raise SpecError(f"`{name}` cannot be read", problems=[problem]) from err
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows = []
    try:
        rows = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as err:
        problem = Problem(f"{err}", place=f"{name}:{reader.line_num}", hint="close the quotes, or save the file again")
        raise SpecError(f"`{name}` is not a valid CSV", problems=[problem]) from err
    if len(rows) < 2:
        raise SpecError(f"`{name}` holds no rows below a header", hint="save the answers again, with a header")
    header = tuple(cell.strip() for cell in rows[0][1])
    ragged = [
        Problem(f"the row has {len(cells)} cells, the header {len(header)}", place=f"{name}:{line}")
        for line, cells in rows[1:]
        if len(cells) != len(header)
    ]
    twice = [Problem(f"column `{each}` is there twice", place=name) for each in header if header.count(each) > 1]
    if ragged or twice:
        raise SpecError(f"`{name}` is not a usable table", problems=[*dict.fromkeys(twice), *ragged][:_SHOWN])
    return _Sheet(name, header, tuple(rows[1:]), shown)


def _refuse_missing(sheet: _Sheet, *, by: str, meaning: Meaning | None, probability: str) -> None:
    needed = [_TARGET, _PREDICTION, by, *([probability] if meaning is not None or probability != PROBABILITY else [])]
    problems = [
        Problem(f"column `{column}` is missing", place=f"{sheet.name}:1", hint=_nearest(column, sheet.header))
        for column in needed
        if column not in sheet.header
    ]
    if meaning is None and probability in sheet.header:
        words = ", ".join(f"`{key}` {word}" for key, word in _WORDS.items())
        fact = f"column `{probability}` is read as P(class 1) only when what it holds is said"
        problems.append(Problem(fact, place=f"{sheet.name}:1", hint=f"say `--probability-of`: {words}"))
    if problems:
        raise SpecError(f"`{sheet.name}` cannot be compared by `{by}`", problems=problems)


def _nearest(column: str, header: Sequence[str]) -> str:
    near = get_close_matches(column, header, n=1, cutoff=0.5)
    listed = ", ".join(f"`{each}`" for each in header)
    return f"columns are {listed}" + (f"; is it `{near[0]}`?" if near else "")


def _cells(sheet: _Sheet, *, by: str, probability: str) -> tuple[dict[str, list[int | None]], list[float | None]]:
    """Return the columns of labels, and the probabilities as they stand."""
    problems: list[Problem] = []
    parsed = {column: _parsed(sheet, column, values=values, problems=problems) for column, values in _LABELS.items()}
    shares = _shares(sheet, probability, problems=problems)
    problems += [
        Problem("the row has no group", by, sheet.place(row), "write a word for it, such as `unknown`")
        for row, value in enumerate(sheet.column(by))
        if not value
    ]
    if problems:
        more = len(problems) - _SHOWN
        rest = [Problem(f"and {more} more cells like these", place=sheet.name)] if more > 0 else []
        raise SpecError(f"`{sheet.name}` is not a usable table of answers", problems=[*problems[:_SHOWN], *rest])
    return parsed, shares


def _parsed(sheet: _Sheet, column: str, *, values: Sequence[str], problems: list[Problem]) -> list[int | None]:
    """Return a column of labels, None for an empty cell or an absent column; sets are checked alone."""
    if column not in sheet.header:
        return [None] * len(sheet.rows)
    cells, allowed = sheet.column(column), {text: text for text in values} | {"0.0": "0", "1.0": "1"}
    wanted = ", ".join(f"`{each}`" if each else "an empty cell" for each in values)
    problems += [
        Problem(f"{sheet.quoted(cell)} is none of {wanted}", column, sheet.place(row))
        for row, cell in enumerate(cells)
        if cell not in allowed
    ]
    return [int(allowed[cell]) if allowed.get(cell) in {"0", "1"} else None for cell in cells]


def _shares(sheet: _Sheet, column: str, *, problems: list[Problem]) -> list[float | None]:
    if column not in sheet.header:
        return [None] * len(sheet.rows)
    found = []
    for row, cell in enumerate(sheet.column(column)):
        value = _number(cell)
        found.append(value)
        if cell and (value is None or not 0 <= value <= 1):
            problems.append(Problem(f"{sheet.quoted(cell)} is no probability from 0 to 1", column, sheet.place(row)))
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _refuse_other_meaning(
    shares: Sequence[float | None],
    targets: Sequence[int],
    *,
    predictions: Sequence[int | None],
    meaning: Meaning,
    name: str,
) -> None:
    """Refuse probabilities that fit the predictions plainly better under another meaning."""
    fits = _fits(shares, targets, predictions=predictions)
    best = max(fits, key=lambda key: fits[key], default=meaning)
    if fits and fits[meaning] + _CLEARLY < fits[best]:
        raise SpecError(
            f"`{name}` is declared to be the probability {_WORDS[meaning]}, and leans to the label predicted in "
            f"{fits[meaning]:.0%} of rows; as the probability {_WORDS[best]} it does in {fits[best]:.0%}",
            hint=f"say `--probability-of {best}`, or mend the column",
        )


def _fits(
    shares: Sequence[float | None], targets: Sequence[int], *, predictions: Sequence[int | None]
) -> Mapping[str, float]:
    """Return the share of rows in which the probability leans to the label predicted, by meaning."""
    rows = [
        (share >= 0.5, target, prediction)
        for share, target, prediction in zip(shares, targets, predictions, strict=True)
        if share is not None and prediction is not None
    ]
    if not rows:
        return {}
    counts = {
        "1": sum(high == (prediction == 1) for high, _, prediction in rows),
        "true": sum(high == (prediction == target) for high, target, prediction in rows),
        "predicted": sum(high for high, _, _ in rows),
    }
    return {key: count / len(rows) for key, count in counts.items()}


def _of_class_one(share: float | None, label: int | None) -> float | None:
    if share is None or label is None:
        return None
    return share if label == 1 else 1 - share


def _covered(sheet: _Sheet, targets: Sequence[int]) -> Iterator[bool | None]:
    if _SET not in sheet.header:
        yield from [None] * len(sheet.rows)
        return
    for cell, target in zip(sheet.column(_SET), targets, strict=True):
        yield str(target) in cell.split("|")
