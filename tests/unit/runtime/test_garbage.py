import gc

import pytest

from cruijff_kit.runtime.garbage import seldom_collected, uncollected


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


def test_nothing_is_collected_while_libraries_load_and_what_they_made_is_left_out_of_later_looks() -> None:
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_a_library_that_cannot_be_loaded_leaves_collections_on() -> None:
    try:
        with pytest.raises(ModuleNotFoundError), uncollected():
            raise ModuleNotFoundError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
