"""Tables as aligned plain text, for terminals and pipes alike."""

from collections.abc import Iterable, Sequence

from cruijff_kit.schema.run import ExperimentStatus, StepStatus

__all__ = ["STATUS_COLUMNS", "aligned", "status_rows", "status_table"]

STATUS_COLUMNS = ("run", "job", "state", "progress", "last", "note")


def aligned(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under headers, columns padded to their widest cell."""
    cells = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def status_table(status: ExperimentStatus) -> str:
    """Return one line per job: run, job, state, progress, last figure, note."""
    return aligned(STATUS_COLUMNS, status_rows(status))


def status_rows(status: ExperimentStatus) -> list[tuple[str, ...]]:
    """Return the cells of the status table."""
    return [_row(entry) for entry in status.steps]


def _row(entry: StepStatus) -> tuple[str, ...]:
    own = entry.own
    progress = f"{own.step}/{own.total}" if own is not None and own.total else ""
    loss = entry.last.get("loss")
    last = f"loss {loss:.3f}" if isinstance(loss, float) else ""
    return (entry.run_id, entry.step.value, entry.phase.value, progress, last, entry.reason)
