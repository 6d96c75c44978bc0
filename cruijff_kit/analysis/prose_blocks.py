"""Prose of people in paragraphs: the figures each one cites, and its lines without what needs no citing."""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Block", "prose_blocks"]

_FENCE = re.compile(r"^\s*(?:```|~~~)")
_STARTS = re.compile(r"^\s*(?:[-*+]\s|\d+[.)]\s|#|\||>)")
_ALONE = re.compile(r"^\s*[#|]")
_CODE = re.compile(r"`([^`\n]+)`")
_FREE = (
    # Heading numbers and list markers.
    re.compile(r"^\s*#+\s*(?:\d+(?:\.\d+)*[.)]?\s)?"),
    re.compile(r"^\s*\d+[.)]\s"),
    # Targets of links, and addresses.
    re.compile(r"\]\([^)\s]*\)|\w+://\S+"),
    # Dates, times, versions, hashes.
    re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?\b|\b\d{1,2}:\d\d(?::\d\d)?\b"),
    re.compile(
        r"\b\d{1,2}\.?\s+(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?(?:\s+\d{4})?\b", re.IGNORECASE
    ),
    re.compile(r"\bv?\d+\.\d+\.\d+(?:[-+.]\w+)*\b"),
    re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"),
    # What is pointed at by its number, and ordinals.
    re.compile(
        r"\b(?:section|sec\.|table|figure|fig\.|appendix|chapter|page|line|row|step|epoch|seed|trial|run|claim)s?\s+"
        r"\d+(?:\.\d+)*(?!\.?\d)(?:\s*(?:and|to|or|,|-|\u2013)\s*\d+(?!\.?\d))*(?!\s*%)",
        re.IGNORECASE,
    ),
    re.compile(r"\b\d+(?:st|nd|rd|th)\b"),
    # Counts up to ten, which people write as words too; never a share, nor part of another number.
    re.compile(
        r"(?<![\w.,+\u2212-])(?:10|\d)(?![\w%]|[.,]?\d|\s*(?:%|percent\b|percentage\b|points?\b))",
    ),
)


class Block(NamedTuple):
    """A paragraph, an item of a list, a row or a heading."""

    cited: tuple[str, ...]
    """Whatever stands in backticks in it."""
    lines: tuple[tuple[int, str], ...]
    """Its lines by number from 1, without what needs no citing."""


def prose_blocks(text: str) -> Iterator[Block]:
    """Yield the paragraphs of Markdown text; fenced code is passed over.

    Headings' and lists' own numbers, dates, times, versions, hashes, addresses, ordinals, what is pointed at
    by its number as in `table 2` or `seed 3`, and counts up to ten need no citing and are blanked.
    """
    block: list[tuple[int, str]] = []
    fenced = False
    for number, line in enumerate(text.split("\n"), start=1):
        fence = bool(_FENCE.match(line))
        fenced ^= fence
        if fence or fenced or not line.strip() or _STARTS.match(line):
            yield from _block(block)
            block = []
        if line.strip() and not (fence or fenced):
            block.append((number, line))
        if _ALONE.match(line):
            yield from _block(block)
            block = []
    yield from _block(block)


def _block(lines: list[tuple[int, str]]) -> Iterator[Block]:
    if lines:
        cited = dict.fromkeys(name for _, line in lines for name in _CODE.findall(line))
        yield Block(tuple(cited), tuple((number, _bare(line)) for number, line in lines))


def _bare(line: str) -> str:
    line = _CODE.sub(" ", line)
    for pattern in _FREE:
        line = pattern.sub(" ", line)
    return line
