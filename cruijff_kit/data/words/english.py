"""English words: the shipped list, lists of one's own, and the half kept from base models."""

import hashlib
import pkgutil
from functools import lru_cache

__all__ = ["load_words", "parse_words", "pretraining_half"]


@lru_cache(maxsize=1)
def load_words() -> tuple[str, ...]:
    """Return the shipped words: lower case a to z, 3 to 10 letters, sorted."""
    content = pkgutil.get_data("cruijff_kit.data.words", "english.txt")
    return parse_words(content or b"")


def parse_words(content: bytes) -> tuple[str, ...]:
    """Return the lower-case words of a list of one word a line, sorted, each once.

    Lines with capitals, digits, marks or spaces are left out, and so are words whose
    capitalisation would change more than their first letter.

    Raises:
        UnicodeDecodeError: the list is not UTF-8.
    """
    lines = {line.strip() for line in content.decode("utf-8-sig").splitlines()}
    words = (word for word in lines if word.isalpha() and word.islower())
    return tuple(sorted(word for word in words if word.capitalize()[1:] == word[1:]))


def pretraining_half(word: str) -> bool:
    """Return whether a base model may be trained on a word; test words come from the others.

    The split hashes the word alone, so it holds whatever list, seed or machine is used.
    """
    return hashlib.sha256(word.lower().encode()).digest()[0] % 2 == 0
