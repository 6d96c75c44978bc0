"""Known chances: columns of generated rows that hold each answer's true probability, for the judge alone."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CHANCE", "chance_columns", "chances_in"]

CHANCE = "chance_"
"""What the name of such a column begins with; the option follows."""


def chance_columns(chances: Mapping[str, float]) -> dict[str, float]:
    """Return the columns of a row whose options have these true probabilities."""
    return {f"{CHANCE}{option}": chance for option, chance in chances.items()}


def chances_in(row: Mapping[str, Any], *, options: Sequence[str]) -> tuple[float, ...] | None:
    """Return the true probability of each option; None where the row does not hold all of them."""
    found = [row.get(f"{CHANCE}{option}") for option in options]
    numbers = tuple(float(each) for each in found if isinstance(each, int | float) and not isinstance(each, bool))
    return numbers if len(numbers) == len(found) else None
