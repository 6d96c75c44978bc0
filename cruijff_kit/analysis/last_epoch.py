"""The last planned epoch of each run and task: the rows and samples that a report's outcome rests on."""

from collections.abc import Iterable

from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultRow, ResultTable

__all__ = ["last_epochs", "last_samples", "outcome_rows"]


def last_epochs(rows: Iterable[ResultRow]) -> dict[tuple[str, str], int | None]:
    """Return the last epoch planned for each run and task."""
    last: dict[tuple[str, str], int | None] = {}
    for row in rows:
        known = last.get((row.run, row.task))
        last[row.run, row.task] = row.epoch if known is None else max(known, row.epoch or 0)
    return last


def last_samples(table: ResultTable) -> dict[tuple[str, str], list[Prediction]]:
    """Return the samples of each run and task at its last planned epoch."""
    last = last_epochs(table.rows)
    found: dict[tuple[str, str], list[Prediction]] = {}
    for each in table.predictions:
        if each.epoch == last.get((each.run, each.task)):
            found.setdefault((each.run, each.task), []).append(each)
    return found


def outcome_rows(table: ResultTable, *, task: str, metric: str) -> dict[str, ResultRow]:
    """Return the row of a figure at the last planned epoch by run, of those runs that have it."""
    last = last_epochs(table.rows)
    return {
        row.run: row
        for row in table.rows
        if (row.task, row.metric) == (task, metric) and row.value is not None and row.epoch == last[row.run, row.task]
    }
