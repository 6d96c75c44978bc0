"""Quoted figures: which files the numbers of a sentence come from."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.schema.report import Trace

__all__ = ["Figures", "Grounds", "constants_of", "labels_of"]

_NUMBER = re.compile(r"(?<![\w.])(?<!\w[-+])[-+\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w]|\.\d)")
_WORD = re.compile(r"[^\s,;:=()\[\]`/]+")


class Grounds(NamedTuple):
    """What numbers rest on that are no figures."""

    constants: Mapping[float, frozenset[str]]
    """Numbers that the design holds, each with the factors whose level it is; none for alpha and its complement."""
    design: tuple[str, ...]
    """Labels of the design."""
    counts: tuple[str, ...]
    """Labels of what is counted: the collected results, and the plan."""


class _Known(NamedTuple):
    """One value of a figure."""

    value: float
    place: int


class Figures:
    """Figures by their values, for finding those that a sentence quotes."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        """Sort the values and limits of all figures by size."""
        self._traces = traces
        values = (
            _Known(abs(float(value)), place)
            for place, each in enumerate(traces)
            for value in (each.value, each.low, each.high)
            if value is not None
        )
        self._known = sorted(values)
        self._values = [each.value for each in self._known]

    def quoted(self, number: str, words: frozenset[str], *, chosen: Sequence[int], scale: float = 1.0) -> int | None:
        """Return the place of the figure that a number is, rounded as it stands; None where there is none.

        Of several the one counts whose name shares most words with the sentence, and of those one
        that the sentence quoted before.

        Args:
            number: the number as it stands, without its unit.
            words: words of the sentence.
            chosen: places of the figures that the sentence quoted before.
            scale: what one of its units is, 0.01 for per cent.
        """
        digits = number.replace(",", "").lstrip("+-\u2212")
        mantissa, _, power = digits.lower().partition("e")
        value, half = scale * float(digits), scale * float(f"0.5e{int(power or 0) - len(mantissa.partition('.')[2])}")
        slack = half * (1 + 1e-9)
        first, last = bisect_left(self._values, value - slack), bisect_right(self._values, value + slack)
        places = dict.fromkeys(each.place for each in self._known[first:last])
        if not places:
            return None
        return max(places, key=lambda place: (self._shared(place, words), place in chosen, -place))

    def labels(self, places: Iterable[int]) -> tuple[str, ...]:
        """Return the labels of the files that figures were computed from."""
        return tuple(dict.fromkeys(label for place in places for label in self._traces[place].references))

    def _shared(self, place: int, words: frozenset[str]) -> int:
        return len(words & frozenset(_WORD.findall(self._traces[place].figure)))


def labels_of(sentence: str, figures: Figures, *, grounds: Grounds) -> tuple[str, ...]:
    """Return the labels of the files that the numbers of a sentence come from, figures first; none without a number.

    A number with decimals is a figure at its own rounding, or one of the design. A level of the design is one only
    where its factor is named, and no bound of a p-value is one. All others count what was planned or collected.
    """
    words, chosen = frozenset(_WORD.findall(sentence)), list[int]()
    others: dict[str, None] = {}
    for match in _NUMBER.finditer(sentence):
        number, follows = match.group(), sentence[match.end() : match.end() + 2]
        value = _plain(number) / (100 if follows.strip().startswith("%") else 1)
        below = sentence[: match.start()].endswith("< ")
        factors = None if below else grounds.constants.get(value)
        if factors is not None and (not factors or factors & words):
            others |= dict.fromkeys(grounds.design)
            continue
        place = figures.quoted(number, words, chosen=chosen) if "." in number and not below else None
        if place is None:
            others |= dict.fromkeys(grounds.counts)
        else:
            chosen.append(place)
    return tuple(dict.fromkeys((*figures.labels(chosen), *others)))


def _plain(number: str) -> float:
    return abs(float(number.replace(",", "").replace("\u2212", "-")))


def constants_of(levels: Mapping[str, Sequence[object]], alpha: float) -> dict[float, frozenset[str]]:
    """Return the numbers that a design holds: the levels of its factors, alpha, and the level of its intervals."""
    found: dict[float, frozenset[str]] = {}
    for name, each in levels.items():
        for level in each:
            if isinstance(level, int | float):
                found[float(level)] = found.get(float(level), frozenset()) | {name}
    return {**found, alpha: frozenset(), round(1 - alpha, 12): frozenset()}
