"""Fractions: regular two-level fractional factorial designs, with what they cannot tell apart.

A combination is a row of signs; a generator makes one factor's sign the product of
others'. Sets of factors are bit masks, products of them exclusive ors, so everything is
exact. Source: G. E. P. Box, J. S. Hunter, W. G. Hunter, Statistics for Experimenters,
2nd ed. (2005), chapters 6 and 7.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from cruijff_kit.schema.design_kinds import FractionalDesign, Level

__all__ = ["Fraction", "fraction_of"]

_MOST_FOUND = 10
_PAIR = 2
_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


class _Rule(NamedTuple):
    """One generated factor."""

    factor: int
    """Its place."""
    of: int
    """Mask of the factors it follows from."""
    turned: bool
    """Whether its sign is turned."""


class Fraction(NamedTuple):
    """A fraction of a two-level design."""

    factors: tuple[str, ...]
    """Names, in the order of the design."""
    rules: tuple[_Rule, ...]
    """How some follow from others."""

    @property
    def runs(self) -> int:
        """Return how many combinations it has."""
        return 2 ** (len(self.factors) - len(self.rules))

    @property
    def resolution(self) -> int:
        """Return the length of its shortest defining word."""
        return min((word.bit_count() for word in self._words()), default=len(self.factors) + 1)

    def combinations(self, levels: Mapping[str, Sequence[Level]]) -> Iterator[dict[str, Level]]:
        """Yield the combinations, the last free factor changing fastest."""
        made = {rule.factor for rule in self.rules}
        free = [place for place in range(len(self.factors)) if place not in made]
        for number in range(self.runs):
            high = sum(1 << place for bit, place in enumerate(reversed(free)) if number >> bit & 1)
            for rule in self.rules:
                # A product of signs is plus where an even number of them is minus.
                minus = (rule.of & ~high).bit_count() % 2
                high |= 0 if bool(minus) != rule.turned else 1 << rule.factor
            yield {name: levels[name][high >> place & 1] for place, name in enumerate(self.factors)}

    def generators(self) -> tuple[str, ...]:
        """Return the generators as they are written in a design."""
        return tuple(
            f"{self.factors[rule.factor]} = {'-' * rule.turned}{' * '.join(self._names(rule.of))}"
            for rule in self.rules
        )

    def aliases(self) -> tuple[tuple[str, ...], ...]:
        """Return main effects and pairs that cannot be told apart, those with a main effect first."""
        # A longer word takes no effect of one or two factors to another.
        words = [word for word in self._words() if word.bit_count() <= 2 * _PAIR]
        places = range(len(self.factors))
        effects = [1 << place for place in places]
        effects += [1 << one | 1 << other for one, other in combinations(places, _PAIR)]
        told, found = set[int](), []
        for effect in effects:
            same = [effect, *sorted(each for word in words if (each := effect ^ word).bit_count() in {1, _PAIR})]
            if effect not in told and len(same) > 1:
                found.append(tuple(" x ".join(self._names(each)) for each in same))
            told.update(same)
        return tuple(found)

    def words(self) -> tuple[str, ...]:
        """Return what the design is, in sentences."""
        resolution = self.resolution
        roman = _ROMAN[resolution] if resolution < len(_ROMAN) else str(resolution)
        share = f"{self.runs} of {2 ** len(self.factors)} combinations"
        told = [f"Fractional factorial of resolution {roman}: {share}; {'; '.join(self.generators())}."]
        told += [f"Not told apart: {' = '.join(each)}." for each in self.aliases()]
        return tuple(told)

    def _words(self) -> list[int]:
        """Return the defining words: all products of the generators with the factors they make."""
        words = [0]
        for rule in self.rules:
            words += [word ^ (rule.of | 1 << rule.factor) for word in words]
        return words[1:]

    def _names(self, mask: int) -> list[str]:
        return [name for place, name in enumerate(self.factors) if mask >> place & 1]


def fraction_of(design: FractionalDesign, factors: Mapping[str, Sequence[Level]]) -> Fraction:
    """Return the fraction that a design asks for.

    Raises:
        ValueError: there is no such fraction, or it is not sharp enough; says why.
    """
    names = tuple(factors)
    if not names:
        raise ValueError("a fractional factorial is of `factors`, and there are none")
    many = [name for name, levels in factors.items() if len(levels) != _PAIR]
    if many:
        raise ValueError(f"a fractional factorial has two levels a factor, and `{many[0]}` has {len(factors[many[0]])}")
    if design.generators:
        found = Fraction(names, tuple(_parsed(design.generators, names)))
        if design.runs not in {None, found.runs}:
            raise ValueError(f"the generators give {found.runs} runs, and `runs` says {design.runs}")
    else:
        found = _sharpest(names, design.runs or 2 ** (len(names) - 1))
    least = design.resolution or 3
    if found.resolution < least:
        raise ValueError(f"{found.runs} runs of {len(names)} factors have resolution {found.resolution}, below {least}")
    return found


def _parsed(generators: Sequence[str], names: tuple[str, ...]) -> Iterator[_Rule]:
    made = [text.partition("=")[0].strip() for text in generators]
    for text in generators:
        target, _, product = (part.strip() for part in text.partition("="))
        parts = [part.strip() for part in product.removeprefix("-").split("*")]
        if any(len(name.split()) != 1 for name in (target, *parts)):
            raise ValueError(f"generator `{text}` is not of the form `factor = factor * factor`")
        unknown = [name for name in (target, *parts) if name not in names]
        if unknown:
            raise ValueError(f"generator `{text}` names `{unknown[0]}`, which is no factor")
        if made.count(target) > 1 or any(part in made for part in parts) or len(set(parts)) < len(parts):
            raise ValueError(f"generator `{text}` must make a factor of its own from factors that none makes")
        yield _Rule(names.index(target), sum(1 << names.index(part) for part in parts), product.startswith("-"))


@lru_cache(maxsize=8)
def _sharpest(names: tuple[str, ...], runs: int) -> Fraction:
    """Return the fraction of so many runs with the highest resolution and then the fewest shortest words."""
    count, free = len(names), runs.bit_length() - 1
    if runs != 2**free or not free < count:
        raise ValueError(f"`runs` {runs} is no power of two below {2**count}, the number of all combinations")
    if count > _MOST_FOUND:
        raise ValueError(f"generators are found for up to {_MOST_FOUND} factors, and there are {count}; give them")
    choices = [mask for mask in range(2**free) if mask.bit_count() >= _PAIR]
    if len(choices) < count - free:
        raise ValueError(f"{runs} runs are too few for {count} factors: at most {runs - 1} can be told apart")
    # Long words first, so that the first of several that are as sharp is the one textbooks print.
    choices.sort(key=lambda mask: (-mask.bit_count(), mask))
    made = range(free, count)
    found = (
        Fraction(names, tuple(_Rule(place, mask, turned=False) for place, mask in zip(made, masks, strict=True)))
        for masks in combinations(choices, count - free)
    )
    return max(found, key=_sharpness)


def _sharpness(fraction: Fraction) -> tuple[int, ...]:
    lengths = [word.bit_count() for word in fraction._words()]
    return tuple(-lengths.count(length) for length in range(1, len(fraction.factors) + 1))
