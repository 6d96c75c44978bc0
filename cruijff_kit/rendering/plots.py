"""The plots of a report, laid out as drawings from its findings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.rendering.curves import loss_plot
from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.numbers import between, factor_words, plain, short_run
from cruijff_kit.rendering.panels import group_plot
from cruijff_kit.rendering.score_plots import score_plots
from cruijff_kit.rendering.settings import Setting, last_findings, settings_of
from cruijff_kit.schema.report import CellFigure, Dossier, Findings, Interval
from cruijff_kit.schema.spec import Level

__all__ = ["report_plots"]

_WIDTH = 880.0
# More rows than these are a table, not a picture.
_MOST_ROWS = 80
_ROW, _GAP, _LEFT, _RIGHT = 21.0, 15.0, 250.0, 190.0
# Pixels that a character, and a line of text, take.
_CHARACTER, _LINE = 7.3, 15.0


class _Row(NamedTuple):
    """One line of the dot plot."""

    name: str
    figure: Interval
    role: str
    best: float | None


def report_plots(dossier: Dossier) -> tuple[Drawing, ...]:
    """Return the plots that the findings have data for."""
    plots = (
        _dot_plot(dossier),
        _interaction_plot(dossier),
        loss_plot(dossier),
        *group_plot(dossier),
        *score_plots(dossier),
    )
    return tuple(plot for plot in plots if plot is not None)


def _dot_plot(dossier: Dossier) -> Drawing | None:
    """Return the accuracy of every run with its interval, by setting."""
    settings = settings_of(dossier)
    blocks = [(setting, list(_rows(dossier, setting))) for setting in settings]
    blocks = [(setting, rows) for setting, rows in blocks if rows]
    if not blocks or sum(len(rows) for _, rows in blocks) > _MOST_ROWS:
        return None
    low, high = _span(row.figure for _, rows in blocks for row in rows)
    scale = Scale(low, high, _LEFT, _WIDTH - _RIGHT)
    marks: list[Mark] = []
    y = 30.0
    for setting, rows in blocks:
        marks.append(Label(0, y + 4, setting.name, role="ink", bold=True))
        for row in rows:
            marks.extend(_dot_row(row, y, scale=scale))
            y += _ROW
        y += _GAP
    bottom = y - _GAP - _ROW / 2 + 6
    level = next(iter(rows for _, rows in blocks))[0].figure.level
    heads = _heads(dossier.findings.metric, f"{100 * level:g} % interval")
    return Drawing(
        "accuracy",
        f"{dossier.findings.outcome.capitalize()} of every run with intervals",
        _WIDTH,
        bottom + 26,
        (*_grid(scale, bottom), *heads, *_best_head(blocks, scale), *marks),
    )


def _heads(metric: str, interval: str) -> Iterator[Mark]:
    """Yield the heads of both columns; a long name begins further left, where nothing else stands."""
    longest = _WIDTH - _CHARACTER * (len(interval) + 1 + len(metric))
    yield Label(min(_WIDTH - _RIGHT + 30, longest), 10, metric)
    yield Label(_WIDTH, 10, interval, anchor="end")


def _best_head(blocks: Sequence[tuple[Setting, Sequence[_Row]]], scale: Scale) -> Iterator[Mark]:
    """Yield what the line of the best possible accuracy is, where all rows have one."""
    bests = {row.best for _, rows in blocks for row in rows}
    (best, *others) = bests
    if best is not None and not others:
        yield Label(scale(best), 10, f"best possible {plain(best)}", anchor="end")


def _rows(dossier: Dossier, setting: Setting) -> Iterator[_Row]:
    found = last_findings(dossier.findings, dossier.findings.task)
    seeds = {run.id: run.seed for run in dossier.plan.runs}
    for run in setting.runs:
        if run in found and found[run].figure.value is not None:
            name, best = short_run(run) if setting.base else f"seed {seeds[run]}", found[run].best
            yield _Row(name, found[run].figure, setting.role, best.accuracy if best else None)


def _dot_row(row: _Row, y: float, *, scale: Scale) -> Iterator[Mark]:
    figure = row.figure
    yield Label(_LEFT - 14, y + 4, row.name, anchor="end")
    if row.best is not None:
        # Strokes of rows that lie one below the other join to a line.
        yield Stroke(((scale(row.best), y - _ROW / 2), (scale(row.best), y + _ROW / 2)), "ink", width=1.5, opacity=0.8)
    if figure.low is not None and figure.high is not None:
        yield Stroke(((scale(figure.low), y), (scale(figure.high), y)), row.role, width=2.0, opacity=0.55)
    most = f", best possible {plain(row.best)}" if row.best is not None else ""
    text = f"{row.name}: {plain(figure.value)} {between(figure)}{most}"
    yield Dot(scale(figure.value or 0.0), y, row.role, title=text)
    yield Label(_WIDTH - _RIGHT + 30, y + 4, plain(figure.value), role="ink")
    yield Label(_WIDTH, y + 4, between(figure), anchor="end")


def _grid(scale: Scale, bottom: float) -> Iterator[Mark]:
    for value in ticks(scale.low, scale.high):
        x = scale(value)
        yield Stroke(((x, 18), (x, bottom)), "grid", width=1)
        yield Label(x, bottom + 18, f"{value:g}", anchor="middle")


def _interaction_plot(dossier: Dossier) -> Drawing | None:
    """Return the mean outcome by one factor, a line per level of another."""
    findings, levels = dossier.findings, _levels(dossier.findings.cells)
    names = [name for name, each in levels.items() if len(each) > 1]
    if not names or len(names) > 2:
        return None
    across, lines = (names[1], names[0]) if len(names) == 2 else (names[0], None)
    scale = _outcome_scale(findings, top=26.0, bottom=270.0)
    places = Scale(0, max(1, len(levels[across]) - 1), 130.0, 430.0)
    marks: list[Mark] = list(_frame(scale, (60.0, 500.0), title=findings.outcome))
    for place, key in enumerate(levels[across]):
        marks.append(Label(places(place), 292, f"{across} {key}", anchor="middle"))
    roles = {setting.name: setting.role for setting in settings_of(dossier)}
    ends: list[tuple[float, str]] = []
    for index, key in enumerate(levels[lines] if lines else [""]):
        chosen = [cell for cell in findings.cells if lines is None or str(cell.factors[lines]) == key]
        x = [places(list(levels[across]).index(str(cell.factors[across]))) + 8.0 * index - 4 for cell in chosen]
        marks.extend(_line(list(zip(x, chosen, strict=True)), scale, roles=roles))
        if chosen and lines:
            ends.append((scale(chosen[-1].figure.value or 0.0) + 4, f"{lines} {key}"))
    marks.extend(Label(512, y, text, role="ink", bold=True) for y, text in _spread(ends))
    return Drawing("interaction", f"Mean {findings.outcome} by {' and '.join(names)}", 640.0, 300.0, tuple(marks))


def _spread(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return labels from top to bottom, moved down where they would lie on each other."""
    placed: list[tuple[float, str]] = []
    for y, text in sorted(labels):
        placed.append((max(y, placed[-1][0] + _LINE) if placed else y, text))
    return placed


def _line(points: Sequence[tuple[float, CellFigure]], scale: Scale, *, roles: Mapping[str, str]) -> Iterator[Mark]:
    known = [(x, cell, scale(cell.figure.value)) for x, cell in points if cell.figure.value is not None]
    yield Stroke(tuple((x, y) for x, _, y in known), "muted", width=1.5, opacity=0.7)
    for x, cell, y in known:
        words, role = factor_words(cell.factors), roles.get(factor_words(cell.factors), "ink")
        if cell.figure.low is not None and cell.figure.high is not None:
            yield Stroke(((x, scale(cell.figure.low)), (x, scale(cell.figure.high))), role, width=2.0, opacity=0.55)
        yield Dot(x, y, role, radius=5, title=f"{words}: {plain(cell.figure.value)} {between(cell.figure)}")


def _frame(scale: Scale, sides: tuple[float, float], *, title: str) -> Iterator[Mark]:
    left, right = sides
    yield Label(0, 10, title)
    for value in ticks(scale.low, scale.high):
        y = scale(value)
        yield Stroke(((left, y), (right, y)), "grid", width=1)
        yield Label(left - 10, y + 4, f"{value:g}", anchor="end")


def _outcome_scale(findings: Findings, *, top: float, bottom: float) -> Scale:
    figures = [cell.figure for cell in findings.cells]
    if not findings.lower_is_better:
        return Scale(*_span(figures), bottom, top)
    values = _values(figures)
    return Scale(min(values), max(values), bottom, top)


def _span(figures: Iterable[Interval]) -> tuple[float, float]:
    """Return 0 to 1, and further where figures that are no shares reach further."""
    values = _values(figures)
    return min(0.0, *values), max(1.0, *values)


def _values(figures: Iterable[Interval]) -> list[float]:
    return [value for each in figures for value in (each.low, each.value, each.high) if value is not None]


def _levels(cells: Iterable[CellFigure]) -> Mapping[str, dict[str, Level]]:
    """Return the levels of each factor as text, in the order of the settings."""
    found: dict[str, dict[str, Level]] = {}
    for cell in cells:
        for name, level in cell.factors.items():
            found.setdefault(name, {})[str(level)] = level
    return found
