"""Taking away what a page shows: tables as CSV or JSON, curves as a page of their own."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from cruijff_kit.ui.words import shown

__all__ = ["csv_text", "json_text", "offer"]

_Rows = Sequence[Mapping[str, Any]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def offer(name: str, rows: Callable[[], _Rows], *, page: Callable[[], str] | None = None) -> None:
    """Offer rows as CSV and as JSON, and curves as one HTML page; none is made before it is asked for.

    Args:
        name: what files are called.
        rows: makes the rows; asked only then, so that a file is never older than what is shown.
        page: makes the page, which needs nothing else to be looked at; None where there are no curves.
    """
    files: dict[str, tuple[str, Callable[[], bytes]]] = {
        "CSV": ("text/csv", lambda: csv_text(rows())),
        "JSON": ("application/json", lambda: json_text(rows())),
    }
    if page is not None:
        files["HTML"] = ("text/html", lambda: page().encode())
    for cell, (kind, (mime, make)) in zip(st.columns([1] * len(files) + [8 - len(files)]), files.items(), strict=False):
        key = f"{kind}_{name}"
        place = f"{name}.{kind.lower()}"
        cell.download_button(kind, make, place, mime, key=key, on_click="ignore", width="stretch")


def csv_text(rows: _Rows) -> bytes:
    """Return rows as CSV, a column a key, in the order in which keys first occur; no cell can be a formula."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    held = io.StringIO()
    writer = csv.DictWriter(held, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return held.getvalue().encode()


def json_text(rows: _Rows) -> bytes:
    """Return rows as a JSON array."""
    return (json.dumps(_told(rows), indent=1, ensure_ascii=False) + "\n").encode()


def _cell(value: Any) -> Any:
    told = _told(value)
    return f"'{told}" if isinstance(told, str) and told.startswith(_FORMULA) else told


def _told(value: Any) -> Any:
    """Return a value with every text in it as it may be shown."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {_told(name): _told(each) for name, each in value.items()}
    return [_told(each) for each in value] if isinstance(value, list | tuple) else value
