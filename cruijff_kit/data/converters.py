"""Converters: splits written in another format, proven to read back to the same rows."""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from cruijff_kit.data.arrow_files import parquet_bytes
from cruijff_kit.data.formats import SPLITS, Content
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import Splits, row_text, write_splits
from cruijff_kit.errors import Problem, SpecError

__all__ = ["write_dataset"]

_ANY = Columns(None, None)


def write_dataset(splits: Splits, *, name: str) -> Content:
    """Return a data set's bytes in the format that a file's name asks for.

    A name in `.json` or `.jsonl` gives one such file, one in `.parquet` one table, and one
    without an ending a folder of parquet files. What is null counts as left out.

    Args:
        splits: rows by split.
        name: name of the file or folder to be.

    Raises:
        SpecError: the format cannot hold these splits or rows as they are.
        SiteError: the extra that writes the format is not installed.
    """
    plain = {split: [_without_nulls(row) for row in rows] for split, rows in splits.items()}
    content = _written(plain, name)
    try:
        back = load_splits(content, name=name, columns=_ANY)
    except SpecError as err:
        raise SpecError(f"`{name}` could not be read back", problems=err.problems, hint=err.hint) from err
    changed = [split for split in {*plain, *back} if _text(plain.get(split)) != _text(back.get(split))]
    if changed:
        fact = f"rows of split `{changed[0]}` would read back otherwise than they are"
        hint = "a table holds one kind of value a column: write `1` and `2.5` both as text, or keep JSON"
        raise SpecError(f"`{name}` cannot hold this data set", problems=[Problem(fact, place=name, hint=hint)])
    return content


def _written(splits: Splits, name: str) -> Content:
    suffix = PurePosixPath(name).suffix
    if suffix == ".json":
        return write_splits(splits)
    if suffix == ".jsonl":
        return "".join(f"{row_text(row)}\n" for row in _rows(splits, name)).encode()
    if suffix == ".parquet":
        return parquet_bytes(_rows(splits, name), name)
    if suffix:
        hint = "end it in `.json`, `.jsonl` or `.parquet`, or leave the ending out for a folder of parquet files"
        raise SpecError(f"`{name}` names no format that can be written", hint=hint)
    other = [split for split in splits if split not in SPLITS]
    if other:
        known = ", ".join(f"`{each}`" for each in SPLITS)
        fact = f"a folder of split files knows {known}, and there is `{other[0]}`"
        raise SpecError(fact, hint="write one `.json`, `.jsonl` or `.parquet` file: it holds any split")
    return {f"{split}.parquet": parquet_bytes(rows, f"{name}/{split}.parquet") for split, rows in splits.items()}


def _rows(splits: Splits, name: str) -> list[dict[str, Any]]:
    """Return the rows of all splits, the name of its split in each; left out where all rows train."""
    taken = [f"{split}[{index}]" for split, rows in splits.items() for index, row in enumerate(rows) if "split" in row]
    if taken:
        fact = f"row {taken[0]} has a column `split` of its own, which would be read as the name of its split"
        raise SpecError(f"`{name}` cannot hold this data set", problems=[Problem(fact, place=name)])
    if set(splits) == {"train"}:
        return [dict(row) for row in splits["train"]]
    return [{"split": split, **row} for split, rows in splits.items() for row in rows]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _text(rows: Any) -> str:
    """Return rows as text: equal only where every value is of the same kind too."""
    return json.dumps(rows, sort_keys=True, default=repr)
