"""Plain values as JSON and YAML hold them: what one is in words, how it is written, and whether it is a number."""

from math import isfinite
from typing import Any

__all__ = ["as_written", "is_number", "kind_of"]

_KINDS = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; a truth value is none, and neither is one that no float can hold."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:
        return False


def kind_of(value: Any) -> str:
    """Return what a value is, in words."""
    fallback = "a number" if isinstance(value, int | float) else f"a {type(value).__name__}"
    return _KINDS.get(type(value), fallback)


def as_written(value: Any) -> str:
    """Return a single value as it stands in a file."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
