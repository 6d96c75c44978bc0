"""Merkle trees: known roots, a definition to compare with, and every line of every small tree proven."""

from collections.abc import Sequence
from hashlib import sha256

import pytest

from cruijff_kit.data.merkle import climb, leaf_hash, sibling_path, tree_root

# The eight entries that implementations of RFC 6962 are commonly tried with, and the roots over the first n of them.
ENTRIES = tuple(
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
)
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
SIZES = range(1, 71)


def lines_of(size: int) -> list[bytes]:
    return [b"line %d of any" % number for number in range(size)]


def root_by_definition(lines: Sequence[bytes]) -> bytes:
    """Return the root as RFC 9162 defines it: split at the largest power of two below the number of lines."""
    if len(lines) == 1:
        return sha256(b"\x00" + lines[0]).digest()
    half = 1 << (len(lines) - 1).bit_length() - 1
    return sha256(b"\x01" + root_by_definition(lines[:half]) + root_by_definition(lines[half:])).digest()


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_that_others_publish(size: int) -> None:
    assert tree_root(ENTRIES[:size]).hex() == ROOTS[size]


def test_the_root_in_one_pass_is_the_root_by_definition() -> None:
    for size in SIZES:
        assert tree_root(iter(lines_of(size))) == root_by_definition(lines_of(size))


def test_every_line_of_every_log_climbs_to_its_root_and_from_no_other_place() -> None:
    for size in SIZES:
        lines = lines_of(size)
        root, leaves = tree_root(lines), [leaf_hash(line) for line in lines]
        for at, line in enumerate(lines):
            path = sibling_path(leaves, at)
            assert len(path) <= (size - 1).bit_length()
            reached = [place for place in range(-1, size + 2) if climb(line, path, at=place, size=size) == root]
            assert reached == [at]


def test_a_path_with_a_hash_more_or_less_or_in_another_order_leads_nowhere() -> None:
    lines = lines_of(37)
    root, leaves = tree_root(lines), [leaf_hash(line) for line in lines]
    for at, line in enumerate(lines):
        path = sibling_path(leaves, at)
        others = [path[:-1], path[1:], (*path, path[-1]), (path[0], *path), path[::-1]]
        assert root not in [climb(line, other, at=at, size=37) for other in others if other != path]


def test_a_node_is_not_taken_for_a_line() -> None:
    left, right = (leaf_hash(line) for line in (b"a", b"b"))
    assert climb(left + right, (), at=0, size=1) != tree_root([b"a", b"b"])
