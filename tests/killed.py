"""Kill -9 between any two lines of what writes, in a child, as often as one likes."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["kill_at", "lines_run"]

_ADAPTERS = (str(Path("cruijff_kit") / "adapters"),)


def kill_at(line: int, action: Callable[[], object], *, watched: Sequence[str] = _ADAPTERS) -> bool:
    """Run an action in a child that kills itself before the given line; return whether it was killed.

    Args:
        line: number of the line, counted as they are run.
        action: what to do.
        watched: parts of the paths of files whose lines count.
    """
    child = os.fork()
    if child == 0:
        _count_lines(lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == line else None, watched)
        action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def lines_run(action: Callable[[], object], *, watched: Sequence[str] = _ADAPTERS) -> int:
    """Return how many lines of the watched files an action runs, by running it."""
    numbers = [0]
    _count_lines(numbers.append, watched)
    try:
        action()
    finally:
        sys.settrace(None)
    return numbers[-1]


def _count_lines(told: Callable[[int], object], watched: Sequence[str]) -> None:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not any(part in frame.f_code.co_filename for part in watched):
            return None
        if event == "line":
            count += 1
            told(count)
        return trace

    sys.settrace(trace)
