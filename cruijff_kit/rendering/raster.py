"""Drawings as PNG files, painted with matplotlib on a light ground."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from cruijff_kit.errors import SiteError
from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Stroke
from cruijff_kit.rendering.style import LIGHT

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import RendererBase
    from matplotlib.transforms import Transform

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
    figure.add_artist(_painting(drawing.marks, place))
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _painting(marks: Sequence[Mark], place: "Transform") -> "Artist":
    """Return an artist that paints marks in their order, those alike with one brush: most are, and brushes are dear."""
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D

    class Painting(Artist):
        def draw(self, renderer: "RendererBase") -> None:
            brushes: dict[Mark, Artist] = {}
            for look, alike in groupby(marks, key=_look):
                if look not in brushes:
                    brushes[look] = _brush(look)
                    brushes[look].set(transform=place, figure=self.get_figure())
                brush = brushes[look]
                for line in _lines(alike):
                    if isinstance(brush, Line2D):
                        brush.set_data(*zip(*line, strict=True))
                    brush.draw(renderer)

    return Painting()


def _look(mark: Mark) -> Mark:
    """Return a mark for all that look like it wherever they stand; no text is like another."""
    if isinstance(mark, Dot):
        return mark._replace(x=0.0, y=0.0, title="")
    return mark if isinstance(mark, Label) else mark._replace(points=())


def _lines(alike: Iterable[Mark]) -> Iterator[Sequence[tuple[float, float]]]:
    """Yield the points that a brush goes through, dots in a row at once."""
    dots = []
    for mark in alike:
        if isinstance(mark, Dot):
            dots.append((mark.x, mark.y))
        else:
            yield mark.points if isinstance(mark, Stroke) else ((mark.x, mark.y),)
    if dots:
        yield dots


def _brush(look: Mark) -> "Artist":
    """Return what paints marks of one look; a text is its own brush."""
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    colour = LIGHT[look.role]
    if isinstance(look, Dot):
        return Line2D(
            (), (), linestyle="none", marker="o", color=colour, markersize=2 * look.radius * _POINTS,
            markeredgewidth=1.2 * look.hollow, markerfacecolor=LIGHT["paper" if look.hollow else look.role],
        )  # fmt: skip
    if isinstance(look, Stroke):
        style = (0, (2, 4)) if look.dashed else "solid"
        return Line2D((), (), linewidth=look.width * _POINTS, linestyle=style, alpha=look.opacity, color=colour)
    weight = "bold" if look.bold else "normal"
    # A label is data: its dollar signs are no formulas.
    return Text(
        look.x, look.y, look.text, fontsize=12 * _POINTS, fontweight=weight, parse_math=False, color=colour,
        horizontalalignment=_ALIGN[look.anchor], verticalalignment="baseline",
    )  # fmt: skip
