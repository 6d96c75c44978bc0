import gc

import pytest

from cruijff_kit.runtime.garbage import seldom_collected


class Knot:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.own = self


def test_collections_are_seldom_while_it_lasts_and_as_usual_afterwards() -> None:
    usual = gc.get_threshold()
    with seldom_collected():
        before = gc.get_stats()[0]["collections"]
        kept = [[] for _ in range(20 * usual[0])]
        assert gc.get_stats()[0]["collections"] == before
        assert gc.get_freeze_count() > len(kept)
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() == 0


def test_garbage_is_collected_all_the_same() -> None:
    with seldom_collected():
        before = gc.get_stats()[0]["collected"]
        for _ in range(150_000):
            Knot()
        assert gc.get_stats()[0]["collected"] > before + 90_000


def test_an_error_leaves_collections_as_usual() -> None:
    usual = gc.get_threshold()
    with pytest.raises(RuntimeError), seldom_collected():
        raise RuntimeError
    assert gc.get_threshold() == usual
