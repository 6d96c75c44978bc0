"""Readers of tables: columns first, then rows of text, some thousands of them in memory at a time.

    .csv .tsv         UTF-8, quoted as spreadsheets do
    .zip              its CSV files, one behind the other, of the same columns
    .parquet          batches of rows
    .dta              Stata, its value and variable labels too
    .sas7bdat .xpt    SAS, data sets and transport files
    .xlsx             the first sheet, or one by name; its first row names the columns

All but a workbook's shared texts are read in a stream: Excel keeps these in one part,
which is held whole.
"""

import csv
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import IO, Any, NamedTuple, Protocol

from cruijff_kit.data.tabular.cells import cell_text, one_line
from cruijff_kit.errors import Problem, SiteError, SpecError

__all__ = ["FORMATS", "Table", "TableRow", "open_table"]

_BATCH = 4096
_DATE_FORMAT = re.compile(r"(?:DATE|DDMMYY|MMDDYY|YYMMDD|E8601DA|WEEKDATE|WORDDATE)[A-Z]?\s*$")
_IBM_ZERO = 16.0**-65
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_TORN = "the file is torn or of another format: copy it again, or save it anew from the program it comes from"

TableRow = Sequence[str]
"""Cells of one row as text, in the order of the columns; empty where there is none."""


class Table(NamedTuple):
    """A table that is open; rows are read once."""

    columns: tuple[str, ...]
    """Names of its columns."""
    rows: Iterator[TableRow]
    """Its rows in file order."""
    labels: Mapping[str, str] = _NOTHING
    """What a column is called, where the file says so."""
    values: Mapping[str, Mapping[str, str]] = _NOTHING
    """Column to the words for its codes, where the file says so."""


def open_table(file: IO[bytes], name: str, *, sheet: str | None = None) -> Table:
    """Open a table; the ending of its name tells the format.

    Args:
        file: the file, open for reading and seekable.
        name: its name.
        sheet: sheet of a workbook; its first where absent.

    Raises:
        SpecError: the format is not known, the file is torn, or a column has no name of its own.
        SiteError: the extra that reads the format is not installed.
    """
    read = _READERS.get(PurePosixPath(name).suffix.lower())
    if read is None:
        old = name.lower().endswith((".xls", ".xlsb"))
        hint = "open it and save it as `.xlsx`" if old else "save it as CSV, or name a file of one of these"
        raise SpecError(f"`{name}` is no table that can be read; tables are {', '.join(FORMATS)}", hint=hint)
    if sheet is not None and read is not _workbook:
        raise SpecError(f"`{name}` has no sheets", hint="leave `sheet` out; workbooks alone have them")
    file.seek(0)
    table = _guarded(read, file, name=name, sheet=sheet)
    _refuse_names(table.columns, name)
    return table._replace(rows=_told(table.rows, name))


def _guarded(read: "_Reader", file: IO[bytes], *, name: str, sheet: str | None) -> Table:
    try:
        return read(file, name, sheet=sheet)
    except ImportError as err:
        raise _lacks(name, err) from err
    except (SpecError, SiteError):
        raise
    except Exception as err:
        raise _unreadable(name, err) from err


def _told(rows: Iterator[TableRow], name: str) -> Iterator[TableRow]:
    try:
        yield from rows
    except (SpecError, SiteError):
        raise
    except Exception as err:
        raise _unreadable(name, err) from err


def _unreadable(name: str, err: Exception) -> SpecError:
    fact = one_line(str(err))[:200] or type(err).__name__
    problem = Problem(f"cannot be read: {fact[:1].lower()}{fact[1:]}", place=name, hint=_TORN)
    return SpecError(f"`{name}` cannot be read", problems=[problem])


def _lacks(name: str, err: ImportError) -> SiteError:
    fact = f"reading `{PurePosixPath(name).suffix}` needs `{err.name}`, which is not installed"
    return SiteError(fact, hint="pip install 'cruijff-kit[tables]', or save the table as CSV")


def _refuse_names(columns: Sequence[str], name: str) -> None:
    hint = "give every column a name of its own in the first row, or where the table was made"
    problems = [
        Problem(f"column {at} has no name", place=name, hint=hint) for at, column in enumerate(columns, 1) if not column
    ]
    twice = dict.fromkeys(column for column in columns if column and columns.count(column) > 1)
    problems += [Problem(f"two columns are named `{column}`", place=name, hint=hint) for column in twice]
    if not columns:
        problems.append(Problem("it has no columns", place=name, hint=hint))
    if problems:
        raise SpecError(f"`{name}` is no table with named columns", problems=problems)


def _comma(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    return _delimited(file, name, delimiter=",")


def _tab(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    return _delimited(file, name, delimiter="\t")


def _delimited(file: IO[bytes], name: str, *, delimiter: str) -> Table:
    lines = csv.reader(_lines(file, name), delimiter=delimiter, strict=True)
    columns = tuple(one_line(cell) for cell in next(lines, ()))
    return Table(columns, _records(lines, name, width=len(columns)))


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8" if number > 1 else "utf-8-sig")
        except UnicodeDecodeError as err:
            fact, hint = f"it is not UTF-8: {err.reason}", "save it as UTF-8"
            problem = Problem(fact, place=f"{name}:{number}", hint=hint)
            raise SpecError(f"`{name}` cannot be read", problems=[problem]) from err


def _records(lines: Any, name: str, *, width: int) -> Iterator[TableRow]:
    for cells in lines:
        if len(cells) == width:
            yield _one_lines(cells)
        elif cells:
            fact = f"a row of {len(cells)} cells under {width} columns"
            hint = "quote cells that hold the separator, and end every row with its last cell"
            problem = Problem(fact, place=f"{name}:{lines.line_num}", hint=hint)
            raise SpecError(f"`{name}` cannot be read", problems=[problem])


def _one_lines(cells: list[str]) -> list[str]:
    """Return every cell on one line; a row with nothing to mend is looked at as a whole, which wide tables need."""
    row = "".join(cells)
    if row.isprintable() and "  " not in row:
        return [cell.strip() for cell in cells]
    return [one_line(cell) for cell in cells]


def _zipped(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    archive = zipfile.ZipFile(file)
    members = sorted(each for each in archive.namelist() if each.lower().endswith(".csv") and "__MACOSX" not in each)
    if not members:
        hint = "name an archive with a CSV file in it, or unpack it and name the table"
        raise SpecError(f"`{name}` holds no `.csv`", hint=hint)
    tables = [_comma(archive.open(each), f"{name}/{each}", sheet=None) for each in members]
    odd = [each for each, table in zip(members, tables, strict=True) if table.columns != tables[0].columns]
    if odd:
        hint = "unpack it and name one of them"
        raise SpecError(f"`{odd[0]}` in `{name}` has other columns than `{members[0]}`", hint=hint)
    return Table(tables[0].columns, chain.from_iterable(table.rows for table in tables))


def _parquet(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    schema = opened.schema_arrow
    narrow = [str(kind) in {"float", "halffloat"} for kind in schema.types]

    def rows() -> Iterator[TableRow]:
        for batch in opened.iter_batches(batch_size=_BATCH):
            columns = [_cells(column, narrow=thin) for column, thin in zip(batch.columns, narrow, strict=True)]
            yield from zip(*columns, strict=True)

    return Table(tuple(schema.names), rows())


def _cells(column: Any, *, narrow: bool) -> list[str]:
    """Return the cells of a column; single precision is spelt by its own digits, not by those of its double."""
    if not narrow:
        return [cell_text(value) for value in column.to_pylist()]
    import numpy as np

    return ["" if value is None else cell_text(float(str(np.float32(value)))) for value in column.to_pylist()]


def _stata(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    from pandas.io.stata import StataReader

    # The file belongs to whoever opened it, so the reader is never left.
    reader = ExitStack().enter_context(StataReader(file, convert_categoricals=False, chunksize=_BATCH))
    # Labels are read from the end of the file: before the rows, which a reader reads on from.
    words = {
        key: {cell_text(code): one_line(text) for code, text in codes.items()}
        for key, codes in reader.value_labels().items()
    }
    labels = {column: one_line(text) for column, text in reader.variable_labels().items() if text}
    first = next(reader, None)
    columns = tuple(labels if first is None else first.columns)
    frames = chain([] if first is None else [first], reader)
    # Which column a set of labels belongs to, pandas keeps to itself.
    named = {
        column: words[label] for column, label in zip(reader._varlist, reader._lbllist, strict=True) if label in words
    }
    return Table(columns, _frames(frames), labels, named)


def _sas(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    import pandas as pd

    reader = pd.read_sas(file, format="sas7bdat", encoding="infer", chunksize=_BATCH)
    first = next(reader)
    return Table(tuple(map(str, first.columns)), _frames(chain([first], reader)))


def _transport(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    import pandas as pd

    reader: Any = pd.read_sas(file, format="xport", encoding="utf-8", chunksize=_BATCH)
    # A transport file tells a date by its format alone, and counts days.
    dates = {
        field["name"].decode()
        for field in reader.fields
        if _DATE_FORMAT.match(field["nform"].decode("ascii", "replace"))
    }
    first = next(reader)
    frames = (_mended(frame, dates) for frame in chain([first], reader))
    return Table(tuple(map(str, first.columns)), _frames(frames))


def _mended(frame: Any, dates: set[str]) -> Any:
    """Return a frame with its zeros, which pandas reads as the least IBM number, and its days as dates."""
    import pandas as pd

    numbers = {name: column.mask(column == _IBM_ZERO, 0.0) for name, column in frame.items() if column.dtype == float}
    days = {name: pd.to_timedelta(numbers[name], unit="D") + pd.Timestamp(1960, 1, 1) for name in dates}
    return frame.assign(**{**numbers, **days})


def _frames(frames: Iterator[Any]) -> Iterator[TableRow]:
    """Yield the rows of data frames, each value as Python's own."""
    for frame in frames:
        columns = [_series(frame[column]) for column in frame.columns]
        yield from zip(*columns, strict=True)


def _series(series: Any) -> list[str]:
    kind = str(series.dtype)
    if kind == "float32":
        return [cell_text(float(str(value))) for value in series.to_numpy()]
    if kind.startswith("datetime"):
        return [
            "" if value is None else cell_text(value.to_pydatetime())
            for value in series.astype(object).where(series.notna(), None)
        ]
    return [cell_text(value) for value in series.tolist()]


def _workbook(file: IO[bytes], name: str, *, sheet: str | None) -> Table:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    names = book.sheetnames
    if sheet is not None and sheet not in names:
        fact = f"`{name}` has no sheet `{sheet}`; it has {', '.join(f'`{each}`' for each in names)}"
        raise SpecError(fact, hint="mend `sheet`")
    found: Any = book[sheet] if sheet is not None else book[names[0]]
    lines = found.iter_rows(values_only=True)
    head = [cell_text(cell) for cell in next(lines, ())]
    while head and not head[-1]:
        head.pop()
    return Table(tuple(head), _sheet_rows(lines, len(head)))


def _sheet_rows(lines: Iterator[Sequence[Any]], width: int) -> Iterator[TableRow]:
    """Yield rows that hold anything: a sheet goes on below what was ever formatted."""
    for cells in lines:
        row = [cell_text(cell) for cell in cells[:width]]
        if any(row):
            yield row + [""] * (width - len(row))


class _Reader(Protocol):
    def __call__(self, file: IO[bytes], name: str, /, *, sheet: str | None) -> Table: ...


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        ".csv": _comma,
        ".tsv": _tab,
        ".zip": _zipped,
        ".parquet": _parquet,
        ".dta": _stata,
        ".sas7bdat": _sas,
        ".xpt": _transport,
        ".xlsx": _workbook,
    }
)
FORMATS = tuple(f"`{ending}`" for ending in _READERS)
"""Endings of the tables that can be read, as shown to people."""
