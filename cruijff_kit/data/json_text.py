"""JSON and JSON Lines: text to values, with the line of whatever is wrong."""

import json
import re
from collections.abc import Iterator
from typing import Any

from cruijff_kit.errors import Problem, SpecError

__all__ = ["WHOLE", "half_character", "list_lines", "parse_json", "parse_lines", "read_text", "row_lines", "told_of"]

WHOLE = "write the character whole: half of a surrogate pair is no text"
"""What mends half of a character."""

_SHOWN = 20
_GAP = re.compile(r"[\s,:]*")
# An even number of backslashes before it are themselves escaped.
_HALF = re.compile(
    r"(?<!\\)(?:\\\\)*"
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


def read_text(content: bytes, name: str) -> str:
    """Return the text of a file.

    Raises:
        SpecError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        problem = Problem(f"byte {err.start} is not UTF-8", place=f"{name}:{line}", hint="save the file as UTF-8")
        raise SpecError(f"`{name}` cannot be read", problems=[problem]) from err


def half_character(text: str) -> tuple[str, int] | None:
    """Return what is wrong with the first escape of a JSON text that is half of a surrogate pair, and its position.

    Python reads it; nothing can write, hash or tokenise it.
    """
    found = _HALF.search(text)
    return found and (f"text holds half of a character, `{found[1]}`", found.start(1))


def parse_json(text: str, name: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        SpecError: it is torn or no JSON, writes a key twice or holds half of a character.
    """
    repeated: list[str] = []
    try:
        value = _loads(text, repeated)
    except (ValueError, RecursionError) as err:
        raise SpecError(f"`{name}` is not valid JSON", problems=[_torn(err, text, name=name)]) from err
    if repeated:
        facts = [Problem(f"key `{key}` is written twice", place=name, hint="keep one of them") for key in repeated]
        raise SpecError(f"`{name}` is ambiguous", problems=facts[:_SHOWN])
    if half := half_character(text):
        problem = Problem(half[0], place=f"{name}:{text.count(chr(10), 0, half[1]) + 1}", hint=WHOLE)
        raise SpecError(f"`{name}` cannot be read", problems=[problem])
    return value


def parse_lines(text: str, name: str) -> tuple[list[Any], list[int]]:
    """Return the value of every line of JSON Lines that is not blank, and its line, from 1.

    Raises:
        SpecError: lines are torn, are no JSON, write a key twice or hold half of a character; twenty at most.
    """
    values, lines, problems = [], [], list[Problem]()
    # Only a line feed ends a line: other separators may stand inside a text.
    for line, part in enumerate(text.split("\n"), start=1):
        repeated: list[str] = []
        if not part.strip():
            continue
        try:
            values.append(_loads(part, repeated))
        except (ValueError, RecursionError) as err:
            torn = _torn(err, part, name=name)
            problems.append(torn._replace(place=f"{name}:{line}"))
        lines.append(line)
        problems += [Problem(f"key `{key}` is written twice", "", f"{name}:{line}", "keep one") for key in repeated]
        half = half_character(part)
        problems += [Problem(half[0], place=f"{name}:{line}", hint=WHOLE)] if half else []
    if problems:
        raise SpecError(f"`{name}` is not valid JSON Lines", problems=problems[:_SHOWN])
    return values, lines


def row_lines(text: str) -> dict[tuple[str, int], int]:
    """Return the line, from 1, at which each row of an object of splits starts."""
    starts = _split_starts(text)
    return dict(zip(((split, index) for split, index, _ in starts), _lines(text, starts), strict=True))


def list_lines(text: str) -> list[int]:
    """Return the line, from 1, at which each item of a JSON list starts."""
    starts = [("", index, start) for index, start, _ in _items(text, text.index("[") + 1)]
    return list(_lines(text, starts))


def told_of(err: json.JSONDecodeError) -> str:
    """Return what is wrong with a JSON text, without where."""
    fact = err.msg.removesuffix(" starting at")
    return f"{fact[:1].lower()}{fact[1:]}"


def _lines(text: str, starts: list[tuple[str, int, int]]) -> Iterator[int]:
    line, counted = 1, 0
    for _, _, start in starts:
        line += text.count("\n", counted, start)
        counted = start
        yield line


def _split_starts(text: str) -> list[tuple[str, int, int]]:
    found = []
    decoder = json.JSONDecoder()
    at = _next(text, text.index("{") + 1)
    while text[at] != "}":
        split, at = decoder.raw_decode(text, at)
        at = _next(text, at) + 1
        items = list(_items(text, at))
        found += [(split, index, start) for index, start, _ in items]
        at = _next(text, _next(text, items[-1][2] if items else at) + 1)
    return found


def _items(text: str, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield index, start and end of each item of a list that begins before a position."""
    decoder, index = json.JSONDecoder(), 0
    while text[at := _next(text, at)] != "]":
        start = at
        _, at = decoder.raw_decode(text, at)
        yield index, start, at
        index += 1


def _next(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _loads(text: str, repeated: list[str]) -> Any:
    """Parse JSON and collect the keys that one object writes twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return row

    return json.loads(text, object_pairs_hook=unique)


def _torn(err: Exception, text: str, *, name: str) -> Problem:
    if isinstance(err, RecursionError):
        return Problem("nested too deeply for a data set", place=name, hint="lay it out as split name to list of rows")
    if not isinstance(err, json.JSONDecodeError):
        # Python reads whole numbers of some thousand digits at most.
        return Problem("a whole number has too many digits", place=name, hint="write it as text, in quotes")
    if not text[err.pos :].strip():
        hint = "the file is torn: copy or generate it again"
        return Problem("the file ends before its JSON does", place=f"{name}:{err.lineno}", hint=hint)
    return Problem(
        f"{told_of(err)} at column {err.colno}",
        place=f"{name}:{err.lineno}",
        hint="mend the line, or the one before it",
    )
