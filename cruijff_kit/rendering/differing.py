"""Documents compared with what they should say: which number of which line differs, and where it comes from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import NamedTuple

from cruijff_kit.schema.verification import Difference, Origin, Printed

__all__ = ["Rendered", "document_differences"]

_TOKEN = re.compile(r"[\w.,+%\u2212-]+")
_NUMBER = re.compile(r"[-+\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LABELS = re.compile(r"\[([a-z]\d+(?: [a-z]\d+)*)\]\(#sources\)")
_MARKED = re.compile(r'(?:<\w+ id="(?P<anchor>[\w-]+)"[^>]*?)?data-source="(?P<labels>[^"]*)"')
_AROUND = 24
_MOST = 200
"""Places named of one document: whoever has more looks for the cause, which is named first."""
_COSTLY = 4_000_000
"""Pairs of lines; more are not aligned."""
_HEADING, _RULE = "## ", "| ---"


class Rendered(NamedTuple):
    """Documents as they follow from the raw files, and what leads from their numbers to these."""

    documents: Mapping[str, str]
    """Path to text."""
    origins: Mapping[str, Origin]
    """Label to the file it stands for."""
    printed: Mapping[str, Printed]
    """Anchor of a row to what is printed in it."""
    sections: Mapping[str, str]
    """Heading of a table in `summary.md` to its key."""


class _Span(NamedTuple):
    """Where two lines differ."""

    start: int
    """Position in the line that was made anew."""
    shown: str
    """What stands there."""
    made: str
    """What should."""


def document_differences(path: str, shown: str, *, rendered: Rendered) -> Iterator[Difference]:
    """Yield the places at which a document differs from what follows from the raw files, 200 at most.

    Args:
        path: the document.
        shown: its text on disk.
        rendered: the documents made anew.
    """
    made = rendered.documents[path]
    if shown == made:
        return
    before, after = shown.split("\n"), made.split("\n")
    found = _all(path, before, after=after, rendered=rendered)
    yield from islice(found, _MOST)
    if next(found, None) is not None:
        yield Difference(kind="text", path=path, words=f"it differs in more than {_MOST} places")


def _all(path: str, before: Sequence[str], *, after: Sequence[str], rendered: Rendered) -> Iterator[Difference]:
    for number, line, anew in _pairs(before, after):
        if anew is None:
            yield Difference(
                kind="text", path=path, place=f"line {number}", shown=_cut(before[number - 1]),
                words="this line does not follow from the raw files",
            )  # fmt: skip
        elif line is None:
            yield _named(path, "", span=_Span(0, "", after[anew]), at=anew, lines=after, rendered=rendered)
        else:
            for span in _spans(line, after[anew]):
                yield _named(path, f"line {number}", span=span, at=anew, lines=after, rendered=rendered)


def _pairs(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, str | None, int | None]]:
    """Yield number and text of a line on disk, and the place of that which should stand there; None where is none."""
    if len(before) == len(after):
        pairs = zip(before, after, strict=True)
        yield from ((at + 1, line, at) for at, (line, anew) in enumerate(pairs) if line != anew)
        return
    for first, last, start, end in _changes(before, after):
        shared = min(last - first, end - start)
        yield from ((first + at + 1, before[first + at], start + at) for at in range(shared))
        yield from ((at + 1, before[at], None) for at in range(first + shared, last))
        yield from ((first + 1, None, at) for at in range(start + shared, end))


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield stretches of lines that differ: from, to, and from, to in the document made anew."""
    shortest = min(len(before), len(after))
    head = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    tail = next((at for at in range(shortest - head) if before[-1 - at] != after[-1 - at]), shortest - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(old) * len(new) > _COSTLY:
        yield head, head + len(old), head, head + len(new)
        return
    for tag, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield head + first, head + last, head + start, head + end


def _spans(shown: str, made: str) -> Iterator[_Span]:
    """Yield the words that differ, one by one where both lines have as many."""
    told, anew = list(_TOKEN.finditer(shown)), list(_TOKEN.finditer(made))
    if len(told) == len(anew) and _TOKEN.sub("", shown) == _TOKEN.sub("", made):
        pairs = zip(told, anew, strict=True)
        yield from (_Span(new.start(), old.group(), new.group()) for old, new in pairs if old.group() != new.group())
        return
    start = next((at for at, (a, b) in enumerate(zip(shown, made, strict=False)) if a != b), min(len(shown), len(made)))
    pairs = zip(reversed(shown[start:]), reversed(made[start:]), strict=False)
    end = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(shown), len(made)) - start)
    first = max(0, start - _AROUND)
    yield _Span(start, _cut(shown[first : len(shown) - end + _AROUND]), _cut(made[first : len(made) - end + _AROUND]))


def _named(path: str, place: str, *, span: _Span, at: int, lines: Sequence[str], rendered: Rendered) -> Difference:
    origins = tuple(_origins(path, span, at=at, lines=lines, rendered=rendered))
    numbers = bool(_NUMBER.fullmatch(span.shown.strip(".,%")) and _NUMBER.fullmatch(span.made.strip(".,%")))
    follows = f"`{_cut(span.made)}` follows from the raw files"
    return Difference(
        kind="number" if numbers else "text",
        path=path,
        place=place,
        shown=_cut(span.shown),
        made=_cut(span.made),
        origins=origins,
        words=f"`{_cut(span.shown)}` stands there, {follows}" if place else f"a line is missing: {follows}",
    )


def _origins(path: str, span: _Span, *, at: int, lines: Sequence[str], rendered: Rendered) -> Iterator[Origin]:
    if path.endswith(".json"):
        return
    if path.endswith(".md"):
        anchor, labels = _row_of(lines, at, sections=rendered.sections), _told(lines, at)
    else:
        anchor, labels = _marked(lines, at, start=span.start)
    if anchor in rendered.printed:
        yield from rendered.printed[anchor].origins
    else:
        yield from (rendered.origins[label] for label in labels if label in rendered.origins)


def _row_of(lines: Sequence[str], at: int, *, sections: Mapping[str, str]) -> str:
    """Return the anchor of a row of `summary.md`; empty for a line that is none."""
    if not lines[at].startswith("| "):
        return ""
    rule = next((number for number in range(at, -1, -1) if lines[number].startswith(_RULE)), at)
    head = next((lines[number] for number in range(rule, -1, -1) if lines[number].startswith(_HEADING)), "")
    return f"{sections.get(head.removeprefix(_HEADING), '')}-{at - rule}"


def _told(lines: Sequence[str], at: int) -> list[str]:
    """Return the labels that a line of `summary.md` names, or else the first that follow in its section."""
    for line in lines[at:]:
        found = _LABELS.search(line)
        if found:
            return found[1].split()
        if line.startswith(_HEADING):
            break
    return []


def _marked(lines: Sequence[str], at: int, *, start: int) -> tuple[str, list[str]]:
    """Return anchor and labels of the element of the page that a position lies in."""
    for number in range(at, -1, -1):
        text = lines[number][: start if number == at else None]
        found = list(_MARKED.finditer(text))
        if found:
            return found[-1]["anchor"] or "", found[-1]["labels"].split()
    return "", []


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"
