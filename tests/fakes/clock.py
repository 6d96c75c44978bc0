"""A clock that stands still until it is moved."""

from datetime import UTC, datetime, timedelta

__all__ = ["FakeClock"]


class FakeClock:
    """Time that a test moves: `forward`, or whoever sleeps."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 14, 23, 15, tzinfo=UTC)) -> None:
        """Stand at a fixed moment."""
        self._now = start
        self._seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the moment the clock stands at."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which it was moved."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move forward instead of waiting, and remember it."""
        self.slept.append(seconds)
        self.forward(max(seconds, 0.0))

    def forward(self, seconds: float) -> None:
        """Move the clock."""
        self._now += timedelta(seconds=seconds)
        self._seconds += seconds
