"""The numbers of a lesson: each must be one that a cited figure holds."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from cruijff_kit.errors import Problem
from cruijff_kit.schema.lesson import Evidence
from cruijff_kit.schema.spec import Factors

__all__ = ["Unheld", "number_problems", "unheld_numbers"]

# Thousands first, or their commas would end the number. A sign counts where nothing stands before it.
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.)\]%])[-+])?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?P<power>[eE][-+]?\d{1,3}\b)?"
    r"(?P<percent>\s*(?:%|percent\b|percentage points?\b|points?\b))?"
)
# Letters and digits that are one word, such as `rank16` or `H100`.
_WORD = re.compile(r"[A-Za-z_]+[A-Za-z_]*\d+[A-Za-z_]*(?![\w.]*\.\d)")
_MINUS = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-"})
_COARSEST = Decimal("0.1")


class Unheld(NamedTuple):
    """A number of a text that no cited figure holds."""

    number: str
    """The number as it stands, without its unit."""
    scale: float
    """What one of its units is: 0.01 where it is in per cent."""
    shown: str
    """The number as problems show it."""
    problem: Problem
    """What is wrong with it."""


class _Held(NamedTuple):
    """A value that a cited figure holds."""

    value: Decimal
    told: str
    exact: bool = False


def number_problems(
    text: str, evidence: Sequence[Evidence], *, names: Iterable[str], factors: Factors
) -> list[Problem]:
    """Return a problem for each number of a text that no cited figure holds; empty where all are held.

    A number is held where it is a figure's value or limit at the number's own rounding, as it
    stands or in percent, or the figure's count. It must tell the value to a tenth of it, so that
    `1` is no rounding of 0.62. Levels count right behind their factor's name, as in `lora_rank 16`.

    Args:
        text: the lesson.
        evidence: figures it cites.
        names: names of runs, models, tasks and figures, whose digits are no numbers.
        factors: what the design varies.
    """
    return [each.problem for each in unheld_numbers(text, evidence, names=names, factors=factors)]


def unheld_numbers(text: str, evidence: Sequence[Evidence], *, names: Iterable[str], factors: Factors) -> list[Unheld]:
    """Return the numbers of a text of which `number_problems` tells."""
    plain = unicodedata.normalize("NFKC", text).translate(_MINUS)
    held = list(_held(evidence))
    found = _NUMBER.finditer(_without(plain, names, factors=factors))
    return [each for match in found for each in _unheld(match, held)]


def _held(evidence: Sequence[Evidence]) -> Iterator[_Held]:
    for each in evidence:
        for part in ("value", "low", "high"):
            value = getattr(each, part)
            if value is not None:
                yield _Held(Decimal(repr(float(value))), f"{part} of `{each.figure}`")
        if each.n is not None:
            yield _Held(Decimal(each.n), f"n of `{each.figure}`", exact=True)


def _without(text: str, names: Iterable[str], *, factors: Factors) -> str:
    """Return a text without the names in it, and without levels that stand behind their factor."""
    for name in sorted({each for each in names if each}, key=len, reverse=True):
        # Most runs are not named in a line, and a pattern of each would be compiled for every one.
        if name in text:
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", " ", text)
    for factor, levels in factors.items():
        told = "|".join(re.escape(form) for form in sorted(_forms(levels), key=len, reverse=True))
        text = (
            re.sub(rf"(?<!\w){re.escape(factor)}`?(?: ?= ?|: ?| )`?(?:{told})(?!\w|\.\w)", " ", text) if told else text
        )
    return _WORD.sub(" ", text)


def _forms(levels: Iterable[object]) -> set[str]:
    forms = {str(level) for level in levels}
    numbers = [float(level) for level in levels if isinstance(level, int | float) and not isinstance(level, bool)]
    powers = {f"{number:.0e}" for number in numbers if float(f"{number:.0e}") == number}
    return forms | {f"{number:g}" for number in numbers} | powers | {each.replace("e-0", "e-") for each in powers}


def _unheld(match: re.Match[str], held: Sequence[_Held]) -> Iterator[Unheld]:
    told = f"{match['sign'] or ''}{match['digits'].replace(',', '')}{match['power'] or ''}"
    try:
        number = Decimal(told)
    except InvalidOperation:
        number = Decimal("NaN")
    scale = Decimal("0.01") if match["percent"] else Decimal(1)
    if number.is_nan() or not any(_equal(number, each, scale=scale) for each in held):
        shown = match.group().strip()[:40]
        yield Unheld(told, float(scale), shown, _problem(shown, number * scale, held=held))


def _equal(number: Decimal, held: _Held, *, scale: Decimal) -> bool:
    """Return whether a number is a value at the number's own rounding."""
    if held.exact:
        return scale == 1 and number == held.value
    exponent = number.as_tuple().exponent
    half = Decimal(1).scaleb(int(exponent)) * scale / 2
    apart = abs(number * scale - held.value)
    return apart == 0 or (apart <= half <= _COARSEST * abs(held.value))


def _problem(shown: str, number: Decimal, *, held: Sequence[_Held]) -> Problem:
    fact = f"`{shown}` is the value, limit or count of no figure that is cited"
    if not held or number.is_nan():
        return Problem(fact, hint="cite the figure that holds it; `ck results` lists them")
    near = min(held, key=lambda each: abs(each.value - number))
    hint = f"nearest is {float(near.value):.6g}, {near.told}; cite the figure that holds it, or write a setting "
    return Problem(fact, hint=hint + "behind its name, such as `lora_rank 16`")
