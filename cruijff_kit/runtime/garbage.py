"""Collecting garbage seldom: not while libraries load, and hardly while objects of an evaluation come and go."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["seldom_collected", "uncollected"]

_SELDOM = (100_000, 10, 10)
"""Allocations before the young are looked at, and how many such looks go to one at the older, and oldest, ones."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Leave what is there now out of every collection, and let collections be seldom.

    inspect-ai makes thousands of objects a sample that live until its log is written. Looking at them
    every 700 allocations, Python's usual pace, takes a third of the time of an evaluation.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing while libraries load, and leave what they made out of every collection from then on.

    Imports leave up to a million objects that live until the end: to look through them again and again takes a fifth
    to a quarter of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
