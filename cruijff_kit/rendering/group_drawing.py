"""A comparison of groups as a drawing: accuracy, AUC and coverage side by side, a row a group."""

from collections.abc import Iterator

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.numbers import between, plain
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.groups import GroupMetric, Heterogeneity

__all__ = ["draw_groups"]

# More rows than these are a table, not a picture.
_MOST_ROWS = 60
_LEFT, _PANEL, _SPACE, _ROW, _TOP = 190.0, 330.0, 46.0, 22.0, 62.0
_NAME = 26


def draw_groups(found: Heterogeneity) -> Drawing:
    """Return a dot with its interval a group; a line marks all samples, a broken one chance.

    Groups that stand out are in another colour, those that are not estimable have no dot.
    """
    known = {each.metric for each in found.spreads}
    metrics = [name for name in ("accuracy", "auc", "coverage") if name in known]
    groups = found.groups[:_MOST_ROWS]
    bottom = _TOP + _ROW * len(groups)
    more = f", the first {_MOST_ROWS} of {len(found.groups)} groups" if len(found.groups) > _MOST_ROWS else ""
    heading = f"by {clean_line(found.column)}{more}; {100 * (1 - found.rules.alpha):g} % intervals"
    marks: list[Mark] = [Label(0, 12, clean_line(found.source)[:90], role="ink", bold=True), Label(0, 30, heading)]
    for place, group in enumerate(groups):
        name = clean_line(group.level)
        name = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        marks.append(Label(_LEFT - 14, _y(place) + 4, f"{name} ({group.n:,})", anchor="end"))
    for column, metric in enumerate(metrics):
        left = _LEFT + column * (_PANEL + _SPACE)
        scale = Scale(0.0, 1.0, left, left + _PANEL)
        marks.extend(_frame(found, metric, scale=scale, bottom=bottom))
        for place, group in enumerate(groups):
            each = next(each for each in group.metrics if each.metric == metric)
            marks.extend(_row(each, place, scale=scale, name=clean_line(group.level)))
    width = _LEFT + len(metrics) * (_PANEL + _SPACE) - _SPACE + 10
    return Drawing(
        "heterogeneity", f"{' and '.join(metrics)} by {clean_line(found.column)}", width, bottom + 26, tuple(marks)
    )


def _frame(found: Heterogeneity, metric: str, *, scale: Scale, bottom: float) -> Iterator[Mark]:
    yield Label(scale.start, _TOP - 12, {"auc": "AUC"}.get(metric, metric), role="ink", bold=True)
    for value in ticks(0.0, 1.0):
        yield Stroke(((scale(value), _TOP), (scale(value), bottom)), "grid", width=1)
        yield Label(scale(value), bottom + 18, f"{value:g}", anchor="middle")
    if metric == "auc":
        yield Stroke(((scale(0.5), _TOP), (scale(0.5), bottom)), "muted", width=1.2, dashed=True)
    whole = next(each.figure.value for each in found.overall if each.metric == metric)
    if whole is not None:
        yield Stroke(((scale(whole), _TOP), (scale(whole), bottom)), "ink", width=1.2, opacity=0.6)


def _row(each: GroupMetric, place: int, *, scale: Scale, name: str) -> Iterator[Mark]:
    figure, y = each.figure, _y(place)
    if figure.value is None:
        return
    role = "c1" if each.difference is not None and each.difference.outlier else "c0"
    if figure.low is not None and figure.high is not None:
        yield Stroke(((scale(figure.low), y), (scale(figure.high), y)), role, width=2.0, opacity=0.55)
    yield Dot(scale(figure.value), y, role, title=f"{name}: {plain(figure.value)} {between(figure)}, n {figure.n}")


def _y(place: int) -> float:
    return _TOP + _ROW * (place + 0.5)
