"""How many rows a second a table is told in words and written, and how much memory that takes at the peak.

Each format and size in a process of its own, from a file on disk to the data set on disk, by the verb behind
`ck data from-table`; for `acs` by the one behind `ck data acs`. Ten times the rows may take a little more memory,
not ten times: what is kept of a row is a few bytes.

    python benchmarks/tables.py [--rows 1000000] [--formats csv,parquet,acs]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cruijff_kit.cli.world import enter
from cruijff_kit.ports import World
from cruijff_kit.workflow.made_rows import make_rows, make_stand_in
from cruijff_kit.workflow.tables import tell_table

FORMATS = ("csv", "parquet", "acs")
PEAK_LIMIT = 400.0
"""Megabytes of memory that a million rows may take at the peak."""
SCHEMA = """\
schema_version: 1
variables:
  age: {display_name: age, type: integer, unit: years}
  sex: {display_name: sex, type: category, value_map: {1: male, 2: female}}
  town: {display_name: place of living, type: text}
  grade: {display_name: grade, type: number, decimals: 1}
  income: {display_name: income, type: integer}
"""


def rows(count: int) -> Iterator[tuple[int, int, str, float, int]]:
    """Yield made-up rows, all different."""
    for n in range(count):
        yield 18 + n % 80, 1 + n % 2, f"Town {n}", n % 37 / 10, 1000 + 37 * n % 9000


def write_csv(place: Path, count: int) -> Path:
    """Write the rows as CSV."""
    with place.open("w", encoding="utf-8") as file:
        file.write("age,sex,town,grade,income\n")
        file.writelines(f"{age},{sex},{town},{grade},{income}\n" for age, sex, town, grade, income in rows(count))
    return place


def write_parquet(place: Path, count: int) -> Path:
    """Write the rows as Parquet, some thousands at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    names = ("age", "sex", "town", "grade", "income")
    kinds = (pa.int16(), pa.int8(), pa.string(), pa.float64(), pa.int32())
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with parquet.ParquetWriter(place, schema) as writer:
        batch: list[Any] = []
        for at, row in enumerate(rows(count), 1):
            batch.append(row)
            if len(batch) == 10_000 or at == count:
                columns = [list(each) for each in zip(*batch, strict=True)]
                writer.write_table(pa.table(dict(zip(names, columns, strict=True)), schema=schema))
                batch = []
    return place


def told(kind: str, count: int, *, world: World) -> tuple[int, float, int]:
    """Return (rows written, seconds, times that progress was told) of one table, written beforehand."""
    root, calls = world.store.root, list[object]()

    def progress(*told: object) -> None:
        calls.append(told)

    if kind == "acs":
        make_stand_in("persons.csv", people=count, world=world)
        start = time.perf_counter()
        sizes = {"train": count // 100, "validation": 50, "test": 50}
        made = make_rows(
            "acs", {"task": "ACSEmployment", "source": "persons.csv", **sizes}, progress=progress, world=world
        )
        return sum(made.splits.values()), time.perf_counter() - start, len(calls)
    (root / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    write = write_csv if kind == "csv" else write_parquet
    source = write(root / f"table.{kind}", count)
    start = time.perf_counter()
    arguments = {"source": source.name, "schema_file": "schema.yaml", "target": "income", "threshold": 5000}
    receipt = tell_table(arguments, progress=progress, world=world)
    return sum(receipt.splits.values()), time.perf_counter() - start, len(calls)


def measure(kind: str, count: int) -> dict[str, float]:
    """Return seconds, rows a second and peak memory of one table, in a process of its own."""
    words = [sys.executable, __file__, "--child", kind, "--rows", str(count)]
    done = subprocess.run(words, check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout.splitlines()[-1])


def child(kind: str, count: int) -> dict[str, float]:
    """Return the figures of one table, told in this process."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench").mkdir()
        written, seconds, calls = told(kind, count, world=enter(f"{folder}/bench"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"written": written, "seconds": seconds, "rows_a_second": count / seconds, "peak_mb": peak, "calls": calls}


def main() -> int:
    """Run as a script, and return its exit status."""
    parser = argparse.ArgumentParser(description="Measure how fast tables are told.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--child", default="")
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.child, asked.rows)))
        return 0
    failed = False
    for kind in asked.formats.split(","):
        few, many = (measure(kind, count) for count in (asked.rows // 10, asked.rows))
        growth = (many["peak_mb"] - few["peak_mb"]) * 2**20 / (asked.rows * 0.9)
        failed = failed or many["peak_mb"] > PEAK_LIMIT
        print(
            f"{kind:8} {asked.rows:>9,} rows  {many['rows_a_second']:>8,.0f} rows/s  {many['seconds']:6.1f} s  "
            f"peak {many['peak_mb']:.0f} MB ({few['peak_mb']:.0f} MB for a tenth, {growth:.0f} bytes a row)  "
            f"progress told {many['calls']:.0f} times"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
