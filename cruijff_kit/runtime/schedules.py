"""Learning-rate schedules: the share of the peak at each optimiser step."""

import math
from collections.abc import Callable

from cruijff_kit.schema.config import ScheduleConfig

__all__ = ["rate_at"]


def rate_at(schedule: ScheduleConfig, *, total_steps: int) -> Callable[[int], float]:
    """Return the function from step, counted from 0, to a share of the peak rate.

    All but `constant` rise linearly from 0 over the warm-up. Then `cosine` falls to 0 as
    half a cosine wave (Loshchilov and Hutter 2017, without restarts), `linear` falls to
    0 in a straight line, `constant_with_warmup` stays. They equal the schedules of those
    names in transformers.
    """
    warmup = schedule.num_warmup_steps

    def progress(step: int) -> float:
        return (step - warmup) / max(1, total_steps - warmup)

    shapes: dict[str, Callable[[int], float]] = {
        "cosine": lambda step: max(0.0, 0.5 * (1 + math.cos(math.pi * progress(step)))),
        "linear": lambda step: max(0.0, 1 - progress(step)),
        "constant_with_warmup": lambda step: 1.0,
    }
    if schedule.name == "constant":
        return lambda step: 1.0
    shape = shapes[schedule.name]
    return lambda step: step / warmup if step < warmup else shape(step)
