"""The audit of a model: a section of the report, and text for a terminal."""

from collections.abc import Iterator, Sequence

from cruijff_kit.rendering.numbers import NONE, estimate, percent
from cruijff_kit.rendering.sheet import Column, Table, source_labels
from cruijff_kit.rendering.untrusted import clean_line
from cruijff_kit.schema.model_audit import AuditCheck, AuditComponent, GroupFigure, ModelAudit
from cruijff_kit.schema.report import Dossier

__all__ = ["audit_sentences", "audit_tables", "audit_text"]

_WORDS = {"pass": "pass", "fail": "FAIL", "not_assessed": "not assessed"}
_RULES = {"at most": "≤", "at least": "≥"}
_MOST = 300
"""Longer tables are cut; all figures are in `audit.json`."""


def audit_tables(dossier: Dossier) -> tuple[Table, ...]:
    """Return the tables of every audit: each check with its limit, and the figures of each group."""
    if not dossier.audits:
        return ()
    return _checks(dossier), _groups(dossier.audits)


def audit_text(audit: ModelAudit) -> str:
    """Return an audit as text: the verdict, then every part with its checks."""
    lines = [f"{audit.run}, {audit.subject}", ""]
    for part in audit.components:
        lines.append(f"{_WORDS[part.verdict]:<13}{part.name}{f': {part.reason}' if part.reason else ''}")
        lines += [f"  {_WORDS[each.verdict]:<13}{_line(each)}" for each in part.checks]
    lines += ["", *_closing(audit)]
    return "\n".join(map(clean_line, lines)) + "\n"


def audit_sentences(audits: Sequence[ModelAudit]) -> tuple[str, ...]:
    """Return a sentence for each audit that fails: whoever reads nothing else has to read that."""
    failing = [each for each in audits if each.verdict == "fail"]
    return tuple(f"The audit of `{each.run}` on {each.task} fails in {', '.join(each.failed)}." for each in failing)


def _line(check: AuditCheck) -> str:
    if check.rule == "holds":
        return f"{check.name}: {check.reason}"
    value = f"{estimate(check.figure)} (n {check.figure.n})" if check.figure is not None else NONE
    return f"{check.name} {value}, {_limit(check)}: {check.reason}"


def _closing(audit: ModelAudit) -> Iterator[str]:
    yield f"verdict: {_verdict(audit)}"
    if audit.left_out:
        yield f"left out, as nobody asked for them: {', '.join(audit.left_out)}"
    level = percent(audit.rules.level)
    yield f"intervals of one part hold together at {level}; pass and fail need the whole interval on one side"
    yield from (f"note: {note}" for note in audit.notes)


def _verdict(audit: ModelAudit) -> str:
    parts = [_WORDS[audit.verdict]]
    if audit.failed:
        parts.append(f"fails in {', '.join(audit.failed)}")
    if audit.not_assessed:
        parts.append(f"not assessed: {', '.join(audit.not_assessed)}")
    return "; ".join(parts)


def _checks(dossier: Dossier) -> Table:
    columns = (
        Column("run", "code"), Column("task"), Column("part"), Column("check"), Column("verdict"),
        Column("figure and interval", "number"), Column("n", "number"), Column("limit", "number"), Column("why"),
        Column("source", "source"),
    )  # fmt: skip
    rows = [(*row, source_labels(dossier, *audit.inputs)) for audit in dossier.audits for row in _rows(audit)]
    verdicts = "; ".join(f"`{each.run}` on {each.task}: {_verdict(each)}" for each in dossier.audits)
    old = ", ".join(f"`{run}`" for run in dossier.stale)
    stale = f" Audited before what lies here now was collected or calibrated, so audit again: {old}." if old else ""
    left = dict.fromkeys(name for each in dossier.audits for name in each.left_out)
    out = f" Left out, as nobody asked for them: {', '.join(left)}." if left else ""
    told = "".join(f" Note of `{each.run}`: {clean_line(note)}." for each in dossier.audits for note in each.notes)
    note = (
        f"{verdicts}. A part passes only where the whole interval of each of its checks keeps the limit, and fails "
        "where one lies beyond it; else too little is known, and `why` tells how many samples would do. Intervals of "
        "one part hold together. Nothing is averaged over parts. `audit.json` names the source of each limit: the "
        f"design, a file or the command line.{out}{told}{stale}{_cut(rows)}"
    )
    return Table("audited", "High-stakes audit", columns, tuple(rows[:_MOST]), note)


def _rows(audit: ModelAudit) -> Iterator[tuple[str, ...]]:
    for part in audit.components:
        head = (audit.run, audit.task, part.name)
        if not part.checks:
            yield (*head, NONE, _WORDS[part.verdict], NONE, NONE, NONE, part.reason)
        yield from ((*head, *_cells(each, part)) for each in part.checks)


def _cells(check: AuditCheck, part: AuditComponent) -> tuple[str, ...]:
    first = check is part.checks[0] and part.reason
    why = f"{check.reason} ({part.reason})" if first else check.reason
    n = NONE if check.figure is None else f"{check.figure.n:,}"
    return clean_line(check.name), _WORDS[check.verdict], estimate(check.figure), n, _limit(check), clean_line(why)


def _limit(check: AuditCheck) -> str:
    return NONE if check.threshold is None else f"{_RULES[check.rule]} {check.threshold:g}"


def _groups(audits: Sequence[ModelAudit]) -> Table:
    columns = (
        Column("run", "code"), Column("task"), Column("group"), Column("value"), Column("figure"),
        Column("figure and interval", "number"), Column("n", "number"), Column("why"),
    )  # fmt: skip
    rows = [_group(audit, each) for audit in audits for each in audit.figures]
    if not rows:
        return Table("audited_groups", "Figures by audited group", columns, (), "")
    note = (
        "Shares have Wilson intervals, the calibration error a reflected bootstrap. The selection rate of an option is "
        "how often it is chosen, TPR how often where it is right, FPR how often where it is not. Each interval "
        f"is of one figure by itself; the gaps above hold together.{_cut(rows)}"
    )
    return Table("audited_groups", "Figures by audited group", columns, tuple(rows[:_MOST]), note)


def _group(audit: ModelAudit, each: GroupFigure) -> tuple[str, ...]:
    names = (clean_line(each.column), clean_line(each.level), clean_line(each.metric))
    return audit.run, audit.task, *names, estimate(each.figure), f"{each.figure.n:,}", each.reason


def _cut(rows: Sequence[object]) -> str:
    return f" The first {_MOST} of {len(rows)} rows; `audit.json` holds all." if len(rows) > _MOST else ""
