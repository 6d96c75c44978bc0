"""Augmentation: a text changed in a few words, the same change for the same text and seed on every machine.

The four operations are those of J. Wei and K. Zou, EMNLP-IJCNLP (2019). What a text means is not
checked: deleting a `not` changes it, so labels of changed texts are a little less sure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import floor
from types import MappingProxyType

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.words.synonyms import Synonyms

__all__ = ["METHODS", "augment", "method_problem"]

_WORD = re.compile(r"\w[\w'-]*")


class _Dice:
    """Numbers that a text, a seed and their place in a row fix."""

    def __init__(self, text: str, *, seed: int, label: str) -> None:
        self._text, self._seed, self._label, self._thrown = text, seed, label, 0

    def below(self, count: int) -> int:
        """Return a number from 0 to below a count."""
        self._thrown += 1
        return floor(self.chance() * count)

    def chance(self) -> float:
        """Return a number in [0, 1)."""
        self._thrown += 1
        return uniform(f"{self._thrown}/{self._text}", seed=self._seed, label=self._label)

    def some(self, items: Sequence[int], count: int) -> list[int]:
        """Return some of these, none twice."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]


def augment(text: str, method: str, *, share: float, seed: int, copy: int, synonyms: Synonyms) -> str:
    """Return a text changed by one method; the text itself where it cannot be.

    Args:
        text: the text.
        method: one of `METHODS`.
        share: part of the words that change, one at least; of a deletion the chance of each word.
        seed: fixes the draws, together with text, method and copy.
        copy: number of the copy.
        synonyms: words that may stand for others.
    """
    dice = _Dice(text, seed=seed, label=f"augment/{method}/{copy}")
    # Blanks stand at odd places and are kept as they are.
    pieces = re.split(r"(\s+)", text)
    words = [at for at in range(0, len(pieces), 2) if pieces[at]]
    return METHODS[method](pieces, words, share, dice, synonyms) if words else text


def method_problem(method: str) -> str:
    """Return why there is no such method; empty where there is."""
    if method in METHODS:
        return ""
    if method == "contextual_embedding":
        return (
            "`contextual_embedding` is not offered: a second language model would put its own guesses into the rows, "
            "different ones with every version of it, and nothing would say whether a label still holds"
        )
    return f"unknown method `{method}`; there are {', '.join(f'`{name}`' for name in METHODS)}"


def _replace(pieces: list[str], words: Sequence[int], share: float, dice: _Dice, synonyms: Synonyms) -> str:
    known = [at for at in words if _core(pieces[at]).lower() in synonyms]
    for at in dice.some(known, _count(share, words)):
        pieces[at] = _instead(pieces[at], dice, synonyms)
    return "".join(pieces)


def _insert(pieces: list[str], words: Sequence[int], share: float, dice: _Dice, synonyms: Synonyms) -> str:
    known = [at for at in words if _core(pieces[at]).lower() in synonyms]
    for at in dice.some(known, _count(share, words)):
        word = _core(_instead(pieces[at], dice, synonyms)).lower()
        behind = words[dice.below(len(words))]
        pieces[behind] = f"{pieces[behind]} {word}"
    return "".join(pieces)


def _swap(pieces: list[str], words: Sequence[int], share: float, dice: _Dice, _: Synonyms) -> str:
    for _ in range(_count(share, words) if len(words) > 1 else 0):
        one, other = dice.some(words, 2)
        pieces[one], pieces[other] = pieces[other], pieces[one]
    return "".join(pieces)


def _delete(pieces: list[str], words: Sequence[int], share: float, dice: _Dice, _: Synonyms) -> str:
    spared = words[dice.below(len(words))]
    gone = {at for at in words if dice.chance() < share and at != spared}
    # A word goes with the blank behind it.
    return "".join(piece for at, piece in enumerate(pieces) if at - at % 2 not in gone).strip()


METHODS: Mapping[str, Callable[[list[str], Sequence[int], float, _Dice, Synonyms], str]] = MappingProxyType(
    {
        "synonym_replacement": _replace,
        "random_insertion": _insert,
        "random_swap": _swap,
        "random_deletion": _delete,
    }
)
"""Methods by name."""


def _count(share: float, words: Sequence[int]) -> int:
    return max(1, round(share * len(words)))


def _core(word: str) -> str:
    """Return a word without the marks around it."""
    found = _WORD.search(word)
    return found[0] if found else ""


def _instead(word: str, dice: _Dice, synonyms: Synonyms) -> str:
    """Return a word with a synonym in its place, its marks and its capital kept."""
    core = _core(word)
    others = synonyms[core.lower()]
    chosen = others[dice.below(len(others))]
    written = chosen.upper() if core.isupper() and len(core) > 1 else chosen
    return word.replace(core, written.capitalize() if core[:1].isupper() and not core.isupper() else written, 1)
