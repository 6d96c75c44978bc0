"""One small table as a file of every format, made by the libraries of that format or byte by byte."""

import csv
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

from tests.sas_file import sas_bytes, transport_bytes

__all__ = ["COLUMNS", "ENDINGS", "TEXT_ROWS", "write_table"]

ENDINGS = (".csv", ".tsv", ".zip", ".parquet", ".dta", ".xlsx", ".sas7bdat", ".xpt")
COLUMNS = ("age", "score", "city", "born", "code")
_CITIES = ("Ohio", "Zürich", "{{7*7}}", 'a "quoted", one', None)
_ROWS = [
    (
        None if n % 11 == 0 else 18 + n * 7 % 60,
        None if n % 7 == 3 else round(n / 10 - 3, 1),
        _CITIES[n % 5],
        date(1960 + n % 40, 1 + n % 12, 1 + n % 28),
        1 + n % 2,
    )
    for n in range(60)
]
TEXT_ROWS = [
    tuple("" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row)
    for row in _ROWS
]
"""What every reader makes of it."""


def write_table(folder: Path, ending: str) -> Path:
    """Write the table and return its file."""
    path = folder / f"people{ending}"
    if ending in {".csv", ".tsv"}:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="," if ending == ".csv" else "\t")
            writer.writerows([COLUMNS, *TEXT_ROWS])
    elif ending == ".zip":
        _archive(path)
    elif ending == ".parquet":
        _parquet(path)
    elif ending == ".dta":
        _stata(path)
    elif ending == ".xlsx":
        _workbook(path)
    else:
        counted = {name: [_days(cell) for cell in cells] for name, cells in _columns().items()}
        write = sas_bytes if ending == ".sas7bdat" else transport_bytes
        path.write_bytes(write(counted, formats={"born": "DATE"}))
    return path


def _archive(path: Path) -> None:
    """Write the table in two parts, and beside them what is none."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.pdf", b"%PDF")
        for name, rows in (("b.csv", TEXT_ROWS[40:]), ("a.csv", TEXT_ROWS[:40])):
            text = io.StringIO()
            csv.writer(text).writerows([COLUMNS, *rows])
            archive.writestr(name, text.getvalue())


def _columns() -> dict[str, list[Any]]:
    return dict(zip(COLUMNS, map(list, zip(*_ROWS, strict=True)), strict=True))


def _days(cell: Any) -> Any:
    return (cell - date(1960, 1, 1)).days if isinstance(cell, date) else cell


def _parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    # Single precision, whose double would be spelt otherwise.
    kinds = [pa.int16(), pa.float32(), pa.string(), pa.date32(), pa.int8()]
    parquet.write_table(pa.table(_columns(), schema=pa.schema(list(zip(COLUMNS, kinds, strict=True)))), path)


def _stata(path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(_columns()).astype({"score": "float32", "city": object, "code": "int8"})
    frame["born"] = pd.to_datetime(frame["born"])
    frame["city"] = frame["city"].fillna("")
    frame.to_stata(
        path,
        write_index=False,
        version=118,
        convert_dates={"born": "td"},
        variable_labels={"age": "age at interview"},
        value_labels={"code": {1: "man", 2: "woman"}},
    )


def _workbook(path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet: Any = book.active
    sheet.append(COLUMNS)
    for row in _ROWS:
        sheet.append(row)
    book.create_sheet("notes").append(["who"])
    book.save(path)
