"""Words that often stand for each other: the shipped groups, or a list of one's own."""

import pkgutil
from collections.abc import Mapping
from functools import lru_cache

from cruijff_kit.errors import Problem, SpecError

__all__ = ["Synonyms", "load_synonyms", "parse_synonyms"]

Synonyms = Mapping[str, tuple[str, ...]]
"""Lower-case word to those that may stand for it."""


@lru_cache(maxsize=1)
def load_synonyms() -> Synonyms:
    """Return the shipped groups."""
    return parse_synonyms(pkgutil.get_data("cruijff_kit.data.words", "synonyms.txt") or b"", name="synonyms.txt")


def parse_synonyms(content: bytes, *, name: str) -> Synonyms:
    """Return the words of a list of one group a line, parted by blanks; a word may be in several groups.

    Args:
        content: the list.
        name: its name, for problems.

    Raises:
        SpecError: it is not UTF-8, a line holds a single word, or there are none.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise SpecError(f"`{name}` is not UTF-8", hint="save the file as UTF-8") from err
    groups = {number: tuple(dict.fromkeys(line.lower().split())) for number, line in enumerate(lines, start=1)}
    groups = {number: words for number, words in groups.items() if words}
    hint = "write two words or more on every line, parted by blanks"
    problems = [
        Problem(f"`{words[0]}` has no synonym beside it", place=f"{name}:{number}", hint=hint)
        for number, words in groups.items()
        if len(words) == 1
    ]
    if problems or not groups:
        raise SpecError(f"`{name}` is no list of synonyms", problems=problems[:20], hint=hint)
    found: dict[str, dict[str, None]] = {}
    for words in groups.values():
        for word in words:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
    return {word: tuple(others) for word, others in found.items()}
