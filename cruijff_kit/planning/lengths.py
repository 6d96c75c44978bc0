"""How long the rows of a run are in tokens, and how long a pass over them becomes."""

from collections.abc import Sequence
from math import ceil, sqrt
from statistics import NormalDist, fmean, pstdev
from typing import NamedTuple

__all__ = ["RowLengths", "row_lengths"]


class RowLengths(NamedTuple):
    """Lengths of training rows, in tokens of the model that reads them."""

    mean: float
    """Mean of all tokens."""
    deviation: float
    """Standard deviation."""
    longest: int
    """Longest row."""
    answer: int
    """Most supervised tokens of a row."""
    measured: bool = True
    """False where nothing is known but the limit that a row may reach."""

    @classmethod
    def limit(cls, tokens: int) -> "RowLengths":
        """Return what is known without a tokenizer: no row is longer."""
        return cls(float(tokens), 0.0, tokens, tokens, measured=False)

    def padded(self, rows: int) -> int:
        """Return the tokens of the longest padded pass: each row as long as the longest."""
        return rows * self.longest

    def packed(self, rows: int, *, passes: int) -> int:
        """Return the tokens of the longest of some packed passes.

        The sum of random rows is near normal, and the largest of n normal values is
        expected at the quantile (n - 3/8) / (n + 1/4) (Blom 1958).
        """
        if not self.measured:
            return rows * self.longest
        count = max(passes, 1)
        above = NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
        usual = rows * self.mean + above * self.deviation * sqrt(rows)
        return min(ceil(usual), rows * self.longest)


def row_lengths(even: Sequence[tuple[int, int]], long: Sequence[tuple[int, int]] = ()) -> RowLengths | None:
    """Return the lengths of rows; None without any.

    Args:
        even: tokens and supervised tokens of rows taken evenly, for the mean.
        long: the same of rows that are likely the longest.
    """
    if not even:
        return None
    tokens = [count for count, _ in even]
    every = [*even, *long]
    return RowLengths(fmean(tokens), pstdev(tokens), max(row[0] for row in every), max(row[1] for row in every))
