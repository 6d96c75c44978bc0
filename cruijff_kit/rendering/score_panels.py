"""Panels about probabilities, one an evaluation: which are drawn, their frame, and what was left out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from cruijff_kit.rendering.drawing import Drawing, Label, Mark, Scale, Stroke, ticks
from cruijff_kit.rendering.settings import Setting, settings_of
from cruijff_kit.schema.diagnosis import Diagnosis
from cruijff_kit.schema.report import Dossier

__all__ = ["Panel", "Picked", "Scales", "draw_panels", "pick_panels"]

Scales = tuple[Scale, Scale]
"""Across and up."""

_PANELS, _COLUMNS = 12, 3
_WHOLE, _HEIGHT, _LEFT, _SPACE = 880.0, 190.0, 38.0, 36.0
_HEAD = 56.0
# Wide enough for the lines below the panels.
_LEAST = 640.0
# Pixels that a character of bold text takes.
_CHARACTER = 7.0


class Panel(NamedTuple):
    """One evaluation to draw."""

    name: str
    """Setting and seed."""
    role: str
    """Colour of the setting."""
    diagnosis: Diagnosis
    """Its figures."""


class Picked(NamedTuple):
    """What is drawn, and what is not."""

    panels: tuple[Panel, ...]
    """In design order, the base models first."""
    remark: str
    """The task, and how many evaluations were left out."""


def pick_panels(dossier: Dossier, wanted: Callable[[Diagnosis], bool]) -> Picked | None:
    """Return at most twelve runs of one task: one of each setting first, then the next seed of each.

    Args:
        dossier: everything the report is made of.
        wanted: whether an evaluation has what is drawn.
    """
    known = [each for each in dossier.findings.diagnoses if wanted(each)]
    if not known:
        return None
    tasks = list(dict.fromkeys(each.task for each in known))
    task = dossier.findings.task if dossier.findings.task in tasks else tasks[0]
    runs = {each.run: each for each in known if each.task == task}
    by_setting = [[(each, run) for run in each.runs if run in runs] for each in settings_of(dossier)]
    turns = [pair for turn in zip_longest(*by_setting) for pair in turn if pair is not None][:_PANELS]
    chosen = {run for _, run in turns}
    panels = tuple(
        Panel(_name(dossier, setting, run=run), setting.role, runs[run])
        for pairs in by_setting
        for setting, run in pairs
        if run in chosen
    )
    left = f"; {len(panels)} of {len(runs)} runs, one of each setting first" if len(runs) > len(panels) else ""
    more = "1 more task" if len(tasks) == 2 else f"{len(tasks) - 1} more tasks"
    other = f"; {more} in the tables" if len(tasks) > 1 else ""
    return Picked(panels, f"{task}{left}{other}")


def draw_panels(
    picked: Picked,
    title: tuple[str, str],
    *,
    words: tuple[str, str],
    top: float = 1.0,
    foot: float = 0.0,
    fill: Callable[[Panel, Scales], tuple[str, Sequence[Mark]]],
) -> Drawing:
    """Return a grid of panels, both axes from 0, the lower one to 1.

    Args:
        picked: what to draw.
        title: file stem, and what is shown.
        words: names of the axes, and a remark on the marks or nothing; each a line below the panels.
        top: upper end of the vertical axis.
        foot: pixels kept free below the lower axis.
        fill: takes a panel and its scales; returns its second heading and its marks.
    """
    width = (_WHOLE - _LEFT + _SPACE - 8) / _COLUMNS - _SPACE
    pitch = _HEIGHT + _HEAD + 34 + foot
    marks: list[Mark] = []
    for place, panel in enumerate(picked.panels):
        left, upper = _LEFT + (place % _COLUMNS) * (width + _SPACE), _HEAD - 10 + (place // _COLUMNS) * pitch
        scales = Scale(0.0, 1.0, left, left + width), Scale(0.0, top, upper + _HEIGHT, upper)
        heading, inside = fill(panel, scales)
        marks.extend(_frame(panel, heading, scales=scales, labelled=place % _COLUMNS == 0))
        marks.extend(inside)
    lines = [each for each in (*words, picked.remark) if each]
    bottom = -(-len(picked.panels) // _COLUMNS) * pitch + 8
    marks.extend(Label(_LEFT, bottom + 18 * place, line) for place, line in enumerate(lines))
    across = min(_COLUMNS, len(picked.panels)) * (width + _SPACE) - _SPACE + _LEFT + 8
    return Drawing(title[0], title[1], max(across, _LEAST), bottom + 18 * (len(lines) - 1) + 4, tuple(marks))


def _frame(panel: Panel, heading: str, *, scales: Scales, labelled: bool) -> Iterator[Mark]:
    across, up = scales
    room = int((across.end - across.start) / _CHARACTER)
    name = panel.name if len(panel.name) <= room else f"{panel.name[: room - 1]}…"
    yield Label(across.start, up.end - 28, name, role=panel.role, bold=True)
    yield Label(across.start, up.end - 11, heading)
    for value in ticks(up.low, up.high, count=4):
        yield Stroke(((across.start, up(value)), (across.end, up(value))), "grid", width=1)
        if labelled:
            yield Label(across.start - 8, up(value) + 4, f"{value:g}", anchor="end")
    for value in ticks(across.low, across.high, count=4):
        yield Label(across(value), up.start + 18, f"{value:g}", anchor="middle")


def _name(dossier: Dossier, setting: Setting, *, run: str) -> str:
    planned = {each.id: each for each in dossier.plan.runs}
    if setting.base:
        return setting.name if len(setting.runs) == 1 else planned[run].model.name
    return setting.name if len(setting.runs) == 1 else f"{setting.name}, seed {planned[run].seed}"
