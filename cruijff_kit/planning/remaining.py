"""The time that is left for a training which was stopped at its time limit, by its own measured speed; pure."""

from typing import NamedTuple

from cruijff_kit.planning.time_limit import notice_before, seconds_of, text_of
from cruijff_kit.schema.run import JobStatus, StepStatus

__all__ = ["Remaining", "time_left"]

_MARGIN = 1.5
_LEAST = 600
_MINUTE = 60


class Remaining(NamedTuple):
    """What a training still has to do, and what it may take."""

    steps: int
    """Optimiser steps after its last checkpoint."""
    each: float
    """Seconds a step, validation and checkpoints among them, as the last job took them."""
    load: float
    """Seconds before the first step, as the last job took them."""
    limit: int
    """Seconds to ask for, whole minutes: half as much again, and the notice; ten minutes at least."""

    @property
    def words(self) -> str:
        """Return how the time limit follows from what was measured."""
        loads = f" and {self.load:.3g} s to load" if self.load >= 1 else ""
        return f"{self.steps} steps at {self.each:.3g} s{loads} are left, so it asks for {text_of(self.limit)}"


def time_left(entry: StepStatus, *, limit: str) -> Remaining | None:
    """Return what is left of a training; None where its speed is unknown, or all of its limit is needed.

    Args:
        entry: where its step stands; the last attempt is the one that was stopped.
        limit: the time limit of its script, which is never exceeded.
    """
    own = entry.account
    if own is None or own.first_at is None:
        return None
    done, steps = own.step - own.first, own.total - own.saved
    spent = (own.updated - own.first_at).total_seconds()
    if done <= 0 or steps <= 0 or spent <= 0:
        return None
    load = _load(own, entry)
    asked = _MARGIN * (load + steps * spent / done) + notice_before(limit)
    seconds = max(_LEAST, -(-int(asked + 1) // _MINUTE) * _MINUTE)
    return Remaining(steps, spent / done, load, seconds) if seconds < seconds_of(limit) else None


def _load(own: JobStatus, entry: StepStatus) -> float:
    """Return the seconds from the job's start to its first step; clocks of controller and node may differ."""
    begun, first_at = entry.attempts[-1].started, own.first_at
    starts = [own.started] if begun is None else [own.started, begun]
    return max((first_at - start).total_seconds() for start in starts) if first_at is not None else 0.0
