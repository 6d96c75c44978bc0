"""Accuracy by group of samples: a panel per setting, the base model behind each."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.numbers import between, plain
from cruijff_kit.rendering.settings import Setting, settings_of, shown_of
from cruijff_kit.schema.report import Dossier, GroupFigure

__all__ = ["group_plot"]

_PANELS, _COLUMNS = 12, 2
# Wider than this many levels, a panel cannot be read.
_LEVELS = 16
_WIDTH, _HEIGHT, _LEFT, _SPACE = 405.0, 170.0, 34.0, 36.0


class _Series(NamedTuple):
    """One run's figures by level of a group."""

    role: str
    figures: dict[str, GroupFigure]
    shift: float


def group_plot(dossier: Dossier) -> Iterator[Drawing]:
    """Yield one drawing per group column of few enough levels."""
    for column in dict.fromkeys(each.group for each in dossier.findings.groups):
        figures = [each for each in dossier.findings.groups if each.group == column]
        levels = sorted(dict.fromkeys(each.level for each in figures), key=_size)
        settings = [each for each in settings_of(dossier) if _any_of(each, figures)]
        if 1 < len(levels) <= _LEVELS:
            yield _drawing(column, levels, figures=_by_run(figures), settings=settings)


def _drawing(
    column: str, levels: Sequence[str], *, figures: dict[str, dict[str, GroupFigure]], settings: Sequence[Setting]
) -> Drawing:
    base = [run for each in settings if each.base for run in each.runs]
    wanted = [each for each in settings if not each.base] or list(settings)
    panels = wanted[:_PANELS]
    marks: list[Mark] = []
    for place, setting in enumerate(panels):
        left = _LEFT + (place % _COLUMNS) * (_WIDTH + _SPACE)
        top = 34 + (place // _COLUMNS) * (_HEIGHT + 64)
        scales = Scale(-0.5, len(levels) - 0.5, left, left + _WIDTH), Scale(0.0, 1.0, top + _HEIGHT, top)
        marks.extend(_frame(setting, levels, scales=scales))
        shown = [*(run for run in base if run in figures and run not in setting.runs), *setting.runs]
        for series in _series(setting, [run for run in shown if run in figures], figures=figures):
            marks.extend(_line(series, levels, scales=scales))
    rows = (len(panels) + _COLUMNS - 1) // _COLUMNS
    name = column.replace("_", " ")
    marks.append(Label(_LEFT, rows * (_HEIGHT + 64) + 10, f"{name}, against accuracy{shown_of(wanted, limit=_PANELS)}"))
    width = _LEFT + _COLUMNS * (_WIDTH + _SPACE) - _SPACE + 6
    return Drawing(f"by_{_stem(column)}", f"Accuracy by {name}", width, rows * (_HEIGHT + 64) + 16, tuple(marks))


def _series(setting: Setting, runs: Sequence[str], *, figures: dict[str, dict[str, GroupFigure]]) -> Iterator[_Series]:
    for place, run in enumerate(runs):
        role = setting.role if run in setting.runs else "base"
        yield _Series(role, figures[run], 7.0 * (place - (len(runs) - 1) / 2))


def _frame(setting: Setting, levels: Sequence[str], *, scales: tuple[Scale, Scale]) -> Iterator[Mark]:
    across, up = scales
    yield Label(across.start, up.end - 14, setting.name, role=setting.role, bold=True)
    for value in ticks(up.low, up.high, count=2):
        yield Stroke(((across.start, up(value)), (across.end, up(value))), "grid", width=1)
        yield Label(across.start - 7, up(value) + 4, f"{value:g}", anchor="end")
    for place, level in enumerate(levels):
        yield Label(across(place), up.start + 18, level, anchor="middle")


def _line(series: _Series, levels: Sequence[str], *, scales: tuple[Scale, Scale]) -> Iterator[Mark]:
    across, up = scales
    found = [
        (across(place) + series.shift, series.figures[level])
        for place, level in enumerate(levels)
        if level in series.figures
    ]
    points = [(x, each.figure) for x, each in found if each.figure.value is not None]
    yield Stroke(tuple((x, up(figure.value or 0.0)) for x, figure in points), series.role, width=1, opacity=0.45)
    for x, figure in points:
        if figure.low is not None and figure.high is not None:
            yield Stroke(((x, up(figure.low)), (x, up(figure.high))), series.role, width=1.5, opacity=0.55)
    for x, each in found:
        words = f"{each.run}, {each.level}: {plain(each.figure.value)} {between(each.figure)}, n {each.figure.n}"
        yield Dot(x, up(each.figure.value or 0.0), series.role, radius=3, title=words)


def _by_run(figures: Sequence[GroupFigure]) -> dict[str, dict[str, GroupFigure]]:
    """Return figures by run and level; the first task that has a level gives it."""
    found: dict[str, dict[str, GroupFigure]] = {}
    for each in figures:
        found.setdefault(each.run, {}).setdefault(each.level, each)
    return found


def _any_of(setting: Setting, figures: Sequence[GroupFigure]) -> bool:
    return any(each.run in setting.runs for each in figures)


def _size(level: str) -> tuple[float, str]:
    try:
        return float(level), level
    except ValueError:
        return float("inf"), level


def _stem(column: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in column)
