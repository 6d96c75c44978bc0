"""Parquet files and Hugging Face data sets saved to disk, read with pyarrow where it is installed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from cruijff_kit.errors import Problem, SiteError, SpecError

__all__ = ["END_OF_STREAM", "arrow_rows", "parquet_bytes", "parquet_rows", "parquet_stream"]

END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""Last bytes of a whole Arrow stream."""

_BATCH = 512
_TORN = "the file is torn or of another format: copy or write it again"


def parquet_rows(content: bytes, name: str) -> list[dict[str, Any]]:
    """Return the rows of a parquet file; cells that are null are left out.

    Raises:
        SpecError: it is torn or no parquet file.
        SiteError: the extra that reads it is not installed.
    """
    pyarrow = _pyarrow()
    from pyarrow import parquet

    try:
        return list(_rows(parquet.read_table(pyarrow.BufferReader(content))))
    except (pyarrow.ArrowException, OSError, ValueError) as err:
        raise _unreadable(err, name, kind="a parquet file") from err


def parquet_stream(file: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a parquet file, some hundreds in memory at a time; cells that are null are left out.

    Raises:
        SpecError: it is torn or no parquet file.
        SiteError: the extra that reads it is not installed.
    """
    pyarrow = _pyarrow()
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(file).iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                yield _without_nulls(row)
    except (pyarrow.ArrowException, OSError, ValueError) as err:
        raise _unreadable(err, name, kind="a parquet file") from err


def arrow_rows(content: bytes, name: str) -> list[dict[str, Any]]:
    """Return the rows of an Arrow stream, as `save_to_disk` writes; cells that are null are left out.

    Raises:
        SpecError: it is torn or no Arrow stream.
        SiteError: the extra that reads it is not installed.
    """
    pyarrow = _pyarrow()
    from pyarrow import ipc

    try:
        rows = list(_rows(ipc.open_stream(content).read_all()))
    except (pyarrow.ArrowException, OSError, ValueError) as err:
        raise _unreadable(err, name, kind="an Arrow stream") from err
    # A stream cut between two batches reads without complaint.
    if not content.endswith(END_OF_STREAM):
        raise _unreadable(ValueError("it lacks its end"), name, kind="a whole Arrow stream")
    return rows


def parquet_bytes(rows: Sequence[Mapping[str, Any]], name: str) -> bytes:
    """Return rows as a parquet file; what a row lacks is null there.

    Raises:
        SpecError: a column holds values of several kinds.
        SiteError: the extra that writes it is not installed.
    """
    pyarrow = _pyarrow()
    from pyarrow import parquet

    columns, problems = {}, list[Problem]()
    for column in dict.fromkeys(column for row in rows for column in row):
        values = [row.get(column) for row in rows]
        try:
            columns[column] = pyarrow.array(values)
        except (pyarrow.ArrowException, OverflowError):
            # The library's own words would quote the values.
            kinds = ", ".join(sorted({type(value).__name__ for value in values}))
            fact = f"column `{column}` holds values that no one kind of column takes: {kinds}"
            problems.append(Problem(fact, place=name, hint="write them alike, all as text or all as numbers"))
    if problems:
        raise SpecError(f"`{name}` cannot be written as parquet", problems=problems)
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches():
        for row in batch.to_pylist():
            yield _without_nulls(row)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]', or write the data as JSON or JSON Lines"
        raise SiteError("reading parquet and Arrow files needs `pyarrow`, which is not installed", hint=hint) from err
    return pyarrow


def _unreadable(err: Exception, name: str, *, kind: str) -> SpecError:
    fact = (str(err).splitlines() or [type(err).__name__])[0][:200]
    problem = Problem(f"`{name}` is not {kind}: {fact[:1].lower()}{fact[1:]}", place=name, hint=_TORN)
    return SpecError(f"`{name}` cannot be read", problems=[problem])
