"""Pages that fit: as many items as the budget of one reply has room for, and where to go on."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel

__all__ = ["CONCISE", "DETAILED", "named", "page_of", "room_for", "shortened"]

CONCISE = 4_800
"""Characters of a concise reply's items as compact JSON; with what is around them it stays below 2,000 tokens."""
DETAILED = 24_000
"""The same of a detailed one."""

_Item = TypeVar("_Item")
_Reply = TypeVar("_Reply", bound=BaseModel)


def room_for(response_format: str) -> int:
    """Return how many characters the items of a reply may take."""
    return DETAILED if response_format == "detailed" else CONCISE


def named(name: str, words: str) -> bool:
    """Return whether a name holds all words that are looked for."""
    return all(word in name.casefold() for word in words.casefold().split())


def page_of(
    items: Sequence[_Item], make: Callable[[_Item], _Reply], *, cursor: int, limit: int, room: int
) -> tuple[list[_Reply], int | None]:
    """Return the items from a cursor on that fit, and the cursor of the next page; None at the end.

    One item at least is returned, so that following cursors always ends.
    """
    page: list[_Reply] = []
    for item in items[cursor : cursor + limit]:
        made = make(item)
        room -= len(made.model_dump_json())
        if page and room < 0:
            break
        page.append(made)
    end = cursor + len(page)
    return page, end if end < len(items) else None


def shortened(texts: Sequence[str], *, most: int, length: int = 300) -> list[str]:
    """Return the first texts, each cut; the last one tells how many were left out."""
    shown = [text if len(text) <= length else f"{text[: length - 1]}…" for text in texts[:most]]
    left = len(texts) - most
    return [*shown, f"… and {left} more"] if left > 0 else shown
