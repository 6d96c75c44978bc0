"""One member of a JSON file changed in place: comments, order, indents and line ends of all else stay."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["parse_json", "with_member"]

_BLANK = re.compile(r"[ \t\r\n]*")
_COMMENTED = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_DEEPEST = 100


class _Member(NamedTuple):
    """One member of an object, by where it stands in the text."""

    key: str
    """Its name."""
    start: int
    """Where its name begins."""
    value: "_Value"
    """What it says."""


class _Value(NamedTuple):
    """One value, by where it stands in the text."""

    start: int
    """Where it begins."""
    end: int
    """Where it has ended."""
    plain: Any
    """What it is."""
    members: tuple[_Member, ...] = ()
    """Members of an object, in order."""
    comma: bool = False
    """Whether a comma stands after the last member."""


def parse_json(text: str, *, comments: bool) -> Any:
    """Return what a JSON text says.

    Args:
        text: the text.
        comments: whether comments and a comma after the last item are allowed, as some clients do.

    Raises:
        ValueError: it is not JSON, or an object says a name twice; tells the line.
    """
    return _Reader(text, comments=comments).document().plain


def with_member(text: str, path: Sequence[str], *, value: Any, comments: bool) -> str:
    """Return a JSON text in which the member at a path of names is a value; what lacks on the way is added.

    Raises:
        ValueError: the text is not JSON, or something on the way is no object.
    """
    found = _Reader(text, comments=comments).document()
    unit, place = _unit(text, found), found.start
    for depth, name in enumerate(path):
        if not isinstance(found.plain, dict):
            raise ValueError(f"`{'.'.join(path[:depth]) or 'the whole'}` is not an object")
        inner = next((each for each in found.members if each.key == name), None)
        if inner is None:
            nested = value
            for outer in reversed(path[depth + 1 :]):
                nested = {outer: nested}
            return _inserted(text, found, name=name, value=nested, unit=unit)
        found, place = inner.value, inner.start
    # What stands on one line stays on one.
    flat = bool(found.plain) and "\n" not in text[found.start : found.end]
    new = _flat(value) if flat else _dumped(value, unit=unit, indent=_indent(text, place))
    return text[: found.start] + _lines(text, new) + text[found.end :]


class _Reader:
    """Reads one JSON text from its beginning."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self._text, self._at, self._comments = text, 0, comments
        self._scan = json.JSONDecoder(parse_constant=self._constant).raw_decode

    def document(self) -> _Value:
        found = self._value(0)
        self._skip()
        if self._at != len(self._text):
            raise self._fault("something follows the end")
        return found

    def _value(self, depth: int) -> _Value:
        self._skip()
        if depth > _DEEPEST:
            raise self._fault("it is nested too deep")
        opening = self._text[self._at : self._at + 1]
        if opening == "{":
            return self._object(depth)
        if opening == "[":
            return self._array(depth)
        try:
            plain, end = self._scan(self._text, self._at)
        except json.JSONDecodeError:
            raise self._fault("a value is expected") from None
        start, self._at = self._at, end
        return _Value(start, end, plain)

    def _object(self, depth: int) -> _Value:
        start, members = self._at, list[_Member]()
        comma = self._items("}", lambda: members.append(self._member(depth, members)))
        plain = {each.key: each.value.plain for each in members}
        return _Value(start, self._at, plain, tuple(members), comma)

    def _member(self, depth: int, before: Sequence[_Member]) -> _Member:
        place = self._at
        key = self._value(depth + 1).plain if self._text[place : place + 1] == '"' else None
        if key is None or not self._taken(":"):
            raise self._fault("a name and a colon are expected")
        if any(each.key == key for each in before):
            raise self._fault(f"`{key}` is said twice")
        return _Member(key, place, self._value(depth + 1))

    def _array(self, depth: int) -> _Value:
        start, items = self._at, list[Any]()
        self._items("]", lambda: items.append(self._value(depth + 1).plain))
        return _Value(start, self._at, items)

    def _items(self, close: str, take: Callable[[], None]) -> bool:
        """Take items up to the mark that closes them; return whether a comma stood after the last one."""
        first, comma = True, False
        self._at += 1
        while not self._taken(close):
            if not (first or comma):
                raise self._fault(f"a comma or `{close}` is expected")
            take()
            first, comma = False, self._taken(",")
        if comma and not self._comments:
            raise self._fault("a comma stands after the last item")
        return comma

    def _taken(self, mark: str) -> bool:
        """Go over blanks, then over a mark where it is there, and to what follows; return whether it was there."""
        self._skip()
        taken = self._text.startswith(mark, self._at)
        self._at += taken
        if taken and mark in ",:":
            self._skip()
        return taken

    def _skip(self) -> None:
        found = (_COMMENTED if self._comments else _BLANK).match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _constant(self, name: str) -> Any:
        raise self._fault(f"`{name}` is no JSON")

    def _fault(self, what: str) -> ValueError:
        line = self._text.count("\n", 0, self._at) + 1
        return ValueError(f"line {line}: {what}")


def _inserted(text: str, found: _Value, *, name: str, value: Any, unit: str) -> str:
    """Return the text with one more member at the end of an object; a comment after the last one stays with it."""
    close = found.end - 1
    if not found.members:
        indent = _indent(text, found.start)
        inner = indent + unit
        member = f"\n{inner}{json.dumps(name)}: {_dumped(value, unit=unit, indent=inner)}"
        kept = text[found.start + 1 : close].rstrip()
        return text[: found.start + 1] + kept + _lines(text, f"{member}\n{indent}") + text[close:]
    first, last = found.members[0], found.members[-1]
    if "\n" not in text[found.start : first.start]:
        member = f"{json.dumps(name)}: {_flat(value)}"
        gap = " " if found.comma else ", "
        end = len(text[:close].rstrip())
        return text[:end] + gap + member + text[end:]
    indent = _indent(text, first.start)
    end = len(text[:close].rstrip())
    member = f"\n{indent}{json.dumps(name)}: {_dumped(value, unit=unit, indent=indent)}"
    middle = text[last.value.end : end]
    return text[: last.value.end] + ("" if found.comma else ",") + middle + _lines(text, member) + text[end:]


def _dumped(value: Any, *, unit: str, indent: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", f"\n{indent}")


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(text: str, new: str) -> str:
    """Return new text with the line ends of the old."""
    return new.replace("\n", "\r\n") if "\r\n" in text else new


def _indent(text: str, place: int) -> str:
    """Return the blanks that begin the line of a place."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str, found: _Value) -> str:
    """Return what one level is indented by: two blanks where the text does not show it."""
    first = found.members[0] if found.members else None
    return (_indent(text, first.start) if first else "") or "  "
