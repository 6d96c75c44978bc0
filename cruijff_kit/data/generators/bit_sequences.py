"""Bit sequences, labelled by their parity or by a biased coin.

    {"input": "0110100", "output": "1"}

With `bit_parity` the label is the number of ones modulo 2, flipped with probability
`p`: a loss can fall to the entropy of the flips and no further. Without it the label is
1 with probability `p` whatever the input, and nothing but that rate can be learnt.

Parity is hard to learn for small models; `aloud` lets the answer tell the parity of the
bits so far, bit by bit, and end in the label:

    {"input": "0110100", "output": "0100111"}
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from operator import xor

from pydantic import Field

from cruijff_kit.data.draws import ordered, uniform
from cruijff_kit.data.generators.known_ceilings import LEARNT, entropy_of, ruled_ceiling
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.noun import Noun

__all__ = ["VERSION", "BitSequences", "argument_problems", "ceilings", "drawn_sequences", "generate"]

VERSION = "1"


class BitSequences(Noun):
    """Arguments of the generator: `val_size + test_size < N`, and without `repeats` `N <= 2 ** bit_length`."""

    bit_length: int = Field(default=15, ge=1, le=16)
    """Bits of each sequence."""
    N: int = Field(default=32768, ge=3)
    """Sequences in all splits together; each occurs once, unless `repeats` says otherwise."""
    val_size: int = Field(default=4000, ge=1)
    """Sequences of the validation split."""
    test_size: int = Field(default=4000, ge=0)
    """Sequences of the test split; 0 makes none."""
    bit_parity: bool = True
    """Whether the label is the parity; else a coin that ignores the input."""
    p: float = Field(default=0.0, ge=0, le=1)
    """Probability that a parity is flipped, or that the coin shows 1."""
    seed: int = Field(default=42, ge=0)
    """Fixes the sequences drawn and their labels; a larger `p` flips the same ones and more."""
    # What came later is no part of a data set's key where it changes nothing.
    letters: str = Field(default="01", min_length=2, max_length=2, exclude_if=lambda value: value == "01")
    """How the two bits are written, in sequences and answers: a small model may know `ab` better than digits."""
    aloud: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether the answer tells the parity of the bits so far, bit by bit; its last letter is the label."""
    repeats: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether sequences are drawn with replacement: `N` draws, less what would be trained on and is held out."""


def generate(arguments: BitSequences, files: Mapping[str, bytes]) -> Splits:
    """Return train, validation and test; the generator reads no files.

    Raises:
        SpecError: the sizes do not fit the documented bounds.
    """
    problems = argument_problems(arguments)
    if problems:
        raise SpecError("the arguments do not fit", problems=problems)
    drawn = list(_drawn(arguments))
    first, second = arguments.val_size, arguments.val_size + arguments.test_size
    parts = {"train": drawn[second:], "validation": drawn[:first], "test": drawn[first:second]}
    if arguments.repeats:
        parts = _apart(parts)
    if not parts["train"]:
        fact = f"every one of the {arguments.N} sequences drawn is held out; none is left to train on"
        hint = "raise `bit_length`, or lower `val_size`"
        raise SpecError("the arguments do not fit", problems=[Problem(fact, path="bit_length", hint=hint)])
    letters = str.maketrans("01", arguments.letters)
    return {
        split: [{name: text.translate(letters) for name, text in row.items()} for row in rows]
        for split, rows in parts.items()
    }


def ceilings(arguments: BitSequences, splits: Splits) -> dict[str, Ceiling]:
    """Return what can be known of the answers of each split: the likelier label of each sequence, and its rate."""
    likelier = arguments.model_copy(update={"p": float(arguments.p > 0.5)})
    written, read = str.maketrans("01", arguments.letters), str.maketrans(arguments.letters, "01")
    found = {}
    for split, rows in splits.items():
        asked = (row["input"].translate(read) for row in rows)
        best = [_answer(bits, likelier, draw=bits).translate(written) for bits in asked]
        accuracy, entropy = max(arguments.p, 1 - arguments.p), entropy_of((arguments.p, 1 - arguments.p))
        if rows:
            found[split] = ruled_ceiling(rows, best, accuracy=accuracy, entropy=entropy, seen=split in LEARNT)
    return found


def drawn_sequences(bit_length: int, *, seed: int) -> list[str]:
    """Return every sequence of a length, in a random order that a seed fixes."""
    universe = (format(number, f"0{bit_length}b") for number in range(2**bit_length))
    return ordered(universe, seed=seed, label="sequences")


def argument_problems(arguments: BitSequences) -> list[Problem]:
    """Return what is wrong with the arguments taken together."""
    problems = []
    universe = 2**arguments.bit_length
    held_out = arguments.val_size + arguments.test_size
    if universe < arguments.N and not arguments.repeats:
        fact = f"`{arguments.N}` distinct sequences of {arguments.bit_length} bits; there are {universe}"
        hint = f"set `N` to {universe} or less, raise `bit_length`, or set `repeats: true`"
        problems.append(Problem(fact, path="N", hint=hint))
    if held_out >= arguments.N:
        fact = f"`{held_out}` sequences held out of `{arguments.N}`; none is left to train on"
        problems.append(Problem(fact, path="val_size", hint="lower `val_size` or `test_size`, or raise `N`"))
    if arguments.aloud and not arguments.bit_parity:
        fact = "a coin that ignores the input has nothing to tell `aloud`"
        problems.append(Problem(fact, path="aloud", hint="remove it, or set `bit_parity: true`"))
    if len(set(arguments.letters.strip())) != 2:
        fact = f"`{arguments.letters}` are not two letters that can be told apart"
        problems.append(Problem(fact, path="letters", hint="write two, such as `ab`"))
    return problems


def _drawn(arguments: BitSequences) -> Iterator[dict[str, str]]:
    """Yield the rows in the order they are drawn, those held out first."""
    if not arguments.repeats:
        for bits in drawn_sequences(arguments.bit_length, seed=arguments.seed)[: arguments.N]:
            yield {"input": bits, "output": _answer(bits, arguments, draw=bits)}
        return
    for number in range(arguments.N):
        place = uniform(str(number), seed=arguments.seed, label="sequences")
        bits = format(int(place * 2**arguments.bit_length), f"0{arguments.bit_length}b")
        yield {"input": bits, "output": _answer(bits, arguments, draw=f"{number}/{bits}")}


def _apart(parts: Mapping[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """Return the splits without what an earlier one holds: validation is whole, no sequence stands in two."""
    seen: set[str] = set()
    kept = {}
    for split in ("validation", "test", "train"):
        kept[split] = [row for row in parts[split] if row["input"] not in seen]
        seen |= {row["input"] for row in kept[split]}
    return {split: kept[split] for split in parts}


def _answer(bits: str, arguments: BitSequences, *, draw: str) -> str:
    """Return the answer to a sequence; what is random of it hangs on the draw."""
    chance = uniform(draw, seed=arguments.seed, label="labels") < arguments.p
    if not arguments.bit_parity:
        return str(int(chance))
    *before, last = accumulate(map(int, bits), xor)
    told = before if arguments.aloud else []
    return "".join(map(str, [*told, last ^ chance]))
