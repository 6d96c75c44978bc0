"""Sequences of numbers that can be foretold, or not, and whose answers can be, or not.

    {"input": "17 18 19 20 21", "output": "22"}

The first letter of a scenario says whether the numbers of the question follow each other
(`p`) or are drawn (`u`), the second whether the answer can be told from it: `pp` goes on
counting, `up` always answers the same, `pu` and `uu` answer with a number drawn among all.

Counting questions come from stretches of the number line, each of which belongs to one
split: no number that is counted over in training is counted over in a test.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal

from pydantic import Field

from cruijff_kit.data.draws import ordered, uniform
from cruijff_kit.data.generators.known_ceilings import LEARNT, ruled_ceiling
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.noun import Noun

__all__ = ["SPLITS", "VERSION", "NumberSequences", "argument_problems", "ceilings", "generate", "ramp_room"]

VERSION = "1"
SPLITS = ("train", "validation", "test")
"""Splits, and arguments that say how large each is."""

_STARTS = 10


class NumberSequences(Noun):
    """Arguments of the generator."""

    scenario: Literal["pp", "pu", "up", "uu"] = "pp"
    """Whether question and answer are predictable (`p`) or not (`u`), in this order."""
    in_seq_len: int = Field(default=5, ge=1, le=100)
    """Numbers in a question, in every scenario."""
    train: int = Field(default=900, ge=1)
    """Rows to train on."""
    validation: int = Field(default=100, ge=1)
    """Rows for the validation loss."""
    test: int = Field(default=100, ge=1)
    """Rows to be asked."""
    limit: int = Field(default=2000, ge=2, le=10_000_000)
    """Numbers are drawn from 0 up to, and without, this one."""
    constant: int = Field(default=42, ge=0)
    """Answer of scenario `up`."""
    digits: str = Field(default="0123456789", min_length=2, max_length=100)
    """Digits that numbers are written with, from the least; a small model may know letters better."""
    width: int = Field(default=1, ge=1, le=20)
    """Digits of a number, at least; the first of `digits` fills it up."""
    seed: int = Field(default=42, ge=0)
    """Fixes which numbers are drawn, and for which split."""


def generate(arguments: NumberSequences, files: Mapping[str, bytes]) -> Splits:
    """Return the three splits; the generator reads no files.

    Raises:
        SpecError: there are fewer questions than are asked for.
    """
    problems = argument_problems(arguments)
    if problems:
        raise SpecError("the arguments do not fit", problems=problems)
    asked = _ramps(arguments) if arguments.scenario[0] == "p" else _scattered(arguments)
    return {split: [_row(numbers, arguments) for numbers in asked[split]] for split in SPLITS}


def ceilings(arguments: NumberSequences, splits: Splits) -> dict[str, Ceiling]:
    """Return what can be known of the answers of each split: all, or no more than how many numbers there are."""
    told = arguments.scenario[1] == "p"
    accuracy, entropy = (1.0, 0.0) if told else (1 / arguments.limit, math.log(arguments.limit))
    found = {}
    for split, rows in splits.items():
        # Of numbers that are drawn none is likelier than the first.
        best = [row["output"] if told else _written(0, arguments) for row in rows]
        found[split] = ruled_ceiling(rows, best, accuracy=accuracy, entropy=entropy, seen=split in LEARNT)
    return found


def ramp_room(arguments: NumberSequences) -> int:
    """Return how many counting questions there are in all."""
    return _STARTS * (arguments.limit // _stretch(arguments))


def argument_problems(arguments: NumberSequences) -> list[Problem]:
    """Return what is wrong with the arguments taken together."""
    problems = []
    sizes, limit, length = [getattr(arguments, split) for split in SPLITS], arguments.limit, arguments.in_seq_len
    if arguments.scenario[0] == "p":
        one = _stretch(arguments)
        wanted, there = sum(-(-size // _STARTS) for size in sizes), limit // one
        what = f"stretches of {one} numbers, {_STARTS} questions each"
    else:
        # Half of all there are: what is drawn twice is drawn again.
        wanted, there = sum(sizes), limit**length // 2
        what = f"questions of {length} numbers"
    if wanted > there:
        fact = f"`{wanted}` {what}; below {limit} there are {there} to be had"
        problems.append(Problem(fact, path="limit", hint="raise `limit`, or make a split smaller"))
    if arguments.constant >= arguments.limit:
        fact = f"`{arguments.constant}` is no number below `limit`, which is {arguments.limit}"
        problems.append(Problem(fact, path="constant", hint="lower `constant`, or raise `limit`"))
    if len(set(arguments.digits) - {" "}) < len(arguments.digits):
        fact = f"`{arguments.digits}` names a digit twice, or a blank"
        problems.append(Problem(fact, path="digits", hint="name each digit once; blanks stand between numbers"))
    return problems


def _stretch(arguments: NumberSequences) -> int:
    return arguments.in_seq_len + _STARTS


def _ramps(arguments: NumberSequences) -> dict[str, list[tuple[int, ...]]]:
    """Return counting questions by split, each split from stretches of its own."""
    stretch = _stretch(arguments)
    order = ordered(map(str, range(arguments.limit // stretch)), seed=arguments.seed, label="stretches")
    free = (int(each) * stretch for each in order)
    ramps = {}
    # Held-out rows are the same whatever the number of rows to train on.
    for split in reversed(SPLITS):
        size = getattr(arguments, split)
        firsts = list(islice(free, -(-size // _STARTS)))
        starts = [str(first + place) for first in firsts for place in range(_STARTS)]
        drawn = ordered(starts, seed=arguments.seed, label=split)[:size]
        ramps[split] = [tuple(range(int(start), int(start) + arguments.in_seq_len)) for start in drawn]
    return ramps


def _scattered(arguments: NumberSequences) -> dict[str, list[tuple[int, ...]]]:
    """Return questions of drawn numbers by split, each once."""
    fresh = _fresh(arguments)
    return {split: list(islice(fresh, getattr(arguments, split))) for split in reversed(SPLITS)}


def _fresh(arguments: NumberSequences) -> Iterator[tuple[int, ...]]:
    seen: set[tuple[int, ...]] = set()
    number = 0
    while True:
        places = range(arguments.in_seq_len)
        drawn = tuple(_drawn(f"{number}/{place}", arguments, label="questions") for place in places)
        number += 1
        if drawn not in seen:
            seen.add(drawn)
            yield drawn


def _drawn(item: str, arguments: NumberSequences, *, label: str) -> int:
    return int(uniform(item, seed=arguments.seed, label=label) * arguments.limit)


def _row(numbers: tuple[int, ...], arguments: NumberSequences) -> dict[str, str]:
    question = " ".join(_written(number, arguments) for number in numbers)
    if arguments.scenario == "pp":
        answer = numbers[-1] + 1
    elif arguments.scenario == "up":
        answer = arguments.constant
    else:
        answer = _drawn(question, arguments, label="answers")
    return {"input": question, "output": _written(answer, arguments)}


def _written(number: int, arguments: NumberSequences) -> str:
    base, text = len(arguments.digits), ""
    while number or not text:
        number, last = divmod(number, base)
        text = arguments.digits[last] + text
    return text.rjust(arguments.width, arguments.digits[0])
