"""Dealing persons out: exact sizes, halves where asked for, nobody's like in two splits; chances of those drawn."""

from array import array
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from cruijff_kit.errors import Problem, SpecError

__all__ = ["CHANCE_OF", "Marks", "deal", "shifted"]

CHANCE_OF = "chance_"
"""What a table's column begins with that holds the probability of yes; the task's name follows."""
# Drawn first is drawn alike whatever the sizes of those behind it.
_FIRST = ("test", "validation", "calibration", "train")


class Marks(NamedTuple):
    """What is kept of each person until all have been seen: thirteen bytes."""

    digests: "array[int]"
    """Of what would be told, seeded: persons who read the same have the same."""
    numbers: "array[int]"
    """Places in the file."""
    yes: "array[int]"
    """Whether the answer is yes."""

    @classmethod
    def empty(cls) -> "Marks":
        """Return marks of nobody."""
        return cls(array("Q"), array("I"), array("B"))

    def add(self, digest: int, *, number: int, yes: bool) -> None:
        """Keep a person."""
        self.digests.append(digest)
        self.numbers.append(number)
        self.yes.append(yes)

    @property
    def share(self) -> float:
        """Return the share that is answered yes."""
        return sum(self.yes) / max(1, len(self.yes))

    def drawn(self) -> Iterator[tuple[int, int, bool]]:
        """Yield (digest, place, yes) in the order of the digests, which the seed fixes."""
        import numpy as np

        numbers, digests = np.frombuffer(self.numbers, dtype=np.uint32), np.frombuffer(self.digests, dtype=np.uint64)
        for at in np.lexsort((numbers, digests)):
            yield self.digests[at], self.numbers[at], bool(self.yes[at])


def deal(marks: Marks, sizes: Mapping[str, int], *, halves: bool) -> dict[int, str]:
    """Return the split of each person drawn, by place, in the order they were drawn in.

    Persons of one digest go to one split; who is left of them where it is full is left out.

    Raises:
        SpecError: there are fewer persons than are asked for.
    """
    wanted = {name: _wanted(sizes[name], halves) for name in _FIRST if name in sizes}
    found: dict[int, str] = {}
    for _, alike in groupby(marks.drawn() if marks.numbers else (), key=itemgetter(0)):
        persons = [(number, yes if halves else None) for _, number, yes in alike]
        split = next((name for name, rest in wanted.items() if any(rest[kind] for _, kind in persons)), None)
        for number, kind in persons if split is not None else ():
            if wanted[str(split)][kind]:
                wanted[str(split)][kind] -= 1
                found[number] = str(split)
        if len(found) == sum(sizes.values()):
            break
    _refuse_short(wanted, marks, halves=halves)
    return found


def shifted(chance: float, *, share: float, halves: bool) -> float:
    """Return the probability of yes among those drawn, from that in the population.

    Args:
        chance: probability in the population.
        share: share of yes there, strictly between 0 and 1 where halves were drawn.
        halves: whether as many were drawn of either answer; the odds then rise by (1 - share) / share.
    """
    if not halves or chance in {0.0, 1.0}:
        return chance
    yes, no = chance * (1 - share), (1 - chance) * share
    return yes / (yes + no)


def _wanted(size: int, halves: bool) -> dict[bool | None, int]:
    return {True: size // 2, False: size - size // 2} if halves else {None: size}


def _refuse_short(wanted: Mapping[str, Mapping[bool | None, int]], marks: Marks, *, halves: bool) -> None:
    short = {name: sum(rest.values()) for name, rest in wanted.items() if any(rest.values())}
    if not short:
        return
    there = f"{len(marks.yes):,} persons" + (f", {sum(marks.yes):,} of them answered yes" if halves else "")
    hint = f"it is about {there} here, and those who read the same stay together: ask for fewer, or name more persons"
    problems = [Problem(f"the task finds {count:,} too few", name, hint=hint) for name, count in short.items()]
    raise SpecError("there are too few persons", problems=problems)
