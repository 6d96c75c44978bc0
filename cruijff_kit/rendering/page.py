"""`report/index.html`: one file, no script, nothing fetched; for screen, dark screen and print."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape

from cruijff_kit.rendering.claims_panel import EXPLORATORY
from cruijff_kit.rendering.drawing import Drawing, draw_svg
from cruijff_kit.rendering.numbers import percent
from cruijff_kit.rendering.references import html_place, html_section, html_sentence
from cruijff_kit.rendering.report_tables import Column, Table
from cruijff_kit.rendering.report_text import audit_words, method_words
from cruijff_kit.rendering.style import style_sheet
from cruijff_kit.schema.report import Dossier

__all__ = ["render_page"]

_INTERVAL = re.compile(r"\[[^\[\]]{1,24}\]")
# What a reader asks first comes first; Markdown keeps the order of the work.
_ORDER = (
    "deviations", "claims", "sanity", "search",
    "accuracy", "best", "means", "effects", "base", "ranking", "groups", "calibration", "scores", "guarantees",
    "audited", "audited_groups", "checks", "training", "status", "compute", "incomplete", "data",
)  # fmt: skip
# Tables of sentences, which stand as blocks where the page is narrow.
_SENTENCES = {"deviations", "claims", "checks", "incomplete"}
_CELLS = 1 << 14
"""Cells remembered: nearly all of a large table stand in it many times over."""
# Longer tables are folded under their plot.
_FOLDED = 20
_SIGNS = {
    "confirmed": ("\u2713", "good"),
    "violated": ("\u2717", "bad"),
    "inconclusive": ("\u223c", "open"),
    "not testable": ("\u2205", "open"),
    "flagged": ("\u2691", "bad"),
    "not flagged": ("\u2013", "open"),
    "inside": ("\u2713", "good"),
    "outside": ("\u2717", "bad"),
    "missing": ("\u2205", "bad"),
}
_AFTER = {
    "accuracy": "accuracy",
    "interaction": "means",
    "loss": "training",
    "reliability": "calibration",
    "roc": "scores",
    "risk_coverage": "scores",
}


def render_page(dossier: Dossier, tables: Sequence[Table], *, drawings: tuple[Drawing, ...]) -> str:
    """Return the page; the same dossier, tables and drawings give the same text.

    Args:
        dossier: everything the report is made of.
        tables: its tables, in the order of the report.
        drawings: the plots, shown beside the table each belongs to.
    """
    name = escape(dossier.spec.name)
    shown = sorted((each for each in tables if each.key in _ORDER), key=lambda each: _ORDER.index(each.key))
    parts = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{name}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>",
        *_header(dossier),
        *_contents(dossier, shown),
        "<main>",
        *_bottom(dossier),
        *_sections(dossier, shown, drawings=drawings),
        "</main>",
        *_footer(dossier, tables),
        "</body>\n</html>",
    )
    return "\n".join(parts) + "\n"


def _header(dossier: Dossier) -> Iterator[str]:
    spec = dossier.spec
    yield '<header id="head">'
    yield f'<p class="kicker">{escape(spec.type.replace("_", " "))} · designed {escape(spec.created)}</p>'
    yield f"<h1>{escape(spec.name)}</h1>"
    yield f'<p class="question">{escape(spec.question)}</p>'
    if spec.hypothesis:
        yield f'<p class="hypothesis">Expected: {escape(spec.hypothesis)}</p>'
    yield "</header>"


def _contents(dossier: Dossier, tables: Sequence[Table]) -> Iterator[str]:
    """Yield links to all sections, which a keyboard reaches first."""
    named = [(table.key, table.title) for table in tables]
    notes = [("notes", "Notes")] if dossier.findings.notes else []
    links = [("bottom", "Bottom line"), *named, *notes, ("audit", "How this was made"), ("sources", "Sources")]
    items = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in links)
    yield f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _bottom(dossier: Dossier) -> Iterator[str]:
    yield '<section class="bottom" id="bottom"><h2>Bottom line</h2><ul>'
    yield from (
        f"<li{html_sentence(sentence, dossier)}>{_sentence(sentence)}</li>" for sentence in dossier.findings.bottom_line
    )
    yield "</ul></section>"
    if not dossier.audit.verdict.ok:
        yield from (
            f'<p class="alarm"{html_sentence(sentence, dossier)}>{_prose(sentence)}</p>'
            for sentence in audit_words(dossier)
        )


def _sentence(text: str) -> str:
    warned = text.removeprefix(f"{EXPLORATORY}: ")
    return _prose(text) if warned == text else f"{_badge(EXPLORATORY)} {_prose(f'{warned[:1].upper()}{warned[1:]}')}"


def _sections(dossier: Dossier, tables: Sequence[Table], *, drawings: tuple[Drawing, ...]) -> Iterator[str]:
    for table in tables:
        yield f'<section id="{table.key}"{html_section(table)}><h2>{escape(table.title)}{_badge(table.stamp)}</h2>'
        plots = [drawing for drawing in drawings if _place(drawing) == table.key]
        yield from (_figure(drawing, dossier, stamp=table.stamp) for drawing in plots)
        yield from _table(table)
        yield "</section>"
    if dossier.findings.notes:
        items = "".join(f"<li{html_sentence(note, dossier)}>{_prose(note)}</li>" for note in dossier.findings.notes)
        yield f'<section id="notes"><h2>Notes</h2><ul class="note">{items}</ul></section>'


def _badge(stamp: str) -> str:
    return f' <span class="stamp">{escape(stamp)}</span>' if stamp else ""


def _place(drawing: Drawing) -> str:
    return _AFTER.get(drawing.name, "groups")


def _footer(dossier: Dossier, tables: Sequence[Table]) -> Iterator[str]:
    yield '<footer><section id="audit"><h2 id="method">How this was made</h2>'
    yield from (
        f'<p class="note"{html_sentence(sentence, dossier)}>{_prose(sentence)}</p>'
        for sentence in (*audit_words(dossier), *method_words(dossier))
    )
    yield "</section>"
    for table in tables:
        if table.key in {"sources", "versions"}:
            yield f'<section id="{table.key}"><h2>{escape(table.title)}</h2>'
            yield from _table(table)
            yield "</section>"
    yield "</footer>"


def _figure(drawing: Drawing, dossier: Dossier, *, stamp: str) -> str:
    held = "losses at its ends" if drawing.name == "loss" else "figures"
    told = f"{escape(_caption(drawing, dossier))} The table below holds its {held}."
    caption = f'<b>{escape(drawing.title)}.</b>{_badge(stamp)} <span id="about-{drawing.name}">{told}</span>'
    label = f'role="region" aria-label="{escape(drawing.title)}"'
    picture = draw_svg(drawing, described=f"about-{drawing.name}")
    return f'<figure><div class="wide" tabindex="0" {label}>{picture}</div><figcaption>{caption}</figcaption></figure>'


def _caption(drawing: Drawing, dossier: Dossier) -> str:
    level = percent(1 - dossier.spec.analysis.alpha)
    captions = {
        "accuracy": f"One dot a run, last epoch, with its {level} Wilson interval over samples.{_best(dossier)}",
        "interaction": f"Means over seeds with {level} t intervals; lines that are not parallel are an interaction.",
        "reliability": f"A panel a run; on the broken line, as often right as said; {level} Wilson intervals.",
        "roc": "A panel a run; the curve of a model that knows nothing is the broken line.",
        "risk_coverage": "A panel a run: what abstaining on the least sure samples would save.",
        "loss": "Lines are training loss, a run each; rings are validation loss. Nats per token against step.",
    }
    others = f"One dot a run with its {level} Wilson interval; the base model in grey."
    return captions.get(drawing.name, others)


def _best(dossier: Dossier) -> str:
    """Return what the upright line of the plot is, where it has any."""
    task = dossier.findings.task
    known = any(each.best is not None and each.task == task for each in dossier.findings.findings)
    return " The upright line is the best possible accuracy on these rows." if known else ""


def _table(table: Table) -> Iterator[str]:
    if table.note:
        yield f'<p class="note">{_prose(table.note)}</p>'
    if not table.rows:
        return
    head = "".join(
        f'<th class="{column.kind}" scope="col"{_role(table, "columnheader")}>{escape(column.name)}</th>'
        for column in table.columns
    )
    rows = "\n".join(_row(number, table) for number in range(len(table.rows)))
    kind, title = (' class="told"' if table.key in _SENTENCES else ""), escape(table.title)
    group = _role(table, "rowgroup")
    inside = f"<caption>{title}</caption><thead{group}><tr{_role(table, 'row')}>{head}</tr></thead>"
    whole = f"<table{kind}{_role(table, 'table')}>{inside}<tbody{group}>\n{rows}\n</tbody></table>"
    body = f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {title}">{whole}</div>'
    count = f"{len(table.rows)} rows of {title}"
    yield f"<details><summary>{count}</summary>{body}</details>" if len(table.rows) > _FOLDED else body
    if table.lines:
        yield f'<pre tabindex="0">{escape(chr(10).join(table.lines))}</pre>'


def _role(table: Table, role: str) -> str:
    """Return a role said aloud: tables that stand as blocks would lose what they are."""
    return f' role="{role}"' if table.key in _SENTENCES else ""


def _row(number: int, table: Table) -> str:
    row = table.rows[number]
    if table.places:
        anchor = html_place(table.places[number])
    else:
        anchor = f' id="source-{escape(row[0])}"' if table.key == "sources" else ""
    first, *others = zip(row, table.columns, strict=True)
    head = _cell(*first, tag="th", extra=f' scope="row"{_role(table, "rowheader")}')
    names = [escape(column.name) for column in table.columns[1:]]
    cells = "".join(
        _cell(*each, extra=f'{_role(table, "cell")} data-name="{name}"' if table.key in _SENTENCES else "")
        for each, name in zip(others, names, strict=True)
    )
    return f"<tr{anchor}{_role(table, 'row')}>{head}{cells}</tr>"


def _cell(text: str, column: Column, *, tag: str = "td", extra: str = "") -> str:
    return f'<{tag} class="{column.kind}"{extra}>{_content(text, column)}</{tag}>'


@lru_cache(maxsize=_CELLS)
def _content(text: str, column: Column) -> str:
    if column.kind == "source" and text != "-":
        return "".join(f'<a href="#source-{escape(label)}">{escape(label)}</a>' for label in text.split())
    if column.kind == "number":
        return escape(_typographic(text))
    if column.kind == "code":
        return _dimmed(text)
    if column.kind == "verdict":
        return _verdict(text)
    return _prose(text)


def _verdict(text: str) -> str:
    """Return a verdict with its sign: neither colour nor sign is needed to read it."""
    word, stamp, _ = text.partition(f" {EXPLORATORY}")
    sign, kind = _SIGNS.get(word, ("", ""))
    shown = f'<span class="verdict {kind}"><span aria-hidden="true">{sign}</span> {escape(word)}</span>'
    return f"{shown}{_badge(EXPLORATORY) if stamp else ''}"


def _dimmed(text: str) -> str:
    """Return a run id with its hash set back, and any other name as it is."""
    text, stamp, _ = text.partition(f" {EXPLORATORY}")
    if stamp:
        return f"{_dimmed(text)}{_badge(EXPLORATORY)}"
    stem, hyphen, tail = text.rpartition("-")
    is_hash = len(tail) == 8 and all(letter in "0123456789abcdef" for letter in tail)
    return f'{escape(stem)}<span class="hash">{hyphen}{tail}</span>' if is_hash and stem else escape(text)


def _prose(text: str) -> str:
    """Return escaped text whose backticks became code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return _plain(text)
    return "".join(
        f"<code>{escape(piece)}</code>" if place % 2 else _plain(piece) for place, piece in enumerate(pieces)
    )


def _plain(text: str) -> str:
    """Return escaped text in which no interval is broken between lines."""
    return _INTERVAL.sub(r'<span class="nb">\g<0></span>', escape(_typographic(text)))


def _typographic(text: str) -> str:
    """Return text with true minus signs before digits."""
    if "-" not in text:
        return text
    marks = zip(" " + text, text, text[1:] + " ", strict=False)
    return "".join(
        "\u2212" if now == "-" and after.isdigit() and before in " [(" else now for before, now, after in marks
    )
