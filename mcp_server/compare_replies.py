"""Replies about experiments that are compared, cut to a size a model can afford."""

from itertools import zip_longest
from typing import TYPE_CHECKING

from pydantic import BaseModel

from cruijff_kit.mcp_server.paging import shortened

if TYPE_CHECKING:
    from cruijff_kit.schema.compared import Across, ArmFigure, ComparedExperiment, Contrast, NotComparable

    Told = Contrast | ArmFigure

__all__ = ["ComparedReply", "name_of", "notes_of"]

_NOTE = 400
_SHOWN = 60


class ComparedReply(BaseModel):
    """A figure of one arm, or the difference between arms of two experiments. Quote it; compute nothing."""

    figure: str
    """What it is of: `difference/`, or `figure/`, arms by the letter of their experiment, task and metric."""
    value: float | None
    """The figure; None where it is missing."""
    low: float | None
    """Lower limit of its interval."""
    high: float | None
    """Upper limit of its interval."""
    n: int
    """Samples or runs it rests on."""
    note: str
    """Of a difference: what it is over, its test, what else differs, and what to know before believing it."""
    source: list[str]
    """Files it was computed from, each with the start of its SHA-256."""

    @classmethod
    def of(cls, each: "Told", found: "Across", *, full: bool) -> "ComparedReply":
        """Cut a figure, or a difference, to size."""
        from cruijff_kit.schema.compared import Contrast

        figure = each.difference if isinstance(each, Contrast) else each.figure
        note = _words(each) if isinstance(each, Contrast) else each.reason
        files = _files_of_both(each, found) if isinstance(each, Contrast) else _files(each, found)
        return cls(
            figure=name_of(each),
            value=figure.value,
            low=figure.low,
            high=figure.high,
            n=figure.n,
            note=note if full or len(note) <= _NOTE else f"{note[: _NOTE - 1]}…",
            source=files[: 10 if full else 2],
        )


def name_of(each: "Told") -> str:
    """Return what a figure, or a difference, is called."""
    from cruijff_kit.schema.compared import Contrast

    if isinstance(each, Contrast):
        return f"difference/{each.second} - {each.first}/{each.task}/{each.metric}"
    epoch = "base" if each.epoch is None else each.epoch
    return f"figure/{each.experiment} {each.arm}/{each.task}/{epoch}/{each.metric}"


def notes_of(found: "Across", *, most: int) -> list[str]:
    """Return which experiments they are, over how many tests p-values are adjusted, and what may not be subtracted."""
    adjusted = (found.multiplicity,) if found.contrasts else ()
    apart = shortened([_apart(each) for each in found.not_comparable], most=most)
    return [*map(_whose, found.experiments), *adjusted, *apart]


def _words(each: "Contrast") -> str:
    tested = f"{each.test} p {each.p_value:.3g}, Holm {each.p_adjusted:.3g}" if each.p_adjusted is not None else ""
    differs = "; ".join(f"{key.key}: {_short(key.first)} -> {_short(key.second)}" for key in each.differs)
    words = (f"over {each.over}", tested, f"differs: {differs or 'no configuration key'}", *each.cautions)
    return ". ".join(filter(None, words))


def _files(each: "ArmFigure", found: "Across") -> list[str]:
    """Return the files behind a figure, each below the project with the start of its hash."""
    folder = next(one.folder for one in found.experiments if one.label == each.experiment)
    return [f"{folder}/{path} {digest[:12]}" for path, digest in each.sources.items()]


def _files_of_both(each: "Contrast", found: "Across") -> list[str]:
    """Return the files behind a difference, one of each side in turn, so that the first two are of both."""
    tasks = each.task.split(" / ")
    alike = [arm for arm in found.figures if arm.metric == each.metric and arm.task in tasks]
    sides = [
        [file for arm in alike if f"{arm.experiment} {arm.arm}" == side for file in _files(arm, found)]
        for side in (each.second, each.first)
    ]
    return [file for pair in zip_longest(*sides) for file in pair if file is not None]


def _whose(each: "ComparedExperiment") -> str:
    origin = ", imported" if each.imported else ""
    closed = f"; texts are told by their hashes: {each.closed}" if each.closed else ""
    return f"{each.label} is {each.folder} ({each.runs} runs, plan {each.plan_id[:12]}{origin}{closed})"


def _apart(each: "NotComparable") -> str:
    return f"not comparable: {each.second} - {each.first}, {each.metric}: {'; '.join(each.reasons)}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN else f"{plain[: _SHOWN - 1]}…"
