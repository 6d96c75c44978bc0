"""Drawings as marks in pixels, and their SVG; plots are laid out once for screen and file."""

from collections.abc import Callable, Iterator
from html import escape
from math import floor, log10
from typing import Literal, NamedTuple

__all__ = ["Dot", "Drawing", "Label", "Mark", "Scale", "Stroke", "draw_svg", "ticks"]

_Point = tuple[float, float]


class Stroke(NamedTuple):
    """A line through points."""

    points: tuple[_Point, ...]
    """Pixels from the upper left."""
    role: str
    """Colour by meaning: `ink`, `muted`, `grid`, `base`, or `c0`, `c1`…"""
    width: float = 1.5
    """Pixels."""
    dashed: bool = False
    """Whether it is broken."""
    opacity: float = 1.0
    """From 0 to 1."""


class Dot(NamedTuple):
    """A round mark."""

    x: float
    """Pixels from the left."""
    y: float
    """Pixels from the top."""
    role: str
    """Colour by meaning."""
    radius: float = 4.0
    """Pixels."""
    hollow: bool = False
    """Whether only its rim is drawn."""
    title: str = ""
    """Told when a pointer rests on it."""


class Label(NamedTuple):
    """A line of text."""

    x: float
    """Pixels from the left."""
    y: float
    """Baseline, in pixels from the top."""
    text: str
    """The text."""
    role: str = "muted"
    """Colour by meaning."""
    anchor: Literal["start", "middle", "end"] = "start"
    """Which part of the text stands at `x`."""
    bold: bool = False
    """Whether it is set in bold."""


Mark = Stroke | Dot | Label
"""Anything a drawing is made of."""


class Drawing(NamedTuple):
    """A picture: marks in painting order."""

    name: str
    """File stem."""
    title: str
    """What it shows, for those who cannot see it."""
    width: float
    """Pixels."""
    height: float
    """Pixels."""
    marks: tuple[Mark, ...]
    """Painted in this order."""


class Scale(NamedTuple):
    """A linear map from values to pixels."""

    low: float
    """Value at `start`."""
    high: float
    """Value at `end`."""
    start: float
    """Pixel of the lowest value."""
    end: float
    """Pixel of the highest value."""

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return about `count` round values that lie in a range."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    magnitude = 10 ** floor(log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough * 0.999)
    first = -floor(-low / step + 1e-9)
    return [round(index * step, 12) for index in range(first, floor(high / step + 1e-9) + 1)]


def draw_svg(drawing: Drawing, *, described: str = "") -> str:
    """Return inline SVG whose colours are classes, for the page's style to set.

    Args:
        drawing: the picture.
        described: id of the element that says how to read it, for those who cannot see it.
    """
    width, height = _px(drawing.width), _px(drawing.height)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = "".join(_mark(mark) for mark in drawing.marks)
    title = escape(drawing.title)
    about = f' aria-describedby="{described}"' if described else ""
    return f'<svg class="plot" {size} role="img" aria-label="{title}"{about}>{body}</svg>'


def _mark(mark: Mark) -> str:
    draw: dict[type, Callable[..., str]] = {Stroke: _stroke, Dot: _dot, Label: _label}
    return draw[type(mark)](mark)


def _stroke(mark: Stroke) -> str:
    path = " ".join(f"{_px(x)},{_px(y)}" for x, y in mark.points)
    extra = "".join(_extras(mark))
    return f'<polyline class="s-{mark.role}" points="{path}" stroke-width="{_px(mark.width)}"{extra}/>'


def _extras(mark: Stroke) -> Iterator[str]:
    if mark.dashed:
        yield ' stroke-dasharray="2 4"'
    if mark.opacity < 1:
        yield f' opacity="{mark.opacity:g}"'


def _dot(mark: Dot) -> str:
    title = f"<title>{escape(mark.title)}</title>" if mark.title else ""
    kind = f"s-{mark.role} hollow" if mark.hollow else f"f-{mark.role}"
    return f'<circle class="{kind}" cx="{_px(mark.x)}" cy="{_px(mark.y)}" r="{_px(mark.radius)}">{title}</circle>'


def _label(mark: Label) -> str:
    weight = " b" if mark.bold else ""
    place = f'x="{_px(mark.x)}" y="{_px(mark.y)}" text-anchor="{mark.anchor}"'
    return f'<text class="f-{mark.role}{weight}" {place}>{escape(mark.text)}</text>'


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
