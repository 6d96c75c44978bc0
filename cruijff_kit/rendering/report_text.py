"""`summary.md`: the report as Markdown, and its accuracy table for a terminal."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from cruijff_kit.rendering.claims_panel import EXPLORATORY
from cruijff_kit.rendering.references import markdown_section, markdown_sentence
from cruijff_kit.rendering.report_tables import Column, Table, accuracy_table
from cruijff_kit.schema.report import AuditState, Dossier

__all__ = ["audit_words", "method_words", "render_summary", "sentences_of", "terminal_table"]

_CELLS = 1 << 14
"""Cells remembered: nearly all of a large table stand in it many times over."""
# What closes a report.
_LAST = ("versions", "sources")


def render_summary(dossier: Dossier, tables: Sequence[Table]) -> str:
    """Return `summary.md`; the same dossier and its tables give the same text."""
    blocks = [*_opening(dossier), *_body(dossier, tables), *_closing(dossier, tables)]
    return "\n\n".join(blocks) + "\n"


def terminal_table(dossier: Dossier) -> str:
    """Return the accuracy table in columns of fixed width."""
    table = accuracy_table(dossier)
    if not table.rows:
        return table.note
    shown = [index for index, column in enumerate(table.columns) if column.kind != "source"]
    cells = [[column.name for column in table.columns], *table.rows]
    widths = {index: max(len(row[index]) for row in cells) for index in shown}
    lines = [
        "  ".join(_aligned(row[index], widths[index], column=table.columns[index]) for index in shown) for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def audit_words(dossier: Dossier) -> tuple[str, ...]:
    """Return the state of the record in sentences, problems first."""
    state, verdict = dossier.audit, dossier.audit.verdict
    if not verdict.ok:
        place = f" at line {verdict.line}" if verdict.line is not None else ""
        return (f"The audit log does NOT verify{place}: {verdict.problem or 'unknown problem'}.",)
    anchored = "and against its anchors" if verdict.anchored else "but no anchor outside it was found"
    told = [f"The audit log verifies: its hash chain holds, {anchored}."]
    if state.head is not None:
        told.append(
            f"Before this report its last line was number {state.head.seq + 1}: {state.action} at {_moment(state)}, "
            f"sha256 `{state.head.sha256}`."
        )
    return tuple(told)


def method_words(dossier: Dossier) -> tuple[str, ...]:
    """Return how the report was made, one fact a line."""
    anchor = dossier.anchor
    sealed = (f"Sealed at line {anchor.seq + 1} of the record, sha256 `{anchor.sha256}`.",) if anchor else ()
    return (
        f"Plan `{dossier.plan_id}`, design `{dossier.plan.spec_sha256}`.",
        *sealed,
        f"Base models: {', '.join(_models(dossier))}.",
        f"Intervals have level {1 - dossier.spec.analysis.alpha:g}; the analysis {_fixed(dossier)}.",
        f"Computed by cruijff-kit {dossier.version} from the files below; no figure was typed.",
    )


def _fixed(dossier: Dossier) -> str:
    late = any(each.kind == "analysis" for each in dossier.deviations)
    return "was changed after the first job" if late else "was fixed in the design"


def sentences_of(dossier: Dossier) -> dict[str, tuple[str, ...]]:
    """Return every sentence that may hold a number, by the id of what it stands in on the page."""
    findings = dossier.findings
    return {
        "head": (_designed(dossier),),
        "bottom": findings.bottom_line,
        "notes": findings.notes,
        "audit": audit_words(dossier),
        "method": method_words(dossier),
    }


def _designed(dossier: Dossier) -> str:
    spec, findings = dossier.spec, dossier.findings
    return f"Designed {spec.created} · {spec.type} · {findings.complete} of {findings.planned} runs complete"


def _opening(dossier: Dossier) -> Iterator[str]:
    spec, findings = dossier.spec, dossier.findings
    yield f"# {spec.name}"
    yield f"**Question.** {spec.question}"
    if spec.hypothesis:
        yield f"**Hypothesis.** {spec.hypothesis}"
    yield markdown_sentence(_designed(dossier), dossier)
    yield "## Bottom line"
    yield "\n".join(f"- {markdown_sentence(sentence, dossier)}" for sentence in findings.bottom_line)


def _body(dossier: Dossier, tables: Sequence[Table]) -> Iterator[str]:
    for table in tables:
        if table.key not in _LAST:
            yield from _section(table)
    if dossier.findings.notes:
        yield "## Notes"
        yield "\n".join(f"- {markdown_sentence(note, dossier)}" for note in dossier.findings.notes)


def _closing(dossier: Dossier, tables: Sequence[Table]) -> Iterator[str]:
    yield "## Audit"
    yield "\n".join(markdown_sentence(sentence, dossier) for sentence in audit_words(dossier))
    yield "## How this was made"
    yield "\n".join(f"- {markdown_sentence(line, dossier)}" for line in method_words(dossier))
    for table in tables:
        if table.key in _LAST:
            yield from _section(table)


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.title}{f' · {table.stamp}' if table.stamp else ''}"
    if table.note:
        yield table.note
    if table.rows:
        yield _markdown(table)
        sources = markdown_section(table)
        if sources:
            yield sources
    if table.lines:
        yield "\n".join(["```text", *table.lines, "```"])


def _markdown(table: Table) -> str:
    rules = ["---:" if column.kind == "number" else "---" for column in table.columns]
    rows = [[_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in ([column.name for column in table.columns], rules, *rows))


@lru_cache(maxsize=_CELLS)
def _cell(text: str, column: Column) -> str:
    safe = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    if column.kind == "code":
        name, stamp, _ = safe.partition(f" {EXPLORATORY}")
        return f"`{name}`{stamp}"
    if column.kind == "verdict":
        return f"**{safe}**"
    return f"[{safe}](#sources)" if column.kind == "source" and text != "-" else safe


def _aligned(text: str, width: int, *, column: Column) -> str:
    return text.rjust(width) if column.kind == "number" else text.ljust(width)


def _moment(state: AuditState) -> str:
    return state.ts.isoformat(timespec="milliseconds").replace("+00:00", "Z") if state.ts else "an unknown time"


def _models(dossier: Dossier) -> Sequence[str]:
    return [f"{model.name} (`{model.sha256 or 'no hash'}`)" for model in dossier.spec.models]
