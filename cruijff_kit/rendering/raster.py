"""Drawings as PNG files, painted with matplotlib on a light ground."""

from io import BytesIO
from typing import TYPE_CHECKING

from cruijff_kit.errors import SiteError
from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Stroke
from cruijff_kit.rendering.style import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_png"]

_DPI = 200
# Drawings are measured in pixels of 96 to the inch, text in points of 72.
_PIXELS, _POINTS = 96.0, 0.75
_ALIGN = {"start": "left", "middle": "center", "end": "right"}


def draw_png(drawing: Drawing) -> bytes:
    """Return a PNG of twice the drawing's size; equal drawings give equal bytes.

    Raises:
        SiteError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("plots need `matplotlib`, which is not installed", hint=hint) from err
    figure = Figure(figsize=(drawing.width / _PIXELS, drawing.height / _PIXELS), facecolor=LIGHT["paper"])
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    for order, mark in enumerate(drawing.marks):
        _paint(axes, mark, order)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _paint(axes: "Axes", mark: Mark, order: int) -> None:
    colour = LIGHT[mark.role]
    if isinstance(mark, Stroke):
        x, y = zip(*mark.points, strict=True)
        style = (0, (2, 4)) if mark.dashed else "solid"
        width, alpha = mark.width * _POINTS, mark.opacity
        axes.plot(x, y, color=colour, linewidth=width, linestyle=style, alpha=alpha, zorder=order, clip_on=False)
    elif isinstance(mark, Dot):
        size = (2 * mark.radius * _POINTS) ** 2
        face = LIGHT["paper"] if mark.hollow else colour
        axes.scatter([mark.x], [mark.y], s=size, facecolor=face, edgecolor=colour, linewidth=1.2, zorder=order)
    elif isinstance(mark, Label):
        weight = "bold" if mark.bold else "normal"
        _write(axes, mark, (colour, weight, order))


def _write(axes: "Axes", mark: Label, look: tuple[str, str, int]) -> None:
    colour, weight, order = look
    # A label is data: its dollar signs are no formulas.
    axes.text(
        mark.x, mark.y, mark.text, color=colour, fontsize=12 * _POINTS, fontweight=weight, ha=_ALIGN[mark.anchor],
        va="baseline", zorder=order, parse_math=False,
    )  # fmt: skip
