"""Augmentation: a text changed in a few words, the same change for the same text and seed on every machine.

The four operations are those of J. Wei and K. Zou, EMNLP-IJCNLP (2019). What a text means is not
checked: deleting a `not` changes it, so labels of changed texts are a little less sure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import floor
from types import MappingProxyType
from typing import NamedTuple

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


class _Draft(NamedTuple):
    """A text that is being changed."""

    pieces: list[str]
    """Words at even places, the blanks between them at odd ones; changed in place."""
    words: Sequence[int]
    """Places of the words."""
    share: float
    """Part of the words that change."""
    dice: _Dice
    """What is drawn."""
    synonyms: Synonyms
    """Words that may stand for others."""

    @property
    def changes(self) -> int:
        """Return how many words change, one at least."""
        return max(1, round(self.share * len(self.words)))

    def drawn(self) -> list[int]:
        """Return the places of the words that change, of those that have synonyms."""
        known = [at for at in self.words if _core(self.pieces[at]).lower() in self.synonyms]
        return self.dice.some(known, self.changes)

    def instead(self, at: int) -> str:
        """Return a word with a synonym in its place, its marks and its capital kept."""
        core = _core(self.pieces[at])
        others = self.synonyms[core.lower()]
        chosen = others[self.dice.below(len(others))]
        if core.isupper() and len(core) > 1:
            chosen = chosen.upper()
        elif core[:1].isupper():
            chosen = chosen.capitalize()
        return self.pieces[at].replace(core, chosen, 1)


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
    return METHODS[method](_Draft(pieces, words, share, dice, synonyms)) if words else text


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


def _replace(draft: _Draft) -> str:
    for at in draft.drawn():
        draft.pieces[at] = draft.instead(at)
    return "".join(draft.pieces)


def _insert(draft: _Draft) -> str:
    for at in draft.drawn():
        word = _core(draft.instead(at)).lower()
        behind = draft.words[draft.dice.below(len(draft.words))]
        draft.pieces[behind] = f"{draft.pieces[behind]} {word}"
    return "".join(draft.pieces)


def _swap(draft: _Draft) -> str:
    pieces = draft.pieces
    for _ in range(draft.changes if len(draft.words) > 1 else 0):
        one, other = draft.dice.some(draft.words, 2)
        pieces[one], pieces[other] = pieces[other], pieces[one]
    return "".join(pieces)


def _delete(draft: _Draft) -> str:
    spared = draft.words[draft.dice.below(len(draft.words))]
    gone = {at for at in draft.words if draft.dice.chance() < draft.share and at != spared}
    # A word goes with the blank behind it.
    return "".join(piece for at, piece in enumerate(draft.pieces) if at - at % 2 not in gone).strip()


METHODS: Mapping[str, Callable[[_Draft], str]] = MappingProxyType(
    {
        "synonym_replacement": _replace,
        "random_insertion": _insert,
        "random_swap": _swap,
        "random_deletion": _delete,
    }
)
"""Methods by name."""


def _core(word: str) -> str:
    """Return a word without the marks around it."""
    found = _WORD.search(word)
    return found[0] if found else ""
