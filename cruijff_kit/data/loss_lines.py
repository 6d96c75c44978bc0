"""Losses that torchtune prints as it trains: `epoch|step|Loss: value`."""

import re
from typing import NamedTuple

__all__ = ["PrintedLoss", "printed_losses"]

# A progress bar rewrites its line, so several may stand in one.
_LINE = re.compile(r"(?<!\d)(\d{1,6})\|(\d{1,9})\|Loss: (\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)")


class PrintedLoss(NamedTuple):
    """One loss as it was printed."""

    epoch: int
    """Epoch from 0; torchtune prints it from 1."""
    step: int
    """Optimiser step from 1."""
    loss: float
    """Loss of the step, as printed."""


def printed_losses(text: str) -> list[PrintedLoss]:
    """Return the losses of a job's output in the order of their steps, each step once, as it was printed last."""
    found = {
        int(step): PrintedLoss(int(epoch) - 1, int(step), float(loss)) for epoch, step, loss in _LINE.findall(text)
    }
    return [found[step] for step in sorted(found) if found[step].epoch >= 0]
