"""Croissant: a generated data set described for other tools, file, hash, splits and columns."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cruijff_kit.schema.data import DatasetFacts

__all__ = ["Origins", "croissant_text"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KINDS = ((bool, "sc:Boolean"), (int, "sc:Integer"), (float, "sc:Float"), (str, "sc:Text"))
# Terms of Croissant 1.1 that the description below uses, as its specification writes them.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class Origins(NamedTuple):
    """Where a data set comes from, and under which terms it is given."""

    experiment: str | None
    """Name of the experiment; None for data that belong to none."""
    created: str
    """ISO-8601 date of its design, or of the description."""
    license: str
    """A URL, or words."""
    creators: tuple[str, ...]
    """People."""


def croissant_text(
    facts: DatasetFacts, splits: Mapping[str, Sequence[Mapping[str, Any]]], *, origins: Origins
) -> bytes:
    """Return the Croissant 1.1 description of a generated data set; it holds names of columns and no cell.

    A column is described where every row of its split has it and holds one plain value there: a path into rows
    that lack it would shift the others.

    Args:
        facts: what the data set is.
        splits: its rows.
        origins: where it comes from.
    """
    told: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.key,
        "description": _about(facts, origins),
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "version": _version(facts.generator_version),
        "license": origins.license,
        "datePublished": origins.created,
        "citeAs": f"{facts.key}, data set{_of(origins)}, sha256 {facts.sha256}",
        "url": PurePosixPath(facts.path).name,
        "creator": [{"@type": "sc:Person", "name": name} for name in origins.creators],
        "distribution": [_file(facts, split) for split, rows in splits.items() if rows],
        "recordSet": [_records(split, rows) for split, rows in splits.items() if rows],
    }
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def _about(facts: DatasetFacts, origins: Origins) -> str:
    rows = ", ".join(f"{count} {split}" for split, count in facts.splits.items())
    made = f"generator {facts.generator}, version {facts.generator_version}"
    arguments = json.dumps(facts.arguments, sort_keys=True, ensure_ascii=False)
    return f"Rows{_of(origins)}: {rows}. Made by {made}, with {arguments}."


def _of(origins: Origins) -> str:
    return "" if origins.experiment is None else f" of the experiment {origins.experiment}"


def _version(generator: str | None) -> str:
    """Return a generator's version as three numbers, which the format asks for."""
    parts = [part for part in (generator or "").split(".") if part.isdigit()]
    return ".".join((parts + ["0"] * 3)[:3])


def _file(facts: DatasetFacts, split: str) -> dict[str, Any]:
    """Return the data set's file as one split needs it: readers take all columns of a file to be equally long."""
    return {
        "@type": "cr:FileObject",
        "@id": f"{split}-file",
        "name": f"{split}-file",
        "description": f"The file of all splits, a list of rows each; here for the split {split}",
        "contentUrl": PurePosixPath(facts.path).name,
        "contentSize": f"{facts.bytes} B",
        "encodingFormat": "application/json",
        "sha256": facts.sha256,
    }


def _records(split: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fields = list(_fields(split, rows))
    known = {field["name"] for field in fields}
    left = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in known]
    note = f" Not described, as not every row has one plain value there: {', '.join(left)}." if left else ""
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The {len(rows)} rows of the split {split}.{note}",
        "field": fields,
    }


def _fields(split: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for column in rows[0]:
        kind = _kind([row.get(column) for row in rows])
        if kind is not None:
            yield {
                "@type": "cr:Field",
                "@id": f"{split}/{column}",
                "name": column,
                "description": f"Column {column}",
                "dataType": kind,
                "source": {
                    "fileObject": {"@id": f"{split}-file"},
                    "extract": {"jsonPath": f"$.{_step(split)}[*].{_step(column)}"},
                },
            }


def _step(name: str) -> str:
    """Return a name as a step of a JSON path."""
    return name if _PLAIN.fullmatch(name) else f"'{name}'"


def _kind(values: list[Any]) -> str | None:
    """Return the type of a column's values; None where they are none, or of several types."""
    for kind, name in _KINDS:
        if all(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for value in values):
            return name
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return "sc:Float" if numbers else None
