"""The clock of this machine."""

import time
from datetime import UTC, datetime

__all__ = ["SystemClock"]


class SystemClock:
    """Time as this machine tells it; the `Clock` that verbs get."""

    def now(self) -> datetime:
        """Return the current moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds; nothing at all for none or fewer."""
        time.sleep(max(seconds, 0.0))
