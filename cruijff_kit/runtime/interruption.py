"""Being asked to end: a flag that a training looks at between two optimiser steps."""

import signal
from types import FrameType

from cruijff_kit.runtime.job_files import Stopped

__all__ = ["Interruption"]


class Interruption:
    """Signals that ask this job to end at its next step.

    SIGUSR1 is the scheduler's notice before the time limit, SIGTERM its stop, SIGINT a
    person's. The first one only sets a flag, so that no step is torn and a checkpoint can
    be made; a second SIGTERM or SIGINT ends the job at once.
    """

    def __init__(self) -> None:
        """Wait for `listen`."""
        self.signal = 0

    def listen(self) -> None:
        """Take the signals over; for the main thread of a job."""
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    @property
    def noticed(self) -> bool:
        """Return whether the scheduler gave notice, so that the job should be queued again."""
        return self.signal == signal.SIGUSR1

    def raise_stopped(self) -> None:
        """End the job with the exit code that a shell gives for its signal.

        Raises:
            Stopped: always.
        """
        raise Stopped(self.signal or signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal in (signal.SIGTERM, signal.SIGINT) and number != signal.SIGUSR1:
            raise Stopped(number)
        # A stop outranks a notice: who is being stopped must not queue itself again.
        self.signal = number if self.signal in (0, signal.SIGUSR1) else self.signal
