"""Tables of results compared value by value, whatever library wrote their bytes."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from math import isclose
from typing import Any

from cruijff_kit.schema.verification import Difference, Origin

__all__ = ["same_value", "table_differences", "value_count"]

_SAID = frozenset({"metric", "value", "n", "successes", "epoch", "seed", "correct", "confidence", "number", "abstain"})
"""Columns whose values may be shown; texts of samples may not, whatever their tier."""


def table_differences(path: str, shown: bytes, *, made: bytes, exact: bool = True) -> Iterator[Difference]:
    """Yield every value that differs between two tables of the same columns; bytes alone are no difference.

    Args:
        path: file that the first lies in.
        shown: its bytes.
        made: bytes of the table made anew.
        exact: whether the last bit counts, which other libraries may round otherwise.
    """
    before, after = _rows(shown), _rows(made)
    if before is None or after is None:
        yield Difference(kind="value", path=path, words="the file is damaged: no table can be read from it")
        return
    if len(before) != len(after):
        words = f"{len(before)} rows stand there, {len(after)} follow from the raw files"
        yield Difference(kind="value", path=path, shown=str(len(before)), made=str(len(after)), words=words)
        return
    for number, (row, anew) in enumerate(zip(before, after, strict=True), start=1):
        if row != anew:
            yield from _of_row(path, number, row=row, anew=anew, exact=exact)


def value_count(made: bytes) -> int:
    """Return how many values a table of ours holds."""
    from pyarrow import parquet

    facts = parquet.read_metadata(BytesIO(made))
    return facts.num_rows * len(parquet.read_schema(BytesIO(made)))


def _of_row(
    path: str, number: int, *, row: Mapping[str, Any], anew: Mapping[str, Any], exact: bool
) -> Iterator[Difference]:
    for column in dict.fromkeys((*row, *anew)):
        if same_value(row.get(column), anew.get(column), exact=exact):
            continue
        said = column in _SAID
        shown, made = (repr(each.get(column)) if said else "" for each in (row, anew))
        source = Origin(file=anew["source"], sha256=anew.get("source_sha256")) if anew.get("source") else None
        words = f"`{shown}` stands there, `{made}` follows" if said else "another value follows"
        yield Difference(
            kind="value",
            path=path,
            place=f"row {number}, column {column}",
            shown=shown,
            made=made,
            origins=() if source is None else (source,),
            words=f"{words} from the raw files",
        )


def same_value(shown: object, made: object, *, exact: bool) -> bool:
    """Return whether two values are one; where not exact, but for the last bits, which libraries round otherwise."""
    if exact or not (isinstance(shown, float) and isinstance(made, float)):
        return shown == made
    return isclose(shown, made, rel_tol=1e-9, abs_tol=1e-12)


def _rows(content: bytes) -> Sequence[Mapping[str, Any]] | None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(BytesIO(content)).to_pylist(maps_as_pydicts="strict")
    except (pa.ArrowException, OSError, ValueError, TypeError):
        return None
