"""Ranking: runs in sets within which none is told apart from the best."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.report import TiedSet

__all__ = ["MOST_RANKED", "PairTest", "tied_sets"]

MOST_RANKED = 200
"""Runs beyond which pairs are too many to compare."""

PairTest = Callable[[Sequence[bool], Sequence[bool]], float]
"""Two models' verdicts on the same samples to a two-sided p-value."""


def tied_sets(verdicts: Mapping[str, Sequence[bool]], *, test: PairTest, alpha: float) -> tuple[TiedSet, ...]:
    """Return runs from best to worst in tied sets; every pair is tested and Holm-adjusted together.

    The best run not yet placed opens a set, which takes every run left that is not
    significantly worse. Fewer than two runs have no ranking.

    Args:
        verdicts: run to its verdicts on the same samples in the same order.
        test: the paired test of two runs.
        alpha: family-wise error rate over all pairs.
    """
    runs = sorted(verdicts, key=lambda run: (-sum(verdicts[run]), list(verdicts).index(run)))
    if not 2 <= len(runs) <= MOST_RANKED:
        return ()
    pairs = list(combinations(runs, 2))
    adjusted = holm_adjusted([test(verdicts[first], verdicts[second]) for first, second in pairs])
    differ = {pair for pair, p_value in zip(pairs, adjusted, strict=True) if p_value < alpha}
    n, found = len(verdicts[runs[0]]), []
    while runs:
        best = runs[0]
        tied = [run for run in runs if (best, run) not in differ]
        shares = [sum(verdicts[run]) / n for run in tied]
        place = sum(len(each.runs) for each in found) + 1
        found.append(TiedSet(place=place, runs=tuple(tied), best=max(shares), worst=min(shares), n=n))
        runs = [run for run in runs if run not in tied]
    return tuple(found)
