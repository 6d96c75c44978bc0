"""Drawings: their scales, their SVG, their PNG."""

import pytest

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Scale, Stroke, draw_svg, ticks
from cruijff_kit.rendering.raster import draw_png

DRAWING = Drawing(
    "a", "A <line> & a dot", 200, 100,
    (
        Stroke(((0, 0), (200, 100)), "c0", dashed=True),
        Dot(20, 20, "c1", hollow=True, title="<b>"),
        Label(5, 50, "$x$ & <y>"),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "low, high, expected",
    (
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 40, [0, 10, 20, 30, 40]),
        (0.13, 0.38, [0.15, 0.2, 0.25, 0.3, 0.35]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0.4, 0.4, [0.4]),
    ),
)
def test_ticks_are_round_and_lie_inside(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_scale_maps_its_ends_and_a_range_of_no_width() -> None:
    assert [Scale(0, 2, 10, 30)(value) for value in (0, 1, 2)] == [10, 20, 30]
    assert Scale(5, 5, 10, 30)(5) == 10


def test_words_in_a_drawing_are_escaped_in_its_svg() -> None:
    svg = draw_svg(DRAWING)
    assert 'aria-label="A &lt;line&gt; &amp; a dot"' in svg
    assert "$x$ &amp; &lt;y&gt;</text>" in svg
    assert "<title>&lt;b&gt;</title>" in svg


def test_equal_drawings_give_equal_png_bytes() -> None:
    first = draw_png(DRAWING)
    assert first.startswith(b"\x89PNG")
    assert draw_png(DRAWING) == first
    assert draw_png(DRAWING._replace(marks=DRAWING.marks[:1])) != first
