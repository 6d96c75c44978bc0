"""Names of an adjective and a noun: drawn one after the other without repeating one, or had from a hash.

They are legal wherever a name is: as a directory, a job, a word of a shell, and in `runs` of a design.
"""

from collections.abc import Collection, Iterator
from itertools import count, islice
from math import lcm

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.words.names import load_adjectives, load_nouns
from cruijff_kit.errors import SpecError

__all__ = ["drawn_names", "name_of_hash", "names_in_order"]

_MOST = 100_000


def names_in_order(seed: int) -> Iterator[str]:
    """Yield names without end, no name twice, in an order that a seed fixes.

    Every pair of words comes once; then each comes again with `_2` behind it, then with `_3`, and so on.
    """
    adjectives = ordered(load_adjectives(), seed=seed, label="adjectives")
    nouns = ordered(load_nouns(), seed=seed, label="nouns")
    # Both lists are gone round side by side; when the pairs would come again one of them is moved on by a word.
    around = lcm(len(adjectives), len(nouns))
    for turn in count(1):
        behind = "" if turn == 1 else f"_{turn}"
        for index in range(len(adjectives) * len(nouns)):
            noun = nouns[(index + index // around) % len(nouns)]
            yield f"{adjectives[index % len(adjectives)]}_{noun}{behind}"


def drawn_names(number: int, *, seed: int, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return the first names of a seed that are not taken; case does not tell names apart on every disk.

    Raises:
        SpecError: none is asked for, or more than anybody can read.
    """
    if not 1 <= number <= _MOST:
        raise SpecError(f"`{number}` names are asked for; it goes from 1 to {_MOST}")
    there = {each.lower() for each in taken}
    return tuple(islice((name for name in names_in_order(seed) if name not in there), number))


def name_of_hash(digest: str) -> str:
    """Return the name that a hexadecimal hash has, the same for ever; two hashes may share one.

    Args:
        digest: sixteen digits of it at least.
    """
    adjective, noun = divmod(int(digest[:16], 16) % (len(load_adjectives()) * len(load_nouns())), len(load_nouns()))
    return f"{load_adjectives()[adjective]}_{load_nouns()[noun]}"
