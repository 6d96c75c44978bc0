"""The verdict of a sanity check: a section of the report, and what it comes to in a sentence."""

from collections.abc import Iterator

from cruijff_kit.rendering.numbers import NONE
from cruijff_kit.rendering.sheet import Column, Table, source_labels
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.report import Dossier
from cruijff_kit.schema.sanity import JudgedFigure, SanityVerdict

__all__ = ["sanity_sentences", "sanity_tables"]

_SHOWN = 3


def sanity_tables(dossier: Dossier) -> Iterator[Table]:
    """Yield the figures of a sanity check, each with its band and its verdict; nothing of other experiments."""
    verdict = dossier.sanity
    if verdict is None:
        return
    columns = (
        Column("run", "code"), Column("figure"), Column("value", "number"), Column("band", "number"),
        Column("result", "verdict"), Column("n", "number"), Column("where the ends are from"),
        Column("source", "source"),
    )  # fmt: skip
    rows = tuple(_row(dossier, each) for each in verdict.figures)
    once = f"{verdict.level:g}"
    stale = (
        " Figures were collected anew since they were judged: `ck sanity run` judges again."
        if dossier.misjudged
        else ""
    )
    note = (
        f"{verdict.check} at size {verdict.size}: {verdict.size_words}. Floors: {verdict.pilots}. Each band was fixed "
        "by the check, before and apart from this experiment: a sound figure passes an end that was derived with "
        f"probability {once} at most. Judged by `ck sanity`, whose `{ExperimentLayout.sanity}` this is.{stale}"
    )
    yield Table("sanity", f"Sanity check {verdict.check}", columns, rows, note)


def sanity_sentences(verdict: SanityVerdict | None) -> tuple[str, ...]:
    """Return whether a sanity check passed, and what did not: whoever reads nothing else has to read that."""
    if verdict is None:
        return ()
    total = len(verdict.figures)
    if verdict.passed:
        return (f"The sanity check {verdict.check} passed: all {total} figures lie inside their bands.",)
    bad = [each for each in verdict.figures if each.verdict != "inside"]
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    named = "; ".join(map(_told, bad[:_SHOWN]))
    fact = f"The sanity check {verdict.check} FAILED: {len(bad)} of {total} figures are missing or outside their bands"
    return (f"{fact}: {named}{more}.",)


def _told(each: JudgedFigure) -> str:
    where = f"{each.figure} of `{each.run or each.arm}`"
    return f"{where} is missing" if each.value is None else f"{where} {each.value:.4f}, not in {each.band.words}"


def _row(dossier: Dossier, each: JudgedFigure) -> tuple[str, ...]:
    ends = [end for end in (each.band.low_from, each.band.high_from) if end]
    return (
        each.run or each.arm,
        each.figure,
        NONE if each.value is None else f"{each.value:.4f}",
        each.band.words or NONE,
        each.verdict,
        f"{each.n:,}",
        each.reason or "; ".join(dict.fromkeys(ends)) or NONE,
        source_labels(dossier, ExperimentLayout.sanity, each.source),
    )
