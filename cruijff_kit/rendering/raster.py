"""Drawings as PNG files, painted with matplotlib on a light ground."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from cruijff_kit.errors import SiteError
from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Stroke
from cruijff_kit.rendering.style import LIGHT

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["draw_png"]

_DPI = 200
# Drawings are measured in pixels of 96 to the inch, text in points of 72.
_PIXELS, _POINTS = 96.0, 0.75
_MARGIN = 24.0
_ALIGN: dict[str, Literal["left", "center", "right"]] = {"start": "left", "middle": "center", "end": "right"}


def draw_png(drawing: Drawing) -> bytes:
    """Return a PNG of twice the drawing's size; equal drawings give equal bytes.

    Raises:
        SiteError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("plots need `matplotlib`, which is not installed", hint=hint) from err
    width, height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    figure = Figure(figsize=(width / _PIXELS, height / _PIXELS), facecolor=LIGHT["paper"])
    # Drawings count down from the upper left, figures up from the lower left in parts of one.
    place = Affine2D().translate(_MARGIN, _MARGIN).scale(1 / width, -1 / height).translate(0, 1) + figure.transFigure
    for order, (_, marks) in enumerate(groupby(drawing.marks, key=_look)):
        for artist in _artists(tuple(marks)):
            artist.set(transform=place, zorder=order)
            figure.add_artist(artist)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _look(mark: Mark) -> object:
    """Return what marks in a row have in common that one artist paints; artists cost more than their marks."""
    return (mark.role, mark.radius, mark.hollow) if isinstance(mark, Dot) else type(mark)


def _artists(marks: Sequence[Mark]) -> "Iterator[Artist]":
    from matplotlib.lines import Line2D

    dots = [mark for mark in marks if isinstance(mark, Dot)]
    if dots:
        first = dots[0]
        yield Line2D(
            [dot.x for dot in dots], [dot.y for dot in dots], linestyle="none", marker="o", color=LIGHT[first.role],
            markersize=2 * first.radius * _POINTS, markeredgewidth=1.2 * first.hollow,
            markerfacecolor=LIGHT["paper" if first.hollow else first.role],
        )  # fmt: skip
    for mark in marks:
        if not isinstance(mark, Dot):
            artist = _artist(mark)
            artist.set(color=LIGHT[mark.role])
            yield artist


def _artist(mark: Stroke | Label) -> "Artist":
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    if isinstance(mark, Stroke):
        x, y = zip(*mark.points, strict=True)
        style = (0, (2, 4)) if mark.dashed else "solid"
        return Line2D(x, y, linewidth=mark.width * _POINTS, linestyle=style, alpha=mark.opacity)
    weight = "bold" if mark.bold else "normal"
    # A label is data: its dollar signs are no formulas.
    return Text(
        mark.x, mark.y, mark.text, fontsize=12 * _POINTS, fontweight=weight, parse_math=False,
        horizontalalignment=_ALIGN[mark.anchor], verticalalignment="baseline",
    )  # fmt: skip
