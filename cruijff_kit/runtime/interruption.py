"""Being asked to end: a flag that a training looks at between two optimiser steps."""

import signal
from types import FrameType

from cruijff_kit.runtime.job_files import Stopped

__all__ = ["Interruption"]

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Signals that ask this job to end at its next step.

    SIGUSR1 is the scheduler's notice before the time limit, SIGTERM its stop, SIGINT a
    person's. The first one only sets a flag, so that no step is torn and a checkpoint can
    be made; a second SIGTERM or SIGINT ends a job of one process at once. Of several
    processes each gets a signal twice as a rule, from the scheduler and from `torchrun`,
    which also kills those that linger; there a second one says nothing new.
    """

    def __init__(self) -> None:
        """Wait for `listen`."""
        self.signal = 0
        self._alone = True

    def listen(self, *, alone: bool = True) -> None:
        """Take the signals over; for the main thread of a job of one process, or of several."""
        self._alone = alone
        for number in (signal.SIGUSR1, *_STOPS):
            signal.signal(number, self._note)

    @property
    def stopped(self) -> bool:
        """Return whether somebody wants the job to end, for good as far as it knows."""
        return self.signal in _STOPS

    @property
    def noticed(self) -> bool:
        """Return whether the scheduler gave notice, so that the job should be queued again."""
        return self.signal == signal.SIGUSR1

    def raise_stopped(self, *, again: bool = False) -> None:
        """End the job with the exit code that a shell gives for its signal.

        Args:
            again: whether it wants to be queued again.

        Raises:
            Stopped: always.
        """
        raise Stopped(self.signal or (signal.SIGUSR1 if again else signal.SIGTERM), again=again)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._alone and self.stopped and number != signal.SIGUSR1:
            raise Stopped(number)
        # A stop outranks a notice: who is being stopped must not queue itself again.
        self.signal = self.signal if self.stopped else number
