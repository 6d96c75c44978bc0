"""The loss curves: training and validation of every run, a panel per setting."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.settings import Setting, settings_of, shown_of
from cruijff_kit.schema.report import Dossier
from cruijff_kit.schema.result import RunResult

__all__ = ["loss_plot"]

# Of long trainings each point drawn is the mean of a bucket of steps.
_BUCKETS = 150
_PANELS, _COLUMNS = 12, 4
_WHOLE, _HEIGHT, _LEFT, _SPACE = 880.0, 180.0, 34.0, 26.0


def loss_plot(dossier: Dossier) -> Drawing | None:
    """Return loss against step; dots are validation losses."""
    histories = {each.run: each for each in dossier.histories if each.points}
    trained = [each for each in settings_of(dossier) if any(run in histories for run in each.runs)]
    settings = trained[:_PANELS]
    if not settings:
        return None
    drawn = [histories[run] for each in settings for run in each.runs if run in histories]
    steps = max(point.step for each in drawn for point in each.points)
    highest = max((value for each in drawn for value in _values(each)), default=1.0)
    columns = min(_COLUMNS, max(2, len(settings)))
    width = (_WHOLE - _LEFT + _SPACE - 8) / columns - _SPACE
    marks: list[Mark] = []
    for place, setting in enumerate(settings):
        left = _LEFT + (place % columns) * (width + _SPACE)
        top = 34 + (place // columns) * (_HEIGHT + 62)
        scales = Scale(0, steps, left, left + width), Scale(0.0, highest, top + _HEIGHT, top)
        marks.extend(_panel(setting, [histories[run] for run in setting.runs if run in histories], scales=scales))
    rows = -(-len(settings) // columns)
    height = rows * (_HEIGHT + 62) + 16
    words = f"steps, against loss in nats per token{shown_of(trained, limit=_PANELS)}"
    marks.append(Label(_LEFT, height - 6, words))
    return Drawing("loss", "Training and validation loss of every run", _WHOLE, height, tuple(marks))


def _values(history: RunResult) -> Iterator[float]:
    yield from (y for _, y in _curve(history))
    yield from (y for _, y in _validation(history))


def _panel(setting: Setting, histories: Sequence[RunResult], *, scales: tuple[Scale, Scale]) -> Iterator[Mark]:
    across, up = scales
    yield Label(across.start, up.end - 14, setting.name, role=setting.role, bold=True)
    for value in ticks(up.low, up.high, count=4):
        yield Stroke(((across.start, up(value)), (across.end, up(value))), "grid", width=1)
        if across.start == _LEFT:
            yield Label(_LEFT - 7, up(value) + 4, f"{value:g}", anchor="end")
    for value in ticks(across.low, across.high, count=3):
        yield Label(across(value), up.start + 18, f"{value:g}", anchor="middle")
    for history in histories:
        curve = tuple((across(step), up(loss)) for step, loss in _curve(history))
        if curve:
            yield Stroke(curve, setting.role, width=1.3, opacity=0.75)
    for history in histories:
        for step, loss in _validation(history):
            words = f"{history.run}: validation loss {loss:.3f} at step {step:g}"
            yield Dot(across(step), up(loss), setting.role, radius=3.5, hollow=True, title=words)


def _curve(history: RunResult) -> list[tuple[float, float]]:
    points = [(point.step, point.loss) for point in history.points if point.loss is not None]
    size = max(1, -(-len(points) // _BUCKETS))
    buckets = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(step for step, _ in bucket), fmean(loss for _, loss in bucket)) for bucket in buckets]


def _validation(history: RunResult) -> list[tuple[float, float]]:
    return [(point.step, point.val_loss) for point in history.points if point.val_loss is not None]
