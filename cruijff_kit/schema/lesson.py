"""Lesson nouns: what was learnt from an experiment, and the figures that show it."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, Sha256, Timestamp

__all__ = ["Evidence", "Lesson", "LessonReceipt"]


class Evidence(Noun):
    """One figure of the report, as it was when a lesson cited it."""

    figure: str
    """Its name, such as `effect/lora_rank/16 - 4`."""
    value: float | None
    """The figure."""
    low: float | None = None
    """Lower limit of its interval."""
    high: float | None = None
    """Upper limit of its interval."""
    n: int | None = None
    """Samples or runs it rests on."""
    path: str
    """First file it was computed from."""
    sha256: Sha256
    """Hash over all files it was computed from; of a single one it is that file's own."""
    report_sha256: Sha256
    """Hash of `report/trace.json`, from which it was read."""


class Lesson(Noun):
    """What was learnt, in words, its numbers held by the figures it cites."""

    text: str
    """The lesson, in one paragraph."""
    ts: Timestamp
    """When it was written."""
    by: Literal["human", "assistant", "job", "tool"]
    """What kind of actor wrote it."""
    evidence: tuple[Evidence, ...]
    """The figures it rests on."""
    stale: str = ""
    """What of its evidence has changed since; empty while it stands."""


class LessonReceipt(Noun):
    """A lesson that is in `findings.md`."""

    lesson: Lesson
    """The lesson."""
    path: str
    """The file, relative to the experiment."""
    changed: bool
    """Whether it was written; the same lesson on the same evidence is written once."""
