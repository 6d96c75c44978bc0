"""Words that names are made of: adjectives and nouns, which stay as they are: ids of runs are made of them."""

import pkgutil
from functools import lru_cache

__all__ = ["load_adjectives", "load_nouns"]


@lru_cache(maxsize=1)
def load_adjectives() -> tuple[str, ...]:
    """Return the adjectives."""
    return _lines("adjectives.txt")


@lru_cache(maxsize=1)
def load_nouns() -> tuple[str, ...]:
    """Return the nouns, none of which is an adjective here."""
    return _lines("nouns.txt")


def _lines(name: str) -> tuple[str, ...]:
    return tuple((pkgutil.get_data("cruijff_kit.data.words", name) or b"").decode().split())
