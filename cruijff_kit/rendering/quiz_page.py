"""`quiz/index.html`: questions that grade themselves; one file, nothing fetched, all by keyboard."""

import base64
import json
from collections.abc import Iterator
from hashlib import sha256
from html import escape

from cruijff_kit.rendering.style import style_sheet
from cruijff_kit.schema.quiz import Question, Quiz

__all__ = ["render_quiz"]

_RULES = """
fieldset{border:1px solid var(--grid);margin:1.6rem 0;padding:.6rem 1.2rem 1rem;max-width:44rem}
legend{float:left;width:100%;font-weight:600;padding:.3rem 0;overflow-wrap:anywhere}
legend+label{clear:both}
label{display:flex;padding:.45rem .2rem;overflow-wrap:anywhere;cursor:pointer}
input{flex:none;margin:.25rem .6rem 0 0;width:1.05rem;height:1.05rem}
button{font:inherit;padding:.5rem 1.2rem;border:2px solid var(--ink);
background:var(--paper);color:var(--ink);cursor:pointer}
:focus-visible{outline:3px solid var(--c0);outline-offset:2px}
.answer{margin:.6rem 0 0;padding-left:.8rem;border-left:4px solid var(--base)}
.answer.right{border-color:var(--c2)}.answer.wrong{border-color:var(--accent)}
@media print{button{display:none}}
"""

# What stands in the page is mixed with the key, so that reading the source shows no answer by chance.
_SCRIPT = """
(function () {
  "use strict";
  var form = document.getElementById("quiz"), score = document.getElementById("score");
  var key = form.dataset.key, packed = atob(form.dataset.answers), bytes = new Uint8Array(packed.length);
  for (var i = 0; i < packed.length; i += 1) {
    bytes[i] = packed.charCodeAt(i) ^ key.charCodeAt(i % key.length);
  }
  var answers = JSON.parse(new TextDecoder().decode(bytes));
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var right = 0, open = 0;
    answers.forEach(function (answer, at) {
      var chosen = form.querySelector('input[name="q' + at + '"]:checked'), note = document.getElementById("a" + at);
      if (!chosen) { open += 1; note.hidden = true; return; }
      var good = Number(chosen.value) === answer.right;
      right += good ? 1 : 0;
      note.className = "answer " + (good ? "right" : "wrong");
      note.textContent = (good ? "\\u2713 Right: " : "\\u2717 Not so. It is \\u201c" + answer.text + "\\u201d: ") +
        answer.why + ". Source: " + answer.source + ".";
      note.hidden = false;
    });
    score.textContent = right + " of " + answers.length + " right" +
      (open ? ", " + open + " not answered yet" : "") + ".";
    score.focus();
  });
  form.addEventListener("reset", function () {
    answers.forEach(function (_, at) { document.getElementById("a" + at).hidden = true; });
    score.textContent = "";
  });
}());
"""


def render_quiz(quiz: Quiz) -> str:
    """Return the page; the same quiz gives the same text."""
    key = sha256(f"{quiz.report_sha256} {quiz.seed}".encode()).hexdigest()
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; form-action 'none'"
    parts = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>Quiz: {escape(quiz.experiment)}</title>\n<style>{style_sheet()}{_RULES}</style>\n</head>",
        "<body>\n<main>",
        f'<header>\n<p class="kicker">quiz</p>\n<h1>{escape(quiz.experiment)}</h1>',
        f'<p class="question">{escape(quiz.question)}</p>\n</header>',
        '<noscript><p class="alarm">This page grades itself by its own script, and scripts are off.</p></noscript>',
        f'<form id="quiz" data-key="{key}" data-answers="{_packed(quiz.questions, key)}">',
        *(part for at, each in enumerate(quiz.questions) for part in _asked(each, at)),
        '<p><button type="submit">Grade my answers</button> <button type="reset">Begin again</button></p>',
        '<p id="score" class="lead" role="status" tabindex="-1"></p>\n</form>',
        f'<p class="note">Made by code from the report, sha256 {quiz.report_sha256[:12]}; seed {quiz.seed}.</p>',
        f"</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>",
    )
    return "\n".join(parts) + "\n"


def _asked(question: Question, at: int) -> Iterator[str]:
    yield f"<fieldset>\n<legend>{at + 1}. {escape(question.text)}</legend>"
    for place, option in enumerate(question.options):
        yield f'<label><input type="radio" name="q{at}" value="{place}">{escape(option)}</label>'
    yield f'<p id="a{at}" class="answer" hidden></p>\n</fieldset>'


def _packed(questions: tuple[Question, ...], key: str) -> str:
    """Return right answers with their reasons and sources as text that nobody reads by looking at it."""
    told = [
        {
            "right": each.right,
            "text": each.options[each.right],
            "why": each.why,
            "source": f"{each.source}, {each.path}" + (f" (sha256 {each.sha256[:12]})" if each.sha256 else ""),
        }
        for each in questions
    ]
    plain = json.dumps(told, ensure_ascii=False).encode()
    mixed = bytes(byte ^ ord(key[at % len(key)]) for at, byte in enumerate(plain))
    return base64.b64encode(mixed).decode()
