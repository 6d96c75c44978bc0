"""Rows of a data file one after the other, so that a file of any size is read in little memory.

For every file that `loaders` reads the rows, splits and their order are the same. CSV and a
bare JSON list are read too: rows go by their column `split`, or all are `train`.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from cruijff_kit.data.arrow_files import parquet_stream
from cruijff_kit.data.json_stream import json_rows, unique_keys
from cruijff_kit.data.json_text import WHOLE, half_character, told_of
from cruijff_kit.data.plain_values import kind_of
from cruijff_kit.errors import Problem, SpecError

__all__ = ["Streamed", "stream_rows"]

_UTF8 = "save the file as UTF-8"
_ROWS = "write every row as an object of its columns"


class Streamed(NamedTuple):
    """One row, or what is wrong with it."""

    row: Mapping[str, Any]
    """Columns; empty where the row is of no use."""
    place: str
    """Where it stands, as people look it up."""
    split: str = "train"
    """Its split."""
    number: int = 0
    """Its place in the split, from 0."""
    problem: Problem | None = None
    """What is wrong with it."""


class _Found(NamedTuple):
    """A value and where it stands, with its split where the file's layout tells."""

    value: Any
    place: str
    split: str | None = None


def stream_rows(file: IO[bytes], name: str) -> Iterator[Streamed]:
    """Yield the rows of a file in order; what is wrong with single ones is told, not raised.

    Args:
        file: the file, open for reading.
        name: its name, whose ending tells the format: `.json`, `.jsonl`, `.parquet` or `.csv`.

    Raises:
        SpecError: the file is torn, is of another format or is laid out otherwise.
        SiteError: the extra that reads the format is not installed.
    """
    numbers: Counter[str] = Counter()
    named: bool | None = None
    readers: dict[str, Callable[[IO[bytes], str], Iterator[_Found | Problem]]] = {
        ".jsonl": _lines,
        ".parquet": _parquet,
        ".csv": _csv,
    }
    for found in readers.get(PurePosixPath(name).suffix.lower(), _json)(file, name):
        if isinstance(found, Problem):
            yield Streamed({}, found.place, problem=found)
            continue
        if not isinstance(found.value, dict):
            fact = f"the row is {kind_of(found.value)}, not an object"
            yield Streamed({}, found.place, problem=Problem(fact, place=found.place, hint=_ROWS))
            continue
        row, split = found.value, found.split
        if split is None:
            named = "split" in row if named is None else named
            split = row.get("split") if named else "train"
            if named != ("split" in row) or not isinstance(split, str) or not split:
                yield Streamed({}, found.place, problem=_unnamed(found.place))
                continue
            row = {column: value for column, value in row.items() if column != "split"}
        yield Streamed(row, found.place, split, numbers[split])
        numbers[split] += 1


def _json(file: IO[bytes], name: str) -> Iterator[_Found | Problem]:
    for found in json_rows(file, name):
        yield _Found(found.value, found.place, found.split)


def _lines(file: IO[bytes], name: str) -> Iterator[_Found | Problem]:
    for number, line in enumerate(file, start=1):
        place = f"{name}:{number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            value = json.loads(text, object_pairs_hook=unique_keys) if text.strip() else None
            if half := half_character(text):
                yield Problem(half[0], place=place, hint=WHOLE)
            elif text.strip():
                yield _Found(value, place)
        except UnicodeDecodeError:
            yield Problem("the line is not UTF-8", place=place, hint=_UTF8)
        except (ValueError, RecursionError) as err:
            fact = f"{told_of(err)} at column {err.colno}" if isinstance(err, json.JSONDecodeError) else str(err)
            yield Problem(f"the line is not valid JSON: {fact}", place=place, hint="mend it")


def _parquet(file: IO[bytes], name: str) -> Iterator[_Found | Problem]:
    for number, row in enumerate(parquet_stream(file, name), start=1):
        yield _Found(row, f"{name}, row {number}")


def _csv(file: IO[bytes], name: str) -> Iterator[_Found | Problem]:
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        heads = next(reader, [])
        if not all(heads) or len(set(heads)) < len(heads) or not heads:
            fact = "the first line does not name every column once"
            raise _unusable(name, Problem(fact, place=f"{name}:1", hint="write the names of the columns there"))
        for cells in reader:
            place = f"{name}:{reader.line_num}"
            if len(cells) == len(heads):
                yield _Found(dict(zip(heads, cells, strict=True)), place)
            elif cells:
                fact = f"the row has {len(cells)} cells, and the first line names {len(heads)} columns"
                yield Problem(fact, place=place, hint="quote cells that hold commas or line ends")
    except csv.Error as err:
        raise _unusable(name, Problem(str(err), place=f"{name}:{reader.line_num}", hint="mend the line")) from err
    except UnicodeDecodeError as err:
        raise _unusable(name, Problem("it is not UTF-8", place=name, hint=_UTF8)) from err
    finally:
        # Whoever opened the file closes it.
        text.detach()


def _unnamed(place: str) -> Problem:
    hint = "name the split of every row, or of none"
    return Problem("the row names no split in its column `split`, or others do not", place=place, hint=hint)


def _unusable(name: str, problem: Problem) -> SpecError:
    return SpecError(f"`{name}` cannot be read", problems=[problem])
