"""What a document quotes of an answer: the same words in the same order, whatever numbers stand there today."""

import re

__all__ = ["unlike"]

_NAMED = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b")
_NUMBER = re.compile(r"[+-]?\d[\d.,:]*(?:e[+-]?\d+)?")
_RULE = re.compile(r"[-─]{3,}")
_REST = "…"


def unlike(quoted: str, said: str) -> list[str]:
    """Return the lines of a quotation that do not follow in what was said.

    Numbers and hashes count as alike, and so does any space; `…` alone leaves out lines, at the end of one its rest.
    """
    lines = iter([_shape(line) for line in said.splitlines()])
    wrong = []
    for line in quoted.splitlines():
        wanted = _shape(line)
        if wanted in ("", _REST) or any(_is(wanted, each) for each in lines):
            continue
        wrong.append(line)
    return wrong


def _shape(line: str) -> str:
    named = _NAMED.sub("#", line.strip())
    return re.sub(r"\s+", " ", _RULE.sub("---", _NUMBER.sub("#", named)))


def _is(wanted: str, line: str) -> bool:
    return line.startswith(wanted[:-1].rstrip()) if wanted.endswith(_REST) else line == wanted
