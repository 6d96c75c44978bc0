"""A JSON file of rows read piece by piece: an object of splits, one list, or a single row."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from cruijff_kit.data.items import TALKS, is_item
from cruijff_kit.data.json_text import WHOLE, half_character, told_of
from cruijff_kit.errors import Problem, SpecError

__all__ = ["JsonRow", "json_rows", "unique_keys"]

_PIECE = 1 << 16
_SPACE = re.compile(r"\s*")
_LISTS = "give every split a list of rows"
_FORMS = "an object that is one row has `messages`, `instruction`, `prompt` or `text`"
_ENDING = "a file's ending tells its format: `.json`, `.jsonl`, `.parquet` or `.csv`"
_WRAP = 'wrap the rows as `{"train": [...], "test": [...]}`'


class JsonRow(NamedTuple):
    """One item of a list of rows."""

    value: Any
    """The item, not looked at yet."""
    place: str
    """File and line at which it begins."""
    split: str | None
    """Split whose list it is in; None where the file is one list, or one row."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's pairs; an object that writes a key twice is no value.

    Raises:
        ValueError: it does.
    """
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key `{next(key for key in keys if keys.count(key) > 1)}` is written twice")
    return row


def json_rows(file: IO[bytes], name: str) -> Iterator[JsonRow]:
    """Yield the rows of a JSON file in order, holding no more of it than the row at hand.

    Raises:
        SpecError: the file is torn, no JSON, not UTF-8, or holds neither splits nor a list.
    """
    text = _Text(file, name)
    first = text.take("{[", hint=_WRAP if name.lower().endswith(".json") else _ENDING)
    if first == "[":
        yield from _items(text, None)
    else:
        yield from _splits(text)
    text.end()


def _splits(text: "_Text") -> Iterator[JsonRow]:
    seen: set[str] = set()
    if text.peek() == "}":
        raise text.wrong("the file has no splits", hint=_WRAP)
    while True:
        split = text.value()
        if not isinstance(split, str):
            raise text.wrong("a split has no name", hint=_WRAP)
        if split in seen:
            raise text.wrong(f"key `{split}` is written twice")
        seen.add(split)
        text.take(":")
        if len(seen) == 1 and (split in TALKS or text.peek() != "["):
            yield from _single(text, split)
            return
        text.take("[", hint=_LISTS)
        yield from _items(text, split)
        if text.take(",}") == "}":
            return


def _single(text: "_Text", first: str) -> Iterator[JsonRow]:
    """Yield the one row that the file is, its first key passed over; or the rows of splits that begin like one."""
    place, refusal = text.place, text.wrong(f"`[` belongs where `{text.peek()}` stands", hint=f"{_LISTS}; {_FORMS}")
    row = {first: text.value()}
    while text.take(",}") == ",":
        key = text.value()
        if not isinstance(key, str) or key in row:
            raise text.wrong(f"key `{key}` is written twice, or is none")
        text.take(":")
        row[key] = text.value()
    if is_item(row):
        yield JsonRow(row, place, None)
        return
    if not all(isinstance(rows, list) for rows in row.values()):
        raise refusal
    for split, rows in row.items():
        yield from (JsonRow(each, place, split) for each in rows)


def _items(text: "_Text", split: str | None) -> Iterator[JsonRow]:
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        text.peek()
        place = text.place
        yield JsonRow(text.value(), place, split)
        if text.take(",]") == "]":
            return


class _Text:
    """A file's text from where it has been read to, as much as is needed."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(object_pairs_hook=unique_keys)
        self._text, self._at, self._line = "", 0, 1
        self._whole = False

    @property
    def place(self) -> str:
        """Return file and line."""
        return f"{self._name}:{self._line}"

    def peek(self) -> str:
        """Return the next character that is not space; empty at the end."""
        while True:
            gap = _SPACE.match(self._text, self._at)
            self._advance(gap.end() if gap else self._at)
            if self._at < len(self._text) or self._whole:
                return self._text[self._at : self._at + 1]
            self._read()

    def take(self, allowed: str, *, hint: str = "") -> str:
        """Pass over the next character and return it."""
        found = self.peek()
        if not found:
            raise self.wrong("the file ends before its JSON does", hint="the file is torn: copy or write it again")
        if found not in allowed:
            raise self.wrong(f"`{' or '.join(allowed)}` belongs where `{found}` stands", hint=hint)
        self._advance(self._at + 1)
        return found

    def value(self) -> Any:
        """Pass over the next value and return it."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as err:
                if self._whole:
                    raise self.wrong(told_of(err)) from err
            except (ValueError, RecursionError) as err:
                raise self.wrong(str(err)) from err
            else:
                # A number at the end of what was read may go on.
                if end < len(self._text) or self._whole:
                    self._pass(end)
                    return value
            self._read()

    def end(self) -> None:
        """Refuse whatever follows."""
        if self.peek():
            raise self.wrong("the file goes on after its JSON has ended")

    def wrong(self, fact: str, *, hint: str = "") -> SpecError:
        """Return the error of what stands here."""
        problem = Problem(fact, place=self.place, hint=hint or "mend the line, or the one before it")
        return SpecError(f"`{self._name}` cannot be read", problems=[problem])

    def _pass(self, end: int) -> None:
        """Pass over a value, which has to hold whole characters."""
        half = half_character(self._text[self._at : end])
        if half:
            self._advance(self._at + half[1])
            raise self.wrong(half[0], hint=WHOLE)
        self._advance(end)

    def _advance(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _read(self) -> None:
        # As much again as is held: a long row is then tried a few times, not once a piece.
        held = self._text[self._at :]
        piece = self._file.read(max(_PIECE, len(held)))
        try:
            self._text = held + self._decode.decode(piece, final=not piece)
        except UnicodeDecodeError as err:
            raise self.wrong("the text is not UTF-8", hint="save the file as UTF-8") from err
        self._at, self._whole = 0, not piece
