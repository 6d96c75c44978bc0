"""Rankings are sets within which no run is told apart from the best."""

from collections.abc import Sequence

import numpy as np

from cruijff_kit.analysis.paired import mcnemar_exact
from cruijff_kit.analysis.ranking import MOST_RANKED, tied_sets


def _test(left: Sequence[bool], right: Sequence[bool]) -> float:
    pairs = list(zip(left, right, strict=True))
    return mcnemar_exact(pairs.count((False, True)), pairs.count((True, False)))


def _first(right: int, n: int = 200) -> list[bool]:
    return [at < right for at in range(n)]


def test_runs_that_are_not_told_apart_share_a_place() -> None:
    verdicts = {"low": _first(40), "good": _first(150), "better": _first(153), "middle": _first(90)}
    found = tied_sets(verdicts, test=_test, alpha=0.05)
    assert [(each.place, each.runs) for each in found] == [(1, ("better", "good")), (3, ("middle",)), (4, ("low",))]
    assert (found[0].best, found[0].worst, found[0].n) == (153 / 200, 150 / 200, 200)


def test_equal_runs_are_one_set_in_the_order_given() -> None:
    verdicts = {name: _first(100) for name in ("b", "a", "c")}
    assert [each.runs for each in tied_sets(verdicts, test=_test, alpha=0.05)] == [("b", "a", "c")]


def test_runs_that_differ_by_chance_alone_are_seldom_parted() -> None:
    rng, parted = np.random.default_rng(1), 0
    for _ in range(200):
        verdicts = {str(run): (rng.random(120) < 0.6).tolist() for run in range(5)}
        parted += len(tied_sets(verdicts, test=_test, alpha=0.05)) > 1
    assert parted <= 0.05 * 200 + 4


def test_one_run_alone_and_too_many_have_no_ranking() -> None:
    assert tied_sets({"a": _first(3)}, test=_test, alpha=0.05) == ()
    many = {str(run): [True] for run in range(MOST_RANKED + 1)}
    assert tied_sets(many, test=_test, alpha=0.05) == ()
