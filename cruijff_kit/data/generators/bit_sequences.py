"""Bit sequences, labelled by their parity or by a biased coin.

    {"input": "0110100", "output": "1"}

With `bit_parity` the label is the number of ones modulo 2, flipped with probability
`p`: a loss can fall to the entropy of the flips and no further. Without it the label is
1 with probability `p` whatever the input, and nothing but that rate can be learnt.
"""

from collections.abc import Mapping

from pydantic import Field

from cruijff_kit.data.draws import ordered, uniform
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun

__all__ = ["VERSION", "BitSequences", "drawn_sequences", "generate"]

VERSION = "1"


class BitSequences(Noun):
    """Arguments of the generator: `val_size + test_size < N <= 2 ** bit_length`."""

    bit_length: int = Field(default=15, ge=1, le=16)
    """Bits of each sequence."""
    N: int = Field(default=32768, ge=3)
    """Sequences in all splits together; each occurs once."""
    val_size: int = Field(default=4000, ge=1)
    """Sequences of the validation split."""
    test_size: int = Field(default=4000, ge=1)
    """Sequences of the test split."""
    bit_parity: bool = True
    """Whether the label is the parity; else a coin that ignores the input."""
    p: float = Field(default=0.0, ge=0, le=1)
    """Probability that a parity is flipped, or that the coin shows 1."""
    seed: int = Field(default=42, ge=0)
    """Fixes the sequences drawn and their labels; a larger `p` flips the same ones and more."""


def generate(arguments: BitSequences, files: Mapping[str, bytes]) -> Splits:
    """Return train, validation and test; the generator reads no files.

    Raises:
        SpecError: the sizes do not fit the documented bounds.
    """
    problems = _size_problems(arguments)
    if problems:
        raise SpecError("the sizes do not fit", problems=problems)
    drawn = drawn_sequences(arguments.bit_length, seed=arguments.seed)[: arguments.N]
    rows = [{"input": bits, "output": _label(bits, arguments)} for bits in drawn]
    first, second = arguments.val_size, arguments.val_size + arguments.test_size
    return {"train": rows[second:], "validation": rows[:first], "test": rows[first:second]}


def drawn_sequences(bit_length: int, *, seed: int) -> list[str]:
    """Return every sequence of a length, in a random order that a seed fixes."""
    universe = (format(number, f"0{bit_length}b") for number in range(2**bit_length))
    return ordered(universe, seed=seed, label="sequences")


def _label(bits: str, arguments: BitSequences) -> str:
    chance = uniform(bits, seed=arguments.seed, label="labels") < arguments.p
    return str((bits.count("1") + chance) % 2 if arguments.bit_parity else int(chance))


def _size_problems(arguments: BitSequences) -> list[Problem]:
    problems = []
    universe = 2**arguments.bit_length
    held_out = arguments.val_size + arguments.test_size
    if universe < arguments.N:
        fact = f"`{arguments.N}` distinct sequences of {arguments.bit_length} bits; there are {universe}"
        problems.append(Problem(fact, path="N", hint=f"set `N` to {universe} or less, or raise `bit_length`"))
    if held_out >= arguments.N:
        fact = f"`{held_out}` sequences held out of `{arguments.N}`; none is left to train on"
        problems.append(Problem(fact, path="val_size", hint="lower `val_size` or `test_size`, or raise `N`"))
    return problems
