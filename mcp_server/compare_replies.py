"""Replies about experiments that are compared, cut to a size a model can afford."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from pydantic import BaseModel

from cruijff_kit.mcp_server.paging import shortened

if TYPE_CHECKING:
    from cruijff_kit.schema.compared import Across, ArmFigure, ComparedExperiment, Contrast, NotComparable

__all__ = ["ComparedReply", "notes_of", "told_of"]

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

    def cut(self, *, full: bool) -> "ComparedReply":
        """Return it with the first sources and words alone, where not all are wanted."""
        if full:
            return self.model_copy(update={"source": self.source[:10]})
        note = self.note if len(self.note) <= _NOTE else f"{self.note[: _NOTE - 1]}…"
        return self.model_copy(update={"source": self.source[:2], "note": note})


def told_of(found: "Across") -> list[ComparedReply]:
    """Return every difference, then the figures they are made of."""
    folders = {each.label: each.folder for each in found.experiments}
    return [
        *(_contrast(each, found, folders=folders) for each in found.contrasts),
        *(_of_arm(each, folders=folders) for each in found.figures),
    ]


def notes_of(found: "Across", *, most: int) -> list[str]:
    """Return which experiments they are, over how many tests p-values are adjusted, and what may not be subtracted."""
    adjusted = (found.multiplicity,) if found.contrasts else ()
    apart = shortened([_apart(each) for each in found.not_comparable], most=most)
    return [*map(_whose, found.experiments), *adjusted, *apart]


def _files(each: "ArmFigure", *, folders: Mapping[str, str]) -> list[str]:
    """Return the files behind a figure, each below the project with the start of its hash."""
    return [f"{folders[each.experiment]}/{path} {digest[:12]}" for path, digest in each.sources.items()]


def _contrast(each: "Contrast", found: "Across", *, folders: Mapping[str, str]) -> ComparedReply:
    tested = f"{each.test} p {each.p_value:.3g}, Holm {each.p_adjusted:.3g}" if each.p_adjusted is not None else ""
    differs = "; ".join(f"{key.key}: {_short(key.first)} -> {_short(key.second)}" for key in each.differs)
    words = (f"over {each.over}", tested, f"differs: {differs or 'no configuration key'}", *each.cautions)
    tasks = each.task.split(" / ")
    sides = [
        [
            file
            for arm in found.figures
            if _is(arm, side, tasks=tasks, metric=each.metric)
            for file in _files(arm, folders=folders)
        ]
        for side in (each.second, each.first)
    ]
    return ComparedReply(
        figure=f"difference/{each.second} - {each.first}/{each.task}/{each.metric}",
        value=each.difference.value,
        low=each.difference.low,
        high=each.difference.high,
        n=each.difference.n,
        # A file of each side in turn, so that the first two are of both.
        source=[file for pair in zip_longest(*sides) for file in pair if file is not None],
        note=". ".join(filter(None, words)),
    )


def _is(figure: "ArmFigure", side: str, *, tasks: Sequence[str], metric: str) -> bool:
    """Return whether a figure is one of a side of a difference."""
    return f"{figure.experiment} {figure.arm}" == side and figure.task in tasks and figure.metric == metric


def _of_arm(each: "ArmFigure", *, folders: Mapping[str, str]) -> ComparedReply:
    epoch = "base" if each.epoch is None else each.epoch
    return ComparedReply(
        figure=f"figure/{each.experiment} {each.arm}/{each.task}/{epoch}/{each.metric}",
        value=each.figure.value,
        low=each.figure.low,
        high=each.figure.high,
        n=each.figure.n,
        source=_files(each, folders=folders),
        note=each.reason,
    )


def _whose(each: "ComparedExperiment") -> str:
    origin = ", imported" if each.imported else ""
    closed = f"; texts are told by their hashes: {each.closed}" if each.closed else ""
    return f"{each.label} is {each.folder} ({each.runs} runs, plan {each.plan_id[:12]}{origin}{closed})"


def _apart(each: "NotComparable") -> str:
    return f"not comparable: {each.second} - {each.first}, {each.metric}: {'; '.join(each.reasons)}"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN else f"{plain[: _SHOWN - 1]}…"
