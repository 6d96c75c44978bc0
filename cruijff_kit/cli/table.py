"""Tables as aligned plain text, for terminals and pipes alike."""

import unicodedata
from collections.abc import Iterable, Sequence

from cruijff_kit.schema.job import Step
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus

__all__ = ["STATUS_COLUMNS", "aligned", "changed", "phase_line", "status_rows", "status_table"]

STATUS_COLUMNS = ("run", "job", "state", "progress", "last", "note")


def aligned(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under headers, columns padded to their widest cell."""
    cells = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(headers))]
    lines = ["  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide letters two, marks on letters none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in {"W", "F"} for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in {"Mn", "Me"} for letter in text)


def status_table(status: ExperimentStatus) -> str:
    """Return one line per job: run, job, state, progress, last figure, note."""
    return aligned(STATUS_COLUMNS, status_rows(status))


def status_rows(status: ExperimentStatus) -> list[tuple[str, ...]]:
    """Return the cells of the status table."""
    return [_row(entry) for entry in status.steps]


def changed(status: ExperimentStatus, seen: dict[tuple[str, Step], Phase]) -> list[StepStatus]:
    """Return the jobs that are in another state than they were seen in, and note the states there are now."""
    news = [entry for entry in status.steps if seen.get((entry.run_id, entry.step)) is not entry.phase]
    seen.update({(entry.run_id, entry.step): entry.phase for entry in news})
    return news


def phase_line(entry: StepStatus) -> str:
    """Return a job, its state and why it is in it."""
    note = f" ({entry.reason})" if entry.reason else ""
    return f"{entry.run_id}/{entry.step.value}: {entry.phase.value}{note}"


def _row(entry: StepStatus) -> tuple[str, ...]:
    own = entry.own
    progress = f"{own.step}/{own.total}" if own is not None and own.total else ""
    loss = entry.last.get("loss")
    last = f"loss {loss:.3f}" if isinstance(loss, float) else ""
    return (entry.run_id, entry.step.value, entry.phase.value, progress, last, entry.reason)
