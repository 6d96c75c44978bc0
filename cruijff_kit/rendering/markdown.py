"""Markdown parts: tables and values on one line, safe whatever they hold."""

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["as_code", "as_text", "byte_size", "markdown_table"]


def as_text(value: Any) -> str:
    """Return a value on one line that ends no table cell and opens no comment."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<!--", "<!- -")


def as_code(value: Any) -> str:
    """Return a value as code; items of a list apart, nothing as `none`."""
    if isinstance(value, tuple | list):
        return ", ".join(as_code(item) for item in value) or "none"
    if value is None:
        return "none"
    text = as_text(str(value).lower() if isinstance(value, bool) else value).replace("`", "'")
    return f"`{text}`" if text else "empty"


def byte_size(count: int) -> str:
    """Return a number of bytes with three figures and a decimal unit."""
    size, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g} {units[0]}"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells must be safe already."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]
