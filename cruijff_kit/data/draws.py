"""Seeded draws by hashing: the same on every machine, Python and library version."""

import hashlib
from collections.abc import Iterable

__all__ = ["below", "ordered", "uniform"]


def ordered(items: Iterable[str], *, seed: int, label: str) -> list[str]:
    """Return distinct items in a random order that a seed and a label fix.

    The order of two items depends on nothing else: adding items moves none of the
    others past each other.
    """
    return sorted(items, key=lambda item: (_digest(item, seed=seed, label=label), item))


def uniform(item: str, *, seed: int, label: str) -> float:
    """Return a number in [0, 1) that an item, a seed and a label fix."""
    return int.from_bytes(_digest(item, seed=seed, label=label)[:7], "big") / 2**56


def below(bound: int, item: str, *, seed: int, label: str) -> int:
    """Return a whole number in [0, bound) that an item, a seed and a label fix; even for bounds up to 2 ** 400."""
    return int.from_bytes(hashlib.sha512(f"{seed}/{label}/{item}".encode()).digest(), "big") % bound


def _digest(item: str, *, seed: int, label: str) -> bytes:
    return hashlib.sha256(f"{seed}/{label}/{item}".encode()).digest()
