"""What a reader asks first: claims and their verdicts, deviations, and looks across all cells."""

from collections.abc import Iterable, Sequence

from cruijff_kit.rendering.claim_text import claim_words
from cruijff_kit.rendering.numbers import NONE, estimate, p_text, percent
from cruijff_kit.rendering.sheet import Column, Table
from cruijff_kit.schema.claims import ClaimVerdict
from cruijff_kit.schema.report import Deviation, Dossier
from cruijff_kit.scoring.figure_names import shown_name

__all__ = ["EXPLORATORY", "check_table", "claim_table", "deviation_table", "stamp_tables"]

EXPLORATORY = "EXPLORATORY"
"""What stands at every figure that does not follow the design stated before the first job."""

# Figures over several runs: who adds, drops or edits a run changes them all.
_OVER_RUNS = ("means", "effects", "ranking", "base", "claims", "checks")


def claim_table(dossier: Dossier) -> Table:
    """Return the claims, each with its verdict and the comparison that gave it."""
    level = percent(1 - dossier.spec.analysis.alpha)
    columns = (
        Column("claim"), Column("verdict", "verdict"), Column(f"figure and {level} interval", "number"),
        Column("adjusted p", "number"), Column("stated comparison and test"), Column("source", "source"),
    )  # fmt: skip
    traced = {each.figure: each.references for each in dossier.traces}
    rows = tuple(
        _claim(each, place=place, labels=traced.get(f"claim/{place}", ()))
        for place, each in enumerate(dossier.findings.claims, start=1)
    )
    if not rows:
        return Table("claims", "Claims", (), ())
    alpha = dossier.spec.analysis.alpha
    note = (
        f"A claim is confirmed or violated if its stated comparison says so at alpha {alpha:g} over both directions "
        "of all claims together (Holm), and inconclusive otherwise; the interval is of the comparison by itself. "
        "What names no comparison is not testable, whatever the figures below suggest."
    )
    return Table("claims", "Claims", columns, rows, note)


def check_table(dossier: Dossier) -> Table:
    """Return what was looked for across all cells, and whether it was found."""
    columns = (Column("check"), Column("result", "verdict"), Column("what was found"))
    rows = tuple(
        (each.kind, "flagged" if each.flagged else "not flagged", each.words) for each in dossier.findings.checks
    )
    note = "Looks at all cells together. A flag asks for a second look; it changes no figure."
    return Table("checks", "Audit across cells", columns, rows, note if rows else "")


def deviation_table(dossier: Dossier) -> Table:
    """Return what is not as it was stated before the first job; nothing where all is."""
    columns = (Column("what"), Column("how"), Column("reason on record"), Column("figures concerned"))
    rows = tuple((each.kind, each.words, each.reason or "none given", _concerned(each)) for each in dossier.deviations)
    note = (
        f"{EXPLORATORY}: figures that rest on the following do not follow the design as it stood when the first job "
        "was handed over. They are stamped where they stand; a stamped verdict tests nothing that was stated."
    )
    return Table("deviations", "Deviations from the sealed design", columns, rows, note if rows else "")


def stamp_tables(tables: Iterable[Table], dossier: Dossier) -> tuple[Table, ...]:
    """Return tables in which every figure that rests on a deviation is stamped, heading and row."""
    runs = {run for each in dossier.deviations for run in each.runs}
    whole = any(each.whole for each in dossier.deviations)
    return tuple(_stamped(table, runs, whole=whole) for table in tables)


def _stamped(table: Table, runs: set[str], *, whole: bool) -> Table:
    if table.key in {"deviations", "sources", "incomplete", "data"} or not (runs or whole):
        return table
    hit = [bool(_runs_in(row, table.columns) & runs) for row in table.rows]
    over = table.key in _OVER_RUNS and table.key not in {"claims", "checks"} and bool(table.rows)
    if not any(hit) and not over:
        return table
    rows = tuple(_marked(row, table.columns) if mark else row for row, mark in zip(table.rows, hit, strict=True))
    return table._replace(rows=rows, stamp=EXPLORATORY)


def _runs_in(row: Sequence[str], columns: Sequence[Column]) -> set[str]:
    cells = (cell for cell, column in zip(row, columns, strict=True) if column.kind == "code")
    return {name.strip() for cell in cells for name in cell.split(",")}


def _marked(row: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """Return a row whose first run is followed by the stamp."""
    place = next(place for place, column in enumerate(columns) if column.kind == "code")
    return tuple(f"{cell} {EXPLORATORY}" if at == place else cell for at, cell in enumerate(row))


def _claim(each: ClaimVerdict, *, place: int, labels: tuple[str, ...]) -> tuple[str, ...]:
    figure, known = each.figure, each.figure is not None and each.figure.value is not None
    looked = f"{shown_name(each.metric)} on {each.task}" if each.task != "training" else each.metric
    comparison = claim_words(each.claim, figure=looked) if each.claim is not None else looked if each.metric else ""
    told = [part for part in (comparison, each.test, each.reason) if part]
    return (
        each.text or f"claim {place}",
        f"{each.verdict} {EXPLORATORY}" if each.exploratory else each.verdict,
        estimate(figure),
        p_text(each.p_adjusted),
        "; ".join(told) or NONE,
        " ".join(labels) or NONE if known else NONE,
    )


def _concerned(each: Deviation) -> str:
    if each.runs:
        count = "one run" if len(each.runs) == 1 else f"{len(each.runs)} runs"
        return f"those of {count}, and all figures over several runs"
    return "all figures over several runs" if each.whole else "none by itself"
