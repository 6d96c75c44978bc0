"""Taking away what a page shows: tables as CSV or JSON, curves as a page of their own."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from cruijff_kit.ui.words import shown

__all__ = ["csv_text", "json_text", "offer", "offer_page"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def offer(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Offer rows as CSV and as JSON; neither is made before it is asked for."""
    left, right, _ = st.columns([1, 1, 6])
    left.download_button(
        "CSV", lambda: csv_text(rows), f"{name}.csv", "text/csv", key=f"csv_{name}", on_click="ignore", width="stretch"
    )
    right.download_button(
        "JSON", lambda: json_text(rows), f"{name}.json", "application/json", key=f"json_{name}", on_click="ignore",
        width="stretch",
    )  # fmt: skip


def offer_page(name: str, *, make: Callable[[], str]) -> None:
    """Offer curves as one HTML file that needs nothing else to be looked at."""
    st.download_button(
        "HTML", lambda: make().encode(), f"{name}.html", "text/html", key=f"html_{name}", on_click="ignore"
    )


def csv_text(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as CSV, a column a key, in the order in which keys first occur; no cell can be a formula."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    held = io.StringIO()
    writer = csv.DictWriter(held, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return held.getvalue().encode()


def json_text(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a JSON array."""
    told = [{name: shown(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = shown(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
