"""Bit sequences whose answer is drawn with a probability that is known for each of them.

    {"input": "01101001", "output": "1", "ones": "4", "chance_0": 0.5, "chance_1": 0.5}

The probability of `1` rises with the number of ones, from `low` to `high`, steepest where half the bits
are ones. It stands in `chance_1`, where no prompt shows it: what a model says of an answer can be held against the
truth, not against labels alone. Every sequence occurs once.
"""

import math
from collections.abc import Mapping

from pydantic import Field

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.generators.bit_sequences import drawn_sequences
from cruijff_kit.data.generators.four_splits import SPLITS, dealt, sizes_of
from cruijff_kit.data.known_chances import chance_columns
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun

__all__ = ["VERSION", "BitChances", "argument_problems", "chance_of_one", "generate"]

VERSION = "1"


class BitChances(Noun):
    """Arguments of the generator: all splits together hold at most `2 ** bit_length` sequences."""

    bit_length: int = Field(default=14, ge=1, le=16)
    """Bits of each sequence."""
    letters: str = Field(default="01", min_length=2, max_length=2)
    """How the two bits are written, in sequences and answers: a small model may know `ab` better than digits."""
    low: float = Field(default=0.05, ge=0, le=1)
    """Probability of `1` that ever fewer ones approach."""
    high: float = Field(default=0.95, ge=0, le=1)
    """Probability of `1` that ever more ones approach."""
    steepness: float = Field(default=1.0, gt=0)
    """How fast it goes from one to the other, in logits a bit."""
    train: int = Field(default=4000, ge=1)
    """Rows to train on."""
    validation: int = Field(default=600, ge=1)
    """Rows to choose by, and to fit a temperature on."""
    calibration: int = Field(default=1000, ge=1)
    """Rows kept for calibrating."""
    test: int = Field(default=5000, ge=1)
    """Rows kept for judging."""
    seed: int = Field(default=42, ge=0)
    """Fixes the sequences drawn and their labels."""


def generate(arguments: BitChances, files: Mapping[str, bytes]) -> Splits:
    """Return the four splits; the generator reads no files.

    Raises:
        SpecError: fewer sequences exist than are asked for.
    """
    problems = argument_problems(arguments)
    if problems:
        raise SpecError("the arguments do not fit", problems=problems)
    parts = dealt(drawn_sequences(arguments.bit_length, seed=arguments.seed), sizes_of(arguments))
    return {split: [_row(bits, arguments) for bits in part] for split, part in zip(SPLITS, parts, strict=True)}


def chance_of_one(bits: str, arguments: BitChances) -> float:
    """Return the probability that the answer to a sequence is `1`, in six decimals, which every machine agrees on."""
    beyond = arguments.steepness * (bits.count("1") - len(bits) / 2)
    return round(arguments.low + (arguments.high - arguments.low) / (1 + math.exp(-beyond)), 6)


def argument_problems(arguments: BitChances) -> list[Problem]:
    """Return what is wrong with the arguments taken together."""
    asked, there = sum(sizes_of(arguments)), 2**arguments.bit_length
    problems = []
    if asked > there:
        fact = f"`{asked}` distinct sequences of {arguments.bit_length} bits; there are {there}"
        problems.append(Problem(fact, path="bit_length", hint="raise `bit_length`, or make a split smaller"))
    if len(set("".join(arguments.letters.split()))) != 2:
        fact = f"`{arguments.letters}` are not two letters that can be told apart"
        problems.append(Problem(fact, path="letters", hint="write two, such as `ab`"))
    return problems


def _row(bits: str, arguments: BitChances) -> dict[str, str | float]:
    chance, (zero, one) = chance_of_one(bits, arguments), arguments.letters
    answer = one if uniform(bits, seed=arguments.seed, label="labels") < chance else zero
    written = bits.translate({ord("0"): zero, ord("1"): one})
    known = chance_columns({zero: round(1 - chance, 6), one: chance})
    return {"input": written, "output": answer, "ones": str(bits.count("1")), **known}
