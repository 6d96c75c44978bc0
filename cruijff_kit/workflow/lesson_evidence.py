"""Evidence: a figure of a report as a lesson cites it, and whether it still stands."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from cruijff_kit.schema.lesson import Evidence, Lesson
from cruijff_kit.schema.report import Reference, Trace

__all__ = ["cite", "stale"]


def cite(trace: Trace, references: Mapping[str, Reference], *, report_sha256: str) -> Evidence:
    """Return a figure with the hash of the files it was computed from."""
    sources = [references[label] for label in trace.references if label in references]
    return Evidence(
        figure=trace.figure,
        value=trace.value,
        low=trace.low,
        high=trace.high,
        n=trace.n,
        path=sources[0].path if sources else "",
        sha256=_hash(sources),
        report_sha256=report_sha256,
    )


def stale(lesson: Lesson, traces: Sequence[Trace], *, references: Mapping[str, Reference]) -> Lesson:
    """Return a lesson that tells what of its evidence the report on disk no longer holds."""
    wanted = {each.figure for each in lesson.evidence}
    now = {each.figure: each for each in traces if each.figure in wanted}
    changed = [why for each in lesson.evidence if (why := _changed(each, now.get(each.figure), references=references))]
    return lesson.model_copy(update={"stale": "; ".join(changed)})


def _changed(evidence: Evidence, trace: Trace | None, *, references: Mapping[str, Reference]) -> str:
    if trace is None:
        return f"the report holds no `{evidence.figure}` any more"
    now = cite(trace, references, report_sha256=evidence.report_sha256)
    if now == evidence:
        return ""
    same = (now.value, now.low, now.high, now.n) == (evidence.value, evidence.low, evidence.high, evidence.n)
    what = "rests on other files" if same else f"is {_shown(now.value)}, no longer {_shown(evidence.value)}"
    return f"`{evidence.figure}` {what}"


def _hash(sources: Sequence[Reference]) -> str:
    if len(sources) == 1 and sources[0].sha256 is not None:
        return sources[0].sha256
    lines = "".join(f"{each.path} {each.sha256 or 'missing'}\n" for each in sources)
    return sha256(lines.encode()).hexdigest()


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6g}"
