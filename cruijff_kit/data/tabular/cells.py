"""Cells of a table as text: one spelling a value, whatever file, machine or library it comes from."""

import re
from datetime import date, datetime, time
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

__all__ = ["cell_text", "number_of", "number_text", "one_line"]

# Wide enough for every number that text of a sane length may hold.
_CONTEXT = Context(prec=400)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def cell_text(value: Any) -> str:
    """Return a cell as text, on one line; empty where there is none.

    Floats are written in as few digits as tell them apart, never with an exponent; a
    whole one has no point. Dates are ISO-8601, midnight left out.
    """
    if value is None or str(value) in {"nan", "NaT", "<NA>"}:
        return value if isinstance(value, str) else ""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _plain(Decimal(repr(value)) if isinstance(value, float) else value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return one_line(value.decode("utf-8", "replace"))
    return one_line(str(value))


def one_line(text: str) -> str:
    """Return a text with every run of blanks, line breaks and control characters as one space."""
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _BLANKS.sub(" ", text).strip()


def number_of(text: str) -> Decimal | None:
    """Return the number that a cell spells, in full; None where it spells none."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def number_text(number: Decimal, *, decimals: int | None = None) -> str:
    """Return a number as it is shown: no exponent, no idle zeros unless `decimals` asks for them."""
    if decimals is None:
        return _plain(number)
    rounded = number.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN, context=_CONTEXT)
    return format(rounded or abs(rounded), "f")


def _plain(number: Decimal) -> str:
    if not number.is_finite():
        return ""
    text = format(number.normalize(_CONTEXT), "f")
    return "0" if text == "-0" else text
