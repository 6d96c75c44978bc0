"""Evidence: a report's figures as lessons cite them, and whether they still stand."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.lesson import Evidence, Lesson
from cruijff_kit.schema.report import Reference, Trace

__all__ = ["Reported", "cite", "parse_report", "read_report", "stale"]


class Reported(NamedTuple):
    """A report on disk; empty where there is none."""

    figures: tuple[Trace, ...] = ()
    """Its figures."""
    references: Mapping[str, Reference] = MappingProxyType({})
    """The files they were computed from, by the label that figures name."""
    sha256: str = ""
    """Hash of `report/trace.json`."""

    @property
    def made_of(self) -> str | None:
        """Return the hash of the result table that it was made of; None where it tells none."""
        return next((each.sha256 for each in self.references.values() if each.path == ExperimentLayout.results), None)


def parse_report(content: bytes) -> Reported:
    """Return what `report/trace.json` holds.

    Raises:
        ValueError, KeyError, TypeError: it is torn, or no file of this form.
    """
    found = json.loads(content)
    references = [Reference.model_validate(each) for each in found["references"]]
    figures = tuple(Trace.model_validate(each) for each in found["figures"])
    return Reported(figures, {each.label: each for each in references}, sha256(content).hexdigest())


def read_report(world: World) -> Reported | None:
    """Return the report on disk; None where there is none.

    Raises:
        ResultError: it cannot be read.
    """
    raw = world.store.read(ExperimentLayout.traces)
    try:
        return None if raw is None else parse_report(raw)
    except (ValueError, KeyError, TypeError) as err:
        fact = f"`{ExperimentLayout.traces}` cannot be read: {type(err).__name__}"
        raise ResultError(fact, hint="`ck report` writes it anew") from err


def cite(trace: Trace, report: Reported) -> Evidence:
    """Return a figure of a report with the hash of the files it was computed from."""
    sources = [report.references[label] for label in trace.references if label in report.references]
    return Evidence(
        figure=trace.figure,
        value=trace.value,
        low=trace.low,
        high=trace.high,
        n=trace.n,
        path=sources[0].path if sources else "",
        sha256=_hash(sources),
        report_sha256=report.sha256,
    )


def stale(lesson: Lesson, report: Reported) -> Lesson:
    """Return a lesson that tells what of its evidence the report on disk no longer holds."""
    wanted = {each.figure for each in lesson.evidence}
    now = {each.figure: each for each in report.figures if each.figure in wanted}
    changed = [why for each in lesson.evidence if (why := _changed(each, now.get(each.figure), report=report))]
    return lesson.model_copy(update={"stale": "; ".join(changed)})


def _changed(evidence: Evidence, trace: Trace | None, *, report: Reported) -> str:
    if trace is None:
        return f"the report holds no `{evidence.figure}` any more"
    # A report rendered anew from the same files leaves it standing.
    now = cite(trace, report._replace(sha256=evidence.report_sha256))
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
