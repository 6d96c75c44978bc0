"""Follow: the lines that a training wrote since the last look, and what they show; never writes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from cruijff_kit.analysis.lights import coverage_light, ece_light, risk_light
from cruijff_kit.analysis.panels import make_panels, plain_name
from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.calibration import SplitFigures
from cruijff_kit.schema.metric_view import Light, MetricRow, MetricsMark, MetricsNews, Panel

__all__ = ["arrange_metrics", "follow_metrics", "light_metrics", "light_split"]

_KEPT = 64
"""Bytes before the mark that must be as they were."""
_MOST_NAMES = 200
_LARGEST = 1e300
"""Beyond it lie only numbers that no training writes: infinities, and digits that no float holds."""
_PROMISED = (("coverage", coverage_light), ("expected_risk", risk_light))


def follow_metrics(path: str, *, since: MetricsMark | None = None, world: World) -> MetricsNews:
    """Return the lines of a file of metrics that follow a mark; only these bytes are read.

    A line without its end is left for the next look. Where the file was replaced, as a
    training that begins anew does, it is read from its start. A `.json` file is one
    array, as older trainings wrote it, and is read whole once it has changed.

    Args:
        path: `metrics.jsonl` of a run, or any such file in the directory.
        since: mark of the last look; None for the first.
        world: the experiment, or the directory that the file lies in.

    Raises:
        ResultError: a `.json` file holds no array of records.
        SiteError: the file cannot be read.
    """
    if path.endswith(".json"):
        return _whole(path, since, world=world)
    kept = bytes.fromhex(since.last) if since is not None else b""
    start = since.offset - len(kept) if since is not None else 0
    content = world.store.read_from(path, start)
    if content is None:
        return MetricsNews(anew=since is not None)
    if not content.startswith(kept):
        return _lines(world.store.read_from(path, 0) or b"", kept=b"", at=0, anew=True)
    return _lines(content, kept=kept, at=start, anew=False)


def arrange_metrics(rows: Sequence[MetricRow]) -> tuple[Panel, ...]:
    """Return the figures of a training as panels of curves, each with its interval where it has one."""
    return make_panels(rows)


def light_metrics(rows: Sequence[MetricRow], *, alpha: float | None = None) -> tuple[Light, ...]:
    """Return how calibration, coverage and risk stand as last measured, those that ever were.

    Args:
        rows: lines in order.
        alpha: miss rate that coverage was promised with, or risk allowed; None where nothing was promised.
    """
    found: list[Light] = []
    debiased = any("ece_debiased" in row for row in rows)
    measured = _last(rows, "ece_debiased" if debiased else "ece")
    if measured is not None:
        value, low, high = measured
        found.append(ece_light(value, low, high=high, debiased=debiased))
    for name, light in _PROMISED:
        measured = _last(rows, name)
        if measured is not None:
            value, low, high = measured
            found.append(light(value, low, high=high, alpha=alpha))
    return tuple(found)


def light_split(found: SplitFigures, *, alpha: float) -> Light | None:
    """Return how what a calibrator does on another split stands against what it promises; None where it did nothing.

    Args:
        found: what it does.
        alpha: its miss rate, or the risk it allows.
    """
    if found.coverage:
        first = found.coverage[0]
        return coverage_light(first.value, first.low, high=first.high, alpha=alpha, expected=found.expected)
    if found.risk is not None:
        return risk_light(found.risk.value, found.risk.low, high=found.risk.high, alpha=alpha)
    return None


def _last(rows: Sequence[MetricRow], name: str) -> tuple[float, float | None, float | None] | None:
    """Return a figure with its limits as last measured; None where it never was."""
    row = next((row for row in reversed(rows) if name in row), None)
    return None if row is None else (row[name], row.get(f"{name}_low"), row.get(f"{name}_high"))


def _lines(content: bytes, *, kept: bytes, at: int, anew: bool) -> MetricsNews:
    end = content.rfind(b"\n") + 1
    whole = content[len(kept) : max(end, len(kept))]
    rows, damaged = [], 0
    for line in whole.splitlines():
        row = _row(_parsed(line))
        if row is None:
            damaged += bool(line.strip())
        else:
            rows.append(row)
    read = kept + whole
    mark = MetricsMark(offset=at + len(read), last=read[-_KEPT:].hex())
    return MetricsNews(rows=tuple(rows), mark=mark, anew=anew, damaged=damaged)


def _whole(path: str, since: MetricsMark | None, *, world: World) -> MetricsNews:
    content = world.store.read(path)
    if content is None:
        return MetricsNews(anew=since is not None)
    digest = sha256(content).hexdigest()
    if since is not None and since.last == digest:
        return MetricsNews(mark=since)
    mark = MetricsMark(offset=len(content), last=digest)
    found = _parsed(content)
    records = found.get("metrics") if isinstance(found, dict) else found
    if not isinstance(records, list):
        hint = "name a `metrics.jsonl`, or a JSON file that is one array of objects"
        raise ResultError(f"`{path}` holds no array of metrics", hint=hint)
    rows = [row for each in records if (row := _row(each)) is not None]
    return MetricsNews(rows=tuple(rows), mark=mark, anew=since is not None, damaged=len(records) - len(rows))


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _row(record: Any) -> MetricRow | None:
    """Return the figures of a record by name, custom ones among them; None where it is no record of a step."""
    if not isinstance(record, dict):
        return None
    found = dict(_figures(record))
    return found if "step" in found else None


def _figures(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in list(record.items())[:_MOST_NAMES]:
        if name == "custom" and isinstance(value, dict):
            yield from _figures(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST:
            yield plain_name(clean_line(name)[:64]), float(value)
