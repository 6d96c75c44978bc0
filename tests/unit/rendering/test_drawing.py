"""Drawings: their scales, their SVG, their PNG."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Scale, Stroke, draw_svg, ticks
from cruijff_kit.rendering.raster import draw_png
from cruijff_kit.rendering.style import LIGHT

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


def test_marks_that_look_alike_stand_where_each_of_them_belongs_and_over_those_before_them() -> None:
    """Alike or not, a mark is painted as if it were alone; only its place in the order tells what covers it."""
    lines = [Stroke(((10, y), (190, y)), "ink", width=3) for y in (20, 50, 80)]
    dots = [Dot(x, 50, role, radius=9) for x, role in ((40, "c0"), (46, "c1"), (52, "c0"))]
    mixed = DRAWING._replace(marks=(lines[0], dots[0], lines[1], dots[1], lines[2], dots[2]))
    one_by_one = [draw_png(DRAWING._replace(marks=mixed.marks[:count])) for count in range(7)]
    assert len(set(one_by_one)) == 7
    pixels = [_pixels(each) for each in one_by_one]
    for mark, before, after in zip(mixed.marks, pixels, pixels[1:], strict=False):
        alone = _pixels(draw_png(DRAWING._replace(marks=(mark,))))
        touched = (alone != pixels[0]).any(axis=2)
        assert (before[~touched] == after[~touched]).all()
        solid = (alone == _colour(mark)).all(axis=2)
        assert solid.any()
        assert (after[solid] == alone[solid]).all()


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def _colour(mark: Mark) -> tuple[int, ...]:
    code = LIGHT[mark.role].removeprefix("#")
    return tuple(int(code[at : at + 2], 16) for at in (0, 2, 4))
