"""Merkle trees over raw lines, as RFC 9162 (section 2.1) defines them with SHA-256."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise

__all__ = ["climb", "leaf_hash", "sibling_path", "tree_root"]


def leaf_hash(line: bytes) -> bytes:
    """Return the hash of a line as a leaf: a zero byte before it keeps leaves and nodes apart."""
    return sha256(b"\x00" + line).digest()


def tree_root(lines: Iterable[bytes]) -> bytes:
    """Return the root over lines in one pass; of whole subtrees only one hash a height is kept."""
    whole: list[tuple[int, bytes]] = []
    for line in lines:
        height, found = 0, leaf_hash(line)
        while whole and whole[-1][0] == height:
            height, found = height + 1, _node(whole.pop()[1], found)
        whole.append((height, found))
    if not whole:
        return sha256().digest()
    *rest, (_, root) = whole
    for _, left in reversed(rest):
        root = _node(left, root)
    return root


def sibling_path(leaves: Sequence[bytes], at: int) -> tuple[bytes, ...]:
    """Return the hashes that lead from one leaf to the root, the nearest first.

    Args:
        leaves: hashes of all leaves, by `leaf_hash`.
        at: position of the leaf, from 0.
    """
    level, path = list(leaves), list[bytes]()
    while len(level) > 1:
        beside = at ^ 1
        path += level[beside : beside + 1]
        # A last one without a neighbour goes up as it is.
        level = [_node(*pair) for pair in list(pairwise(level))[::2]] + (level[-1:] if len(level) % 2 else [])
        at //= 2
    return tuple(path)


def climb(line: bytes, path: Sequence[bytes], *, at: int, size: int) -> bytes | None:
    """Return the root that a line and its neighbours lead to; None where they cannot lie so in a tree of this size.

    The steps are those of RFC 9162, section 2.1.3.2.

    Args:
        line: the raw line.
        path: what `sibling_path` gave.
        at: position of the line, from 0.
        size: lines in the tree.
    """
    if not 0 <= at < size:
        return None
    found, last = leaf_hash(line), size - 1
    for beside in path:
        if last == 0:
            return None
        if at % 2 or at == last:
            found = _node(beside, found)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, beside)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
