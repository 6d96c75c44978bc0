"""Nouns of a training that is looked at: the lines that are new, curves in panels, and lights."""

from typing import Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["Curve", "Light", "MetricRow", "MetricsMark", "MetricsNews", "Panel"]

MetricRow = dict[str, float]
"""The figures of one line, by name; `step` is always among them."""


class MetricsMark(Noun):
    """How far a file of metrics was read."""

    offset: int
    """Bytes read; a line that is being written is not among them."""
    last: str
    """The last of these bytes in hexadecimal, by which a file that was replaced is told; of a whole file its hash."""


class MetricsNews(Noun):
    """What a file of metrics holds beyond what was read before."""

    rows: tuple[MetricRow, ...] = ()
    """Lines in order."""
    mark: MetricsMark | None = None
    """Where to go on; None where there is no file."""
    anew: bool = False
    """Whether the file was replaced, so that what was read before counts no more."""
    damaged: int = 0
    """Lines that are no records of metrics, and were left out."""


class Curve(Noun):
    """One figure over the steps."""

    name: str
    """Its name in the file."""
    title: str
    """Its name for people."""
    steps: tuple[float, ...]
    """Optimiser steps; of many lines a point stands for several."""
    values: tuple[float, ...]
    """The figure at these."""
    low: tuple[float | None, ...] = ()
    """Lower limits, None where there is none; empty where the figure has no interval."""
    high: tuple[float | None, ...] = ()
    """Upper limits."""


class Panel(Noun):
    """Curves that share an axis."""

    title: str
    """What it shows."""
    unit: str
    """Unit of its axis; empty for a plain number."""
    curves: tuple[Curve, ...]
    """The curves."""
    logarithmic: bool = False
    """Whether its axis is."""
    share: bool = False
    """Whether its figures lie in [0, 1]."""


class Light(Noun):
    """One figure as it stands, and whether it is as it should be."""

    name: str
    """The figure."""
    state: Literal["good", "watch", "bad", "open"]
    """How it stands; `open` where too little is known to tell."""
    value: float | None
    """The figure; None where there is none."""
    low: float | None = None
    """Lower limit."""
    high: float | None = None
    """Upper limit."""
    words: str
    """Why it stands so, in words."""
