"""Formats: the files of a data set to rows by split, each row with its place.

    words.json          one object: split name to list of rows; or a list of rows, or a single one
    words.jsonl         a row a line; its column `split` names the split, else all train
    words.parquet       the same as a table
    words/              train|validation|test.{json,jsonl,parquet}, or shards `train-00000-of-00002.parquet`
    words/              a Hugging Face data set, as `save_to_disk` writes it

The format is seen from names alone.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.arrow_files import arrow_rows, parquet_rows
from cruijff_kit.data.items import is_item
from cruijff_kit.data.json_text import list_lines, parse_json, parse_lines, read_text, row_lines
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.data import DataFormat

__all__ = [
    "SPLITS",
    "Content",
    "Part",
    "Parts",
    "content_sha256",
    "folder_sha256",
    "format_of",
    "is_data_file",
    "read_parts",
]

Content = bytes | Mapping[str, bytes]
"""A data set's bytes: of its file, or of a folder's data files by name relative to it."""

SPLITS = ("train", "validation", "test")
"""Splits that files of a folder are named by."""

_SUFFIXES: Mapping[str, DataFormat] = MappingProxyType({".json": "json", ".jsonl": "jsonl", ".parquet": "parquet"})
_SHARD = re.compile(r"(?P<split>.+?)(?:-(?P<number>\d{5})-of-(?P<count>\d{5}))?\.(?P<suffix>jsonl?|parquet)")
_MISNOMERS = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "validation"}
_DICT, _STATE = "dataset_dict.json", "state.json"


class Part(NamedTuple):
    """Rows of one split."""

    rows: list[Any]
    """The rows, not looked at yet."""
    place: Callable[[int], str]
    """Where the row at a position stands, as people look it up."""


Parts = dict[str, Part]
"""Split name to its rows."""


def is_data_file(name: str) -> bool:
    """Return whether a file of a data folder, by its name relative to it, is part of the data set.

    Hidden files, notes, and what `datasets` caches beside a saved data set are not.
    """
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in {*_SUFFIXES, ".arrow"} and not hidden and not path.name.startswith("cache-")


def folder_sha256(digests: Mapping[str, str]) -> str:
    """Return the hash of a data folder: SHA-256 over the lines `name sha256` of its data files in name order."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def content_sha256(content: Content) -> str:
    """Return the hash of a data set that was read, the same as of its file or folder on disk."""
    if not isinstance(content, Mapping):
        return hashlib.sha256(content).hexdigest()
    return folder_sha256({name: hashlib.sha256(each).hexdigest() for name, each in content.items()})


def format_of(content: Content, name: str) -> DataFormat:
    """Return a data set's format, seen from the names of its files.

    Raises:
        SpecError: a folder holds no data, or files of several formats.
    """
    if not isinstance(content, Mapping):
        return _SUFFIXES.get(PurePosixPath(name).suffix, "json")
    if _DICT in content or _STATE in content:
        return "arrow"
    endings = {PurePosixPath(file).suffix for file in content}
    found: list[DataFormat] = [form for suffix, form in _SUFFIXES.items() if suffix in endings]
    if len(found) == 1:
        return found[0]
    if not found:
        files = "name its files `train`, `validation` and `test`, ending in `.json`, `.jsonl` or `.parquet`"
        raise _refused(name, [Problem("the folder holds no data files", place=name, hint=files)])
    fact = f"the folder mixes formats: {', '.join(f'`{each}`' for each in found)}"
    raise _refused(name, [Problem(fact, place=name, hint="keep one format, and move the other files away")])


def read_parts(content: Content, name: str) -> Parts:
    """Return the rows of every split, each with its place.

    Raises:
        SpecError: a file is torn, or files and splits are laid out otherwise; lists every problem.
        SiteError: the extra that reads the format is not installed.
    """
    form = format_of(content, name)
    if isinstance(content, Mapping):
        return _saved(content, name) if form == "arrow" else _split_files(content, name)
    if form == "json":
        return _split_object(content, name)
    return _by_column(_flat(content, name, form=form), name)


def _split_object(content: bytes, name: str) -> Parts:
    text = read_text(content, name)
    value = parse_json(text, name)
    if isinstance(value, list):
        return _by_column(Part(value, lambda index: f"{name}:{list_lines(text)[index]}"), name)
    if isinstance(value, dict) and is_item(value):
        return {"train": Part([value], lambda _: f"{name}:1")}
    problems = _layout_problems(value, name)
    if problems:
        raise _refused(name, problems)
    lines: dict[tuple[str, int], int] = {}

    def place(split: str) -> Callable[[int], str]:
        def at(index: int) -> str:
            # Lines are counted when the first row is asked for: most files have nothing to tell of.
            lines.update(lines or row_lines(text))
            return f"{name}:{lines[split, index]}"

        return at

    return {split: Part(rows, place(split)) for split, rows in value.items()}


def _layout_problems(value: Any, name: str) -> list[Problem]:
    if not isinstance(value, dict):
        hint = 'wrap the rows as `{"train": [...], "test": [...]}`'
        return [Problem("the file holds neither an object of splits nor a list of rows", place=name, hint=hint)]
    hint = "give every split a list of rows, or remove it"
    problems = [
        Problem(f"split `{split}` holds {'an object' if isinstance(rows, dict) else 'no list'}", split, name, hint)
        for split, rows in value.items()
        if not isinstance(rows, list)
    ]
    return problems if value else [Problem("the file has no splits", place=name, hint=hint)]


def _flat(content: bytes, name: str, *, form: DataFormat) -> Part:
    """Return the rows of one file that is a list of them."""
    if form == "parquet":
        return _numbered(parquet_rows(content, name), name)
    text = read_text(content, name)
    if form == "jsonl":
        rows, lines = parse_lines(text, name)
        return Part(rows, lambda index: f"{name}:{lines[index]}")
    value = parse_json(text, name)
    if isinstance(value, dict) and is_item(value):
        return Part([value], lambda _: f"{name}:1")
    if not isinstance(value, list):
        hint = "a split file is a list of rows; one file with all splits is named by itself as `path`"
        raise _refused(name, [Problem("the file holds no list of rows", place=name, hint=hint)])
    return Part(value, lambda index: f"{name}:{list_lines(text)[index]}")


def _numbered(rows: list[Any], name: str) -> Part:
    return Part(rows, lambda index: f"{name}, row {index + 1}")


def _by_column(part: Part, name: str) -> Parts:
    """Return rows by their column `split`; all of them train where no row has it."""
    if not any(isinstance(row, dict) and "split" in row for row in part.rows):
        return {"train": part}
    found: dict[str, list[int]] = {}
    problems = []
    for index, row in enumerate(part.rows):
        split = row.get("split") if isinstance(row, dict) else None
        if not isinstance(split, str) or not split:
            hint = "name the split of every row, or of none"
            problems.append(Problem("the row names no split in its column `split`", "", part.place(index), hint))
        else:
            found.setdefault(split, []).append(index)
    problems += [
        _misnamed(split, f"split `{split}`", place=part.place(found[split][0]))
        for split in found
        if split in _MISNOMERS
    ]
    if problems:
        raise _refused(name, problems)
    return {split: _picked(part, chosen) for split, chosen in found.items()}


def _picked(part: Part, chosen: Sequence[int]) -> Part:
    rows = [{column: value for column, value in part.rows[at].items() if column != "split"} for at in chosen]
    return Part(rows, lambda index: part.place(chosen[index]))


def _split_files(content: Mapping[str, bytes], name: str) -> Parts:
    problems: list[Problem] = []
    shards: dict[str, list[str]] = {}
    for file in sorted(content):
        match = _SHARD.fullmatch(file)
        if match is None or match["split"] not in SPLITS:
            problems.append(_unknown_file(file, match["split"] if match else file, name=name))
        else:
            shards.setdefault(match["split"], []).append(file)
    problems += [problem for split, files in shards.items() for problem in _incomplete(split, files, name=name)]
    parts: Parts = {}
    for split in (each for each in SPLITS if each in shards):
        try:
            parts[split] = _joined([_file_part(content, file, name=name) for file in shards[split]])
        except SpecError as err:
            problems += err.problems
    if problems:
        raise _refused(name, problems)
    return parts


def _file_part(content: Mapping[str, bytes], file: str, *, name: str) -> Part:
    form = _SUFFIXES[PurePosixPath(file).suffix]
    return _flat(content[file], f"{name.rstrip('/')}/{file}", form=form)


def _joined(parts: Sequence[Part]) -> Part:
    """Return the rows of several files as those of one."""
    if len(parts) == 1:
        return parts[0]
    places = [(part, index) for part in parts for index in range(len(part.rows))]
    return Part([row for part in parts for row in part.rows], lambda at: places[at][0].place(places[at][1]))


def _unknown_file(file: str, split: str, *, name: str) -> Problem:
    place = f"{name.rstrip('/')}/{file}"
    if split in _MISNOMERS:
        return _misnamed(split, f"file `{file}`", place=place)
    known = ", ".join(f"`{each}`" for each in SPLITS)
    hint = f"rename it to one of {known} with its ending, move it away, or write all splits into one JSON file"
    return Problem(f"file `{file}` names no known split; known are {known}", place=place, hint=hint)


def _misnamed(split: str, what: str, *, place: str) -> Problem:
    known = ", ".join(f"`{each}`" for each in SPLITS)
    return Problem(
        f"{what} is called `{_MISNOMERS[split]}` here; known are {known}",
        place=place,
        hint=f"rename it to `{_MISNOMERS[split]}`",
    )


def _incomplete(split: str, files: Sequence[str], *, name: str) -> Iterator[Problem]:
    matches = [match for file in files if (match := _SHARD.fullmatch(file))]
    wanted = [f"{number:05}-of-{len(files):05}" for number in range(len(files))]
    found = [f"{match['number']}-of-{match['count']}" for match in matches]
    if found != wanted and not (len(matches) == 1 and matches[0]["count"] is None):
        fact = f"the files of split `{split}` are not one whole: {', '.join(f'`{file}`' for file in files)}"
        hint = "keep one file, or all its shards `-00000-of-…` and no other"
        yield Problem(fact, place=name, hint=hint)


def _saved(content: Mapping[str, bytes], name: str) -> Parts:
    """Return the rows of what `save_to_disk` wrote: of a data set, or of several by split."""
    if _DICT not in content:
        return _by_column(_stream(content, "", name=name), name)
    listed = parse_json(read_text(content[_DICT], f"{name}/{_DICT}"), f"{name}/{_DICT}")
    splits = listed.get("splits") if isinstance(listed, dict) else None
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        hint = "save the data set again with `save_to_disk`"
        raise _refused(name, [Problem(f"`{_DICT}` lists no splits", place=f"{name}/{_DICT}", hint=hint)])
    problems = [
        _misnamed(split, f"split `{split}`", place=f"{name}/{split}") for split in splits if split in _MISNOMERS
    ]
    parts: Parts = {}
    for split in splits:
        try:
            parts[split] = _stream(content, f"{split}/", name=name)
        except SpecError as err:
            problems += err.problems
    if problems:
        raise _refused(name, problems)
    return parts


def _stream(content: Mapping[str, bytes], folder: str, *, name: str) -> Part:
    shown, hint = f"{name.rstrip('/')}/{folder}", "save the data set again with `save_to_disk`"
    if f"{folder}{_STATE}" not in content:
        raise _refused(name, [Problem(f"`{_STATE}` is missing", place=f"{shown}{_STATE}", hint=hint)])
    state = parse_json(read_text(content[f"{folder}{_STATE}"], f"{shown}{_STATE}"), f"{shown}{_STATE}")
    try:
        files = [str(each["filename"]) for each in state["_data_files"]]
    except (KeyError, TypeError):
        raise _refused(name, [Problem("it lists no data files", place=f"{shown}{_STATE}", hint=hint)]) from None
    missing = [file for file in files if f"{folder}{file}" not in content]
    if missing:
        facts = [Problem(f"`{file}` is missing", place=f"{shown}{file}", hint=hint) for file in missing]
        raise _refused(name, facts)
    parts = [_numbered(arrow_rows(content[f"{folder}{file}"], f"{shown}{file}"), f"{shown}{file}") for file in files]
    return _joined(parts) if parts else _numbered([], shown)


def _refused(name: str, problems: Sequence[Problem]) -> SpecError:
    return SpecError(f"`{name}` is not a usable data set", problems=list(problems))
