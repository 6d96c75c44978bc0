"""Texts that a model wrote of rows: lines of JSON, found by what the model was told.

    {"told_sha256": "9f2c…", "text": "A woman of 41 who …", "model": "tiny@1a2b3c4d5e6f"}

A row finds its text by the hash of its features as `dictionary` tells them: whoever wrote the text, here
or behind an API, and wherever the row stands. The file is an input like the table, hashed into the name of the data.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cruijff_kit.data.tabular.cells import one_line
from cruijff_kit.data.tabular.features import Feature
from cruijff_kit.data.tabular.styles import Style, dictionary
from cruijff_kit.errors import Problem, SpecError

__all__ = ["read_texts", "told_key", "told_text", "written"]

_SHOWN = 20


def told_text(features: Sequence[Feature]) -> str:
    """Return what a model is told of a row."""
    return "\n".join(dictionary(features))


def told_key(features: Sequence[Feature]) -> str:
    """Return the name of a row's text: the hash of what a model is told of it."""
    return hashlib.sha256(told_text(features).encode()).hexdigest()


def written(texts: Mapping[str, str], *, name: str) -> Style:
    """Return the style that gives each row the text that was written of it.

    Args:
        texts: by `told_key`.
        name: name of their file.
    """

    def told(features: Sequence[Feature]) -> list[str]:
        text = texts.get(told_key(features))
        if text is None:
            hint = "write what is missing with `ck data narrate`, of the same table, schema and features"
            raise SpecError(f"`{name}` lacks the text of a row", hint=hint)
        return [text]

    return told


def read_texts(content: bytes, *, name: str) -> dict[str, dict[str, Any]]:
    """Return lines by the hash of what was told; texts on one line, the first of a hash that is there twice.

    Raises:
        SpecError: a line is none of them.
    """
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            hint = 'write {"told_sha256": "…", "text": "…"}, as `ck data narrate` does'
            problems.append(Problem("no text of a row", "texts", f"{name}:{number}", hint=hint))
        else:
            found.setdefault(row["told_sha256"], {**row, "text": one_line(row["text"])})
        if len(problems) == _SHOWN:
            break
    if problems:
        raise SpecError(f"`{name}` holds no texts of rows", problems=problems)
    return found


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("told_sha256"), str):
        return None
    return row if isinstance(row.get("text"), str) and row["text"].strip() else None
