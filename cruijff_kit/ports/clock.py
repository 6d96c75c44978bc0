"""Time that passes, and how far long work has come."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

__all__ = ["Clock", "Progress"]

Progress = Callable[[int, int, str], None]
"""Called with (done, total, label) while long work goes on."""


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a test's clock moves forward instead."""
        ...
