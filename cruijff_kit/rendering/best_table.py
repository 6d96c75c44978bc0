"""What could have been known: the best possible accuracy beside accuracies, and a table of it by data set."""

from collections.abc import Iterable

from cruijff_kit.rendering.numbers import NONE, plain
from cruijff_kit.rendering.sheet import Column, Table, source_labels
from cruijff_kit.schema.ceiling import KnownBest
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.report import Dossier, Finding, Findings

__all__ = ["best_note", "best_table", "best_words", "bests_by_setting"]


def best_words(best: KnownBest | None) -> str:
    """Return the best possible accuracy as it stands beside an accuracy."""
    if best is None:
        return NONE
    bound = "\u2264 " if best.ceiling.upper and not best.ceiling.seen else ""
    return f"{bound}{plain(best.accuracy)}"


def bests_by_setting(findings: Findings) -> list[KnownBest | None]:
    """Return the best possible outcome of each setting; None where its runs have none, or several."""
    wanted = (findings.task, findings.metric)
    by_run = {each.run: each.best for each in findings.findings if (each.task, each.metric) == wanted}
    found = [[by_run.get(run) for run in cell.runs] for cell in findings.cells]
    return [bests[0] if bests and all(each == bests[0] for each in bests) else None for bests in found]


def best_note(findings: Iterable[Finding]) -> str:
    """Return how to read the column of the best possible accuracy; nothing where it is known of none."""
    known = [each.best.ceiling for each in findings if each.best is not None]
    if not known:
        return ""
    bound = " (\u2264 is an upper bound)" if any(each.upper for each in known) else ""
    seen = "; of rows that are trained on all can be known by heart" if any(each.seen for each in known) else ""
    return (
        f" `best possible`{bound} is what whoever knows how the rows were generated gets right on average{seen}: "
        "an interval that holds it has reached it."
    )


def best_table(dossier: Dossier) -> Table:
    """Return what can be known of the answers of each split that is asked; no rows where a generator tells none."""
    bests = {
        (each.best.dataset, each.best.split): each.best for each in dossier.findings.findings if each.best is not None
    }
    columns = (
        Column("data set", "code"), Column("split"), Column("best possible accuracy", "number"),
        Column("right on its rows", "number"), Column("commonest answer", "number"),
        Column("label entropy", "number"), Column("source", "source"),
    )  # fmt: skip
    source = source_labels(dossier, ExperimentLayout.plan)
    rows = tuple(
        (*key, best_words(best), plain(best.ceiling.on_rows), plain(best.ceiling.commonest),
         plain(best.ceiling.entropy), source)
        for key, best in bests.items()
    )  # fmt: skip
    note = (
        "Worked out from the generator when the rows were made, before anything was trained. "
        "`right on its rows` is what the same answerer got of these very rows, `commonest answer` the share of the "
        "answer that is there most often, and `label entropy` the mean entropy of an answer in nats: no loss summed "
        "over an answer to unseen rows stays below it but by luck."
    )
    return Table("best", "Best possible results", columns, rows, note if rows else "")
