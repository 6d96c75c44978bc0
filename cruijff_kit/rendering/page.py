"""`report/index.html`: one file, no script, nothing fetched; for screen, dark screen and print."""

import re
from collections.abc import Iterator
from html import escape

from cruijff_kit.rendering.drawing import Drawing, draw_svg
from cruijff_kit.rendering.numbers import percent
from cruijff_kit.rendering.references import html_place, html_section, html_sentence
from cruijff_kit.rendering.report_tables import Column, Table, report_tables
from cruijff_kit.rendering.report_text import audit_words, method_words
from cruijff_kit.rendering.style import style_sheet
from cruijff_kit.schema.report import Dossier

__all__ = ["render_page"]

_INTERVAL = re.compile(r"\[[^\[\]]{1,24}\]")
# What a reader asks first comes first; Markdown keeps the order of the work.
_ORDER = (
    "search", "accuracy", "means", "effects", "base", "ranking", "groups", "calibration", "scores", "guarantees",
    "audited", "audited_groups", "training", "status", "compute", "incomplete", "data",
)  # fmt: skip
# Longer tables are folded under their plot.
_FOLDED = 20
_AFTER = {
    "accuracy": "accuracy",
    "interaction": "means",
    "loss": "training",
    "reliability": "calibration",
    "roc": "scores",
    "risk_coverage": "scores",
}


def render_page(dossier: Dossier, drawings: tuple[Drawing, ...]) -> str:
    """Return the page; the same dossier and drawings give the same text.

    Args:
        dossier: everything the report is made of.
        drawings: the plots, shown beside the table each belongs to.
    """
    name = escape(dossier.spec.name)
    parts = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{name}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>",
        *_header(dossier),
        *_sections(dossier, drawings),
        *_footer(dossier),
        "</body>\n</html>",
    )
    return "\n".join(parts) + "\n"


def _header(dossier: Dossier) -> Iterator[str]:
    spec, findings = dossier.spec, dossier.findings
    yield '<header id="head">'
    yield f'<p class="kicker">{escape(spec.type.replace("_", " "))} · designed {escape(spec.created)}</p>'
    yield f"<h1>{escape(spec.name)}</h1>"
    yield f'<p class="question">{escape(spec.question)}</p>'
    if spec.hypothesis:
        yield f'<p class="hypothesis">Expected: {escape(spec.hypothesis)}</p>'
    yield "</header>"
    yield '<section id="bottom" class="bottom"><h2>Bottom line</h2><ul>'
    yield from (f"<li{html_sentence(sentence, dossier)}>{_prose(sentence)}</li>" for sentence in findings.bottom_line)
    yield "</ul></section>"
    if not dossier.audit.verdict.ok:
        yield from (
            f'<p class="alarm"{html_sentence(sentence, dossier)}>{_prose(sentence)}</p>'
            for sentence in audit_words(dossier)
        )


def _sections(dossier: Dossier, drawings: tuple[Drawing, ...]) -> Iterator[str]:
    tables = [table for table in report_tables(dossier) if table.key in _ORDER]
    for table in sorted(tables, key=lambda each: _ORDER.index(each.key)):
        yield f'<section id="{table.key}"{html_section(table)}><h2>{escape(table.title)}</h2>'
        yield from (_figure(drawing, dossier) for drawing in drawings if _place(drawing) == table.key)
        yield from _table(table)
        yield "</section>"
    if dossier.findings.notes:
        items = "".join(f"<li{html_sentence(note, dossier)}>{_prose(note)}</li>" for note in dossier.findings.notes)
        yield f'<section id="notes"><h2>Notes</h2><ul class="note">{items}</ul></section>'


def _place(drawing: Drawing) -> str:
    return _AFTER.get(drawing.name, "groups")


def _footer(dossier: Dossier) -> Iterator[str]:
    yield '<footer><section id="audit"><h2 id="method">How this was made</h2>'
    yield from (
        f'<p class="note"{html_sentence(sentence, dossier)}>{_prose(sentence)}</p>'
        for sentence in (*audit_words(dossier), *method_words(dossier))
    )
    yield "</section>"
    for table in report_tables(dossier):
        if table.key == "sources":
            yield f'<section id="sources"><h2>{escape(table.title)}</h2>'
            yield from _table(table)
            yield "</section>"
    yield "</footer>"


def _figure(drawing: Drawing, dossier: Dossier) -> str:
    caption = f"<b>{escape(drawing.title)}.</b> {escape(_caption(drawing, dossier))}"
    return f"<figure>{draw_svg(drawing)}<figcaption>{caption}</figcaption></figure>"


def _caption(drawing: Drawing, dossier: Dossier) -> str:
    level = percent(1 - dossier.spec.analysis.alpha)
    captions = {
        "accuracy": f"One dot a run, last epoch, with its {level} Wilson interval over samples.",
        "interaction": f"Means over seeds with {level} t intervals; lines that are not parallel are an interaction.",
        "reliability": f"A panel a run; on the broken line, as often right as said; {level} Wilson intervals.",
        "roc": "A panel a run; the curve of a model that knows nothing is the broken line.",
        "risk_coverage": "A panel a run: what abstaining on the least sure samples would save.",
        "loss": "Lines are training loss, a run each; rings are validation loss. Nats per token against step.",
    }
    others = f"One dot a run with its {level} Wilson interval; the base model in grey."
    return captions.get(drawing.name, others)


def _table(table: Table) -> Iterator[str]:
    if table.note:
        yield f'<p class="note">{_prose(table.note)}</p>'
    if not table.rows:
        return
    head = "".join(f'<th class="{column.kind}" scope="col">{escape(column.name)}</th>' for column in table.columns)
    rows = "\n".join(_row(number, table) for number in range(len(table.rows)))
    body = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'
    yield f"<details><summary>{len(table.rows)} rows</summary>{body}</details>" if len(table.rows) > _FOLDED else body
    if table.lines:
        yield f"<pre>{escape(chr(10).join(table.lines))}</pre>"


def _row(number: int, table: Table) -> str:
    row = table.rows[number]
    if table.places:
        anchor = html_place(table.places[number])
    else:
        anchor = f' id="source-{escape(row[0])}"' if table.key == "sources" else ""
    cells = "".join(_cell(text, column) for text, column in zip(row, table.columns, strict=True))
    return f"<tr{anchor}>{cells}</tr>"


def _cell(text: str, column: Column) -> str:
    return f'<td class="{column.kind}">{_content(text, column)}</td>'


def _content(text: str, column: Column) -> str:
    if column.kind == "source" and text != "-":
        return "".join(f'<a href="#source-{escape(label)}">{escape(label)}</a>' for label in text.split())
    if column.kind == "number":
        return escape(_typographic(text))
    if column.kind == "code":
        return _dimmed(text)
    return _prose(text)


def _dimmed(text: str) -> str:
    """Return a run id with its hash set back, and any other name as it is."""
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
    marks = zip(" " + text, text, text[1:] + " ", strict=False)
    return "".join(
        "\u2212" if now == "-" and after.isdigit() and before in " [(" else now for before, now, after in marks
    )
