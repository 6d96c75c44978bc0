"""Rules of model organisms: what the answer to a sequence is, how likely, and how well it can be known at best.

A sum's distribution over all sequences is found by adding one place after the other, since weights and symbols are
whole numbers: the best accuracy is exact at every length, where trying all sequences would end at twenty bits.
"""

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.data.draws import below, ordered, uniform
from cruijff_kit.schema.organism import OrganismInput, OrganismRule, RuleKwargs

__all__ = ["ALPHABETS", "RULES", "Law", "Rule"]

ALPHABETS: Mapping[OrganismInput, str] = MappingProxyType(
    {"bits": "01", "digits": "0123456789", "letters": "abcdefghijklmnopqrstuvwxyz"}
)
"""Symbols of each kind of sequence."""

_WEIGHT_MAX = 3
_DECIMALS = 6


class Rule(NamedTuple):
    """What is known of a rule."""

    inputs: tuple[OrganismInput, ...]
    """What it can be asked of."""
    kwargs: tuple[str, ...]
    """What it can be told."""
    needs: tuple[str, ...]
    """What it must be told."""
    answer: Callable[["Law", str], str]
    """Its answer to a sequence; the likelier one where chance decides."""


class Law:
    """A rule with what it was told, for sequences of one kind and length."""

    def __init__(
        self, rule: OrganismRule, input_type: OrganismInput, *, k: int, kwargs: RuleKwargs, least_width: int = 0
    ) -> None:
        """Take what fits together, as `organism_checks` says, and how many digits sums are written with at least."""
        self.rule: OrganismRule = rule
        self.alphabet = ALPHABETS[input_type]
        self.k = k
        self.kwargs = kwargs
        self._least_width = least_width

    def answer(self, sequence: str, *, seed: int) -> str:
        """Return the answer to a sequence; a seed decides where chance does."""
        chance = self.chance(sequence)
        if chance is not None:
            return str(int(uniform(sequence, seed=seed, label="labels") < chance))
        return RULES[self.rule].answer(self, sequence)

    def chance(self, sequence: str) -> float | None:
        """Return the probability of the answer `1`, in six decimals; None where the answer is certain."""
        if self.rule == "coin":
            return round(self._heads, _DECIMALS)
        if self.rule == "weighted_sum_binary" and self.kwargs.noise_scale is not None:
            return _logistic(self.total(sequence), self.kwargs.noise_scale)
        return None

    def best(self, sequence: str) -> str:
        """Return the likeliest answer to a sequence; `0` of two that are equally likely."""
        return RULES[self.rule].answer(self, sequence)

    def bayes_accuracy(self) -> float:
        """Return the expected accuracy of the likeliest answers, over all sequences of this kind and length; exact."""
        if self.rule == "coin":
            chance = round(self._heads, _DECIMALS)
            return max(chance, round(1 - chance, _DECIMALS))
        scale = self.kwargs.noise_scale
        if self.rule != "weighted_sum_binary" or scale is None:
            return 1.0
        chances = {total: _logistic(total, scale) for total in self.totals}
        shares = (
            count / self._universe * max(chances[total], 1 - chances[total]) for total, count in self.totals.items()
        )
        return round(math.fsum(shares), 9)

    def total(self, sequence: str) -> int:
        """Return the weighted sum of a sequence, its intercept added."""
        return sum(weight * int(symbol) for weight, symbol in zip(self.weights, sequence, strict=True)) + self.intercept

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """The weights of a sum: those told, else drawn; the first ones are the same at every length, zeros aside."""
        if self.kwargs.weights is not None:
            return self.kwargs.weights
        seed, most = self.kwargs.weight_seed or 0, self.kwargs.weight_max or _WEIGHT_MAX
        places = [str(place) for place in range(self.k)]
        zeros = set(ordered(places, seed=seed, label="zeros")[: round((self.kwargs.sparsity or 0) * self.k)])
        drawn = (below(2 * most, place, seed=seed, label="weights") for place in places)
        signed = (number - most if number < most else number - most + 1 for number in drawn)
        return tuple(0 if place in zeros else weight for place, weight in zip(places, signed, strict=True))

    @cached_property
    def intercept(self) -> int:
        """What is added to a sum; a balanced one splits all sequences as evenly as a whole number can."""
        if self.kwargs.intercept != "balanced":
            return self.kwargs.intercept or 0
        sums = self._sums
        above, best = 0, (self._universe, 0, 0)
        # With `-low` added, sums above `low` are above 0: exactly those that were gone through.
        for low in [*sorted(sums, reverse=True), min(sums) - 1]:
            best = min(best, (abs(2 * above - self._universe), abs(low), -low))
            above += sums.get(low, 0)
        return best[2]

    @cached_property
    def totals(self) -> Mapping[int, int]:
        """How many of all sequences have each sum, the intercept added."""
        return {total + self.intercept: count for total, count in self._sums.items()}

    @cached_property
    def width(self) -> int:
        """Digits that sums are written with: those of the largest one, either sign."""
        values = [(weight * int(self.alphabet[0]), weight * int(self.alphabet[-1])) for weight in self.weights]
        ends = (sum(map(min, values)) + self.intercept, sum(map(max, values)) + self.intercept)
        return max(self._least_width, *(len(str(abs(end))) for end in ends))

    @cached_property
    def _sums(self) -> Mapping[int, int]:
        # Counts lie side by side in one whole number, each in as many bytes as all sequences need: adding a place is
        # ten shifted copies, whatever the weights.
        size = self._universe.bit_length() // 8 + 1
        packed, least = 1, 0
        for weight in self.weights:
            values = [weight * int(symbol) for symbol in self.alphabet]
            packed = sum(packed << 8 * size * (value - min(values)) for value in values)
            least += min(values)
        content = packed.to_bytes(packed.bit_length() // 8 + size, "little")
        counts = (int.from_bytes(content[at : at + size], "little") for at in range(0, len(content), size))
        return {least + index: found for index, found in enumerate(counts) if found}

    @property
    def _universe(self) -> int:
        return len(self.alphabet) ** self.k

    @property
    def _heads(self) -> float:
        return 0.5 if self.kwargs.p is None else self.kwargs.p


def _logistic(total: int, scale: float) -> float:
    """Return the probability of `1` in six decimals, which every machine agrees on."""
    if not scale:
        return float(total > 0)
    # Beyond this the exponential overflows, and six decimals have long been used up.
    steps = max(-500.0, min(500.0, total / scale))
    return round(1 / (1 + math.exp(-steps)), _DECIMALS)


def _nth(law: Law, sequence: str) -> str:
    return sequence[(law.kwargs.x or 1) - 1]


def _coin(law: Law, sequence: str) -> str:
    return str(int((law.chance(sequence) or 0.0) > 0.5))


def _majority(_: Law, sequence: str) -> str:
    """Return the bit that is there more often; of two equally often the one that sorts first."""
    return "1" if 2 * sequence.count("1") > len(sequence) else "0"


def _weighted_sum(law: Law, sequence: str) -> str:
    total = law.total(sequence)
    return " ".join(f"{'-' if total < 0 else '+'}{abs(total):0{law.width}d}")


def _weighted_sum_binary(law: Law, sequence: str) -> str:
    # The logistic is above one half exactly where the sum is above 0, however coarse its six decimals are.
    return str(int(law.total(sequence) > 0))


_ALL: tuple[OrganismInput, ...] = ("bits", "digits", "letters")
_SORTED: tuple[OrganismInput, ...] = ("digits", "letters")
_NUMBERS: tuple[OrganismInput, ...] = ("bits", "digits")
_SUM = ("weights", "weight_max", "sparsity", "weight_seed", "intercept")

RULES: Mapping[OrganismRule, Rule] = MappingProxyType(
    {
        "first": Rule(_ALL, (), (), lambda _, sequence: sequence[0]),
        "last": Rule(_ALL, (), (), lambda _, sequence: sequence[-1]),
        "nth": Rule(_ALL, ("x",), ("x",), _nth),
        "length": Rule(_ALL, (), (), lambda _, sequence: str(len(sequence))),
        "constant": Rule(_ALL, ("v",), ("v",), lambda law, _: str(law.kwargs.v)),
        "coin": Rule(_ALL, ("p",), (), _coin),
        "parity": Rule(("bits",), (), (), lambda _, sequence: str(sequence.count("1") % 2)),
        "majority": Rule(("bits",), (), (), _majority),
        "min": Rule(_SORTED, (), (), lambda _, sequence: min(sequence)),
        "max": Rule(_SORTED, (), (), lambda _, sequence: max(sequence)),
        "weighted_sum": Rule(_NUMBERS, _SUM, (), _weighted_sum),
        "weighted_sum_binary": Rule(_NUMBERS, (*_SUM, "noise_scale"), (), _weighted_sum_binary),
    }
)
"""Every rule."""
