"""Numbers in answers: the first one, its unit, and what is not one for certain."""

import re
from math import isfinite
from typing import NamedTuple

__all__ = ["FoundNumber", "find_number"]

# A number starts no word and continues none: `H2O` and `v1.5` hold none.
_CANDIDATE = re.compile(
    r"""(?<![\w.,])
    (?P<sign>[-+\u2212])?
    (?P<money>[$\u20ac\u00a3\u00a5])?
    (?P<inner>[-+\u2212])?
    (?P<digits>(?:\d[\d,.'\u2019_\u00a0\u202f]*)?\d|\.\d+)
    (?P<power>[eE][-+\u2212]?\d+)?
    \s?(?P<unit>%|[$\u20ac\u00a3\u00a5])?
    (?![\d])""",
    re.VERBOSE | re.ASCII,
)
_PLAIN = re.compile(r"\d+(?:\.\d+)?|\.\d+", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?P<mark>[,'\u2019_\u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*(?:\.\d+)?", re.ASCII)
_MARKS = str.maketrans("", "", ",'\u2019_\u00a0\u202f")
_MINUS = "\u2212"


class FoundNumber(NamedTuple):
    """The first number of a text, or why there is none."""

    value: float | None
    """The number as written: 12 for `12 %`; None where there is none for certain."""
    unit: str = ""
    """`%` or the sign of a currency beside it."""
    reason: str = ""
    """Why there is none, or what to know of how it was read."""


def find_number(text: str) -> FoundNumber:
    """Return the first number of a text.

    Read are signs, thousands separators, exponents, per cent and currencies. Digits that
    can mean two numbers, such as `1,5`, are none: a guess would pass for an answer.
    """
    found = list(_CANDIDATE.finditer(text))
    if not found:
        return FoundNumber(None, reason="the answer holds no number")
    first = found[0]
    digits = first["digits"]
    if not (_PLAIN.fullmatch(digits) or _GROUPED.fullmatch(digits)):
        return FoundNumber(None, reason=f"`{digits[:40]}` can be read as more than one number")
    power = (first["power"] or "").replace(_MINUS, "-")
    size = float(digits.translate(_MARKS) + power)
    if not isfinite(size):
        return FoundNumber(None, reason=f"`{digits[:40]}{power[:20]}` is too large a number")
    below = [first[name] for name in ("sign", "inner") if first[name] in {"-", _MINUS}]
    unit = first["money"] or first["unit"] or ""
    notes = [f"read as {unit}"] if unit else []
    notes += [f"the first of {len(found)} numbers"] if len(found) > 1 else []
    return FoundNumber(-size if len(below) == 1 else size, unit, "; ".join(notes))
