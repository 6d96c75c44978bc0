"""Prose of `findings.md` held against the figures of the report: each number must cite one that holds it."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from cruijff_kit.analysis.lesson_numbers import Unheld, unheld_numbers
from cruijff_kit.analysis.prose_blocks import Block, prose_blocks
from cruijff_kit.analysis.quoted import Figures
from cruijff_kit.rendering.lesson_text import parse_lessons, prose_around
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.lesson import Evidence
from cruijff_kit.schema.report import Trace
from cruijff_kit.schema.spec import Factors
from cruijff_kit.schema.verification import Difference
from cruijff_kit.workflow.lesson_evidence import Reported, cite, stale
from cruijff_kit.workflow.lessons import named_in
from cruijff_kit.workflow.recomputed import Recomputed

__all__ = ["check_prose"]

_PATH = ExperimentLayout.findings


def check_prose(text: str, recomputed: Recomputed) -> tuple[Difference, ...]:
    """Return each number of people's prose that cites no figure of ours, or one that holds another value.

    A paragraph cites a figure by its name in backticks, as `ck results` lists it. A lesson carries its own
    evidence, which must still follow from the raw files.

    Args:
        text: the prose.
        recomputed: the report made anew.
    """
    dossier = recomputed.dossier
    traced = sha256(recomputed.files[ExperimentLayout.traces]).hexdigest()
    report = Reported(dossier.traces, dossier.labelled, traced)
    return (*_lessons(text, report, recomputed=recomputed), *_prose(text, report, recomputed=recomputed))


def _lessons(text: str, report: Reported, *, recomputed: Recomputed) -> Iterator[Difference]:
    for lesson in parse_lessons(text):
        place = f"the lesson of {lesson.ts:%Y-%m-%d %H:%M:%S}"
        evidence = lesson.evidence
        for each in _unheld(lesson.text, evidence, recomputed=recomputed):
            yield Difference(kind="uncited", path=_PATH, place=place, words=_wrong(each))
        now = stale(lesson, report)
        if now.stale:
            yield Difference(kind="uncited", path=_PATH, place=place, words=f"its evidence does not hold: {now.stale}")


def _prose(text: str, report: Reported, *, recomputed: Recomputed) -> Iterator[Difference]:
    known = {each.figure: each for each in report.figures}
    kinds = tuple(f"{kind}/" for kind in dict.fromkeys(name.split("/")[0] for name in known))
    names, figures = [each.figure for each in report.figures], Figures(report.figures)
    for block in prose_blocks(prose_around(text)):
        cited = [cite(known[name], report) for name in block.cited if name in known]
        yield from _unknown(block, known, kinds=kinds)
        for number, line in block.lines:
            for each in _unheld(line, cited, recomputed=recomputed):
                words = _wrong(each) if cited else _uncited(each, line, figures=figures, names=names)
                yield Difference(kind="uncited", path=_PATH, place=f"line {number}", words=words)


def _unknown(block: Block, known: Mapping[str, Trace], *, kinds: tuple[str, ...]) -> Iterator[Difference]:
    for name in block.cited:
        if name not in known and name.startswith(kinds):
            words = f"`{name}` is no figure of the report; `ck results` lists them"
            yield Difference(kind="uncited", path=_PATH, place=f"line {block.lines[0][0]}", words=words)


def _unheld(text: str, evidence: Sequence[Evidence], *, recomputed: Recomputed) -> list[Unheld]:
    dossier = recomputed.dossier
    factors: Factors = dossier.spec.factors
    names = named_in(dossier.plan, evidence)
    return unheld_numbers(text, evidence, names=names, factors=factors)


def _wrong(unheld: Unheld) -> str:
    problem = unheld.problem
    return f"{problem.message}; {problem.hint}" if problem.hint else problem.message


def _uncited(unheld: Unheld, line: str, *, figures: Figures, names: Sequence[str]) -> str:
    """Return that a number cites nothing, and which figure holds it, if one does."""
    number, place = unheld.number, None
    if number.isascii() and "." in number:
        place = figures.quoted(number, frozenset(line.split()), chosen=(), scale=unheld.scale)
    hint = f"`{names[place]}` holds it" if place is not None else "`ck results` lists the figures"
    return f"`{unheld.shown}` cites no figure: name one in backticks in the same paragraph; {hint}"
