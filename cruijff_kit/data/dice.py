"""Dice: many seeded numbers for one thing, the same on every machine, a few hashes for dozens of them."""

import hashlib
from collections.abc import Mapping, Sequence
from statistics import NormalDist

__all__ = ["NORMAL", "Dice"]

NORMAL = NormalDist()
"""The standard normal distribution."""

_LEAST = 2**-33


class Dice:
    """Numbers that a seed, what they are for, and the order of asking fix; nothing else moves them."""

    def __init__(self, what: str, *, seed: int) -> None:
        """Take what they are for; two of different names share nothing."""
        self._text, self._left, self._turn = f"{seed}/{what}", b"", 0

    def roll(self) -> float:
        """Return a number in [0, 1)."""
        if not self._left:
            self._left = hashlib.sha512(f"{self._text}/{self._turn}".encode()).digest()
            self._turn += 1
        number, self._left = int.from_bytes(self._left[:4], "big"), self._left[4:]
        return number / 2**32

    def yes(self, chance: float) -> bool:
        """Return whether what has this chance happens."""
        return self.roll() < chance

    def among(self, shares: Mapping[str, float]) -> str:
        """Return one of several by their shares, which need not add up to 1."""
        left = self.roll() * sum(shares.values())
        for name, share in shares.items():
            if left < share:
                return name
            left -= share
        return next(reversed(list(shares)))

    def one_of(self, names: Sequence[str]) -> str:
        """Return one of several, each as likely."""
        return names[int(self.roll() * len(names))]

    def normal(self) -> float:
        """Return a draw of the standard normal distribution."""
        return NORMAL.inv_cdf(min(max(self.roll(), _LEAST), 1 - _LEAST))
