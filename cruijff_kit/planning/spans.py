"""Spans: values of ranges, evenly spaced or drawn, the same on every machine and in every year.

Draws come from SHA-256 and not from a library's generator, whose streams may change with
its version: a design must name the same runs whenever it is planned again.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from cruijff_kit.planning.run_ids import canonical_json
from cruijff_kit.schema.design_kinds import Dimension, LatinDesign, Level, Span
from cruijff_kit.schema.spec import Controls

__all__ = ["drawn_whole", "grid_levels", "latin_points", "level_at", "tidied"]

_DIGITS = 4
_TRIES = 200


def grid_levels(name: str, dimension: Dimension) -> tuple[Level, ...]:
    """Return the levels that a grid takes of a dimension, least first; each once, whole numbers rounded."""
    if not isinstance(dimension, Span):
        return dimension
    if dimension.step is not None:
        return tuple(_stepped(name, dimension, at=at) for at in range(_steps(dimension) + 1))
    count = dimension.points or 2
    levels = (level_at(name, dimension, share=at / (count - 1)) for at in range(count))
    return tuple(dict.fromkeys(levels))


def latin_points(design: LatinDesign) -> tuple[dict[str, Level], ...]:
    """Return the points of a Latin hypercube: one in each of `points` equal parts of every dimension.

    Where rounding made two points the same, all are drawn anew.

    Raises:
        ValueError: the dimensions have too few values for so many different points.
    """
    enough = math.prod(_count(name, each) for name, each in design.space.items()) >= design.points
    for attempt in range(_TRIES if enough else 0):
        columns = {name: _column(name, each, design=design, attempt=attempt) for name, each in design.space.items()}
        points = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if len({canonical_json(point) for point in points}) == len(points):
            return tuple(points)
    raise ValueError(f"the space has too few values for {design.points} different points")


def level_at(name: str, dimension: Dimension, *, share: float) -> Level:
    """Return the value that lies a share, from 0 to 1, of the way through a dimension."""
    if not isinstance(dimension, Span):
        return dimension[min(len(dimension) - 1, int(share * len(dimension)))]
    if dimension.step is not None:
        count = _steps(dimension) + 1
        return _stepped(name, dimension, at=min(count - 1, int(share * count)))
    low, high = float(dimension.low), float(dimension.high)
    value = math.exp(math.log(low) + share * math.log(high / low)) if dimension.log else low + share * (high - low)
    return tidied(name, dimension, value=value)


def tidied(name: str, dimension: Dimension, *, value: Any) -> Level:
    """Return a value of a dimension as people write it: on its step, whole, or with four digits; never outside."""
    if not isinstance(dimension, Span):
        return value
    if dimension.step is not None:
        return _stepped(name, dimension, at=min(_steps(dimension), round((value - dimension.low) / dimension.step)))
    if drawn_whole(name, dimension):
        return min(math.floor(dimension.high), max(math.ceil(dimension.low), round(value)))
    return min(float(dimension.high), max(float(dimension.low), float(f"{value:.{_DIGITS}g}")))


def drawn_whole(name: str, span: Span) -> bool:
    """Return whether only whole numbers are meant: as the control wants them, of others as the ends are written."""
    field = Controls.model_fields.get(name)
    if field is not None:
        return "float" not in str(field.annotation)
    return all(isinstance(each, int) for each in (span.low, span.high, span.step or 1))


def _count(name: str, dimension: Dimension) -> float:
    """Return how many values a dimension has."""
    if not isinstance(dimension, Span):
        return len(dimension)
    if dimension.step is not None:
        return _steps(dimension) + 1
    return math.floor(dimension.high) - math.ceil(dimension.low) + 1 if drawn_whole(name, dimension) else math.inf


def _steps(span: Span) -> int:
    """Return how many whole steps fit between the ends, what binary fractions lose given back."""
    return math.floor((span.high - span.low) / (span.step or 1) + 1e-9)


def _stepped(name: str, span: Span, *, at: int) -> Level:
    value = span.low + at * (span.step or 1)
    return round(value) if drawn_whole(name, span) else float(f"{value:.12g}")


def _column(name: str, dimension: Dimension, *, design: LatinDesign, attempt: int) -> Sequence[Level]:
    """Return a dimension's value at every point: its parts in an order of their own, a draw within each."""
    draws = _draws(f"latin {design.seed} {attempt} {name}")
    order = sorted(range(design.points), key=lambda part: (next(draws), part))
    return [level_at(name, dimension, share=(part + next(draws)) / design.points) for part in order]


def _draws(key: str) -> Iterator[float]:
    """Yield numbers from 0 to below 1 that depend on the key alone."""
    count = 0
    while True:
        digest = hashlib.sha256(f"{key} {count}".encode()).digest()
        yield int.from_bytes(digest[:7], "big") / 2**56
        count += 1
