"""Training time from the speed that earlier runs, or the first steps of this one, have reached.

The one unit is processed tokens a second: prompts and answers, padding left out, so that
a run's tokens are those of its rows. Only optimiser steps count as training; what a job
takes beside them (loading, validation, saving) is told from the same earlier runs.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from cruijff_kit.planning.lengths import RowLengths
from cruijff_kit.schema.plan import Estimate, PlannedRun

__all__ = ["Measured", "Pace", "Span", "likeness", "pace", "planned_tokens", "settled", "training_span"]

# Settings that change how fast a token is processed; runs that differ in one are not compared.
_ALIKE = ("dtype", "packed", "activation_checkpointing", "quantization", "lora_variant")
_MOST_WARM_UP = 10


class Pace(NamedTuple):
    """Processed tokens per second of one training."""

    middle: float
    """Median of its steps after warm-up."""
    slow: float
    """First quartile."""
    fast: float
    """Third quartile."""


class Measured(NamedTuple):
    """The speed one earlier run reached."""

    run_id: str
    """The run it was measured on."""
    model_sha256: str
    """Base model it trained."""
    pace: Pace
    """Its speed."""
    like: tuple[object, ...]
    """What its speed depends on, by `likeness`."""
    batch_size: int
    """Rows of its passes."""
    beside: float = 0.0
    """Seconds of the job outside of optimiser steps."""
    tokens: int = 0
    """Tokens it processed in all."""


class Span(NamedTuple):
    """A value and the interval it lies in."""

    value: float
    """Best value."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""

    def scaled(self, factor: float) -> "Span":
        """Return the span in another unit."""
        return Span(self.value * factor, self.low * factor, self.high * factor)

    def stated(self, name: str, *, unit: str, source: str) -> Estimate:
        """Return the span as a figure."""
        return Estimate(name=name, value=self.value, unit=unit, low=self.low, high=self.high, source=source)


def settled(speeds: Sequence[float]) -> list[float]:
    """Return the speeds of steps without those of the warm-up: a fifth of them, ten at most, one at least."""
    return list(speeds[max(1, min(_MOST_WARM_UP, len(speeds) // 5)) :])


def pace(speeds: Sequence[float]) -> Pace | None:
    """Return the speed of a training from that of its steps, in order; None where all are warm-up."""
    steady = sorted(settled(speeds))
    if not steady:
        return None
    quarter = len(steady) // 4
    return Pace(median(steady), steady[quarter], steady[-1 - quarter])


def likeness(run: PlannedRun, *, gpus: int) -> tuple[object, ...]:
    """Return what a run's speed depends on beside its model: arithmetic, form of the passes, device."""
    settings = run.settings
    return (*(settings[name].value if name in settings else None for name in _ALIKE), gpus)


def planned_tokens(run: PlannedRun, lengths: RowLengths) -> float:
    """Return the tokens that a run processes in all its optimiser steps."""
    settings = run.settings
    window = settings["batch_size"].value * settings["gradient_accumulation_steps"].value
    return run.total_steps * window * lengths.mean


def training_span(
    run: PlannedRun, lengths: RowLengths | None, *, gpus: int, measured: Sequence[Measured]
) -> tuple[Span, int] | None:
    """Return the seconds a run will train, and how many runs that is known from; None where none is like it.

    Runs of the same pass size are taken where there are any. The interval reaches from
    the fastest quartile of any of them to the slowest one.
    """
    alike = likeness(run, gpus=gpus)
    same = [each for each in measured if each.model_sha256 == run.model.sha256 and each.like == alike]
    best = [each for each in same if each.batch_size == run.settings["batch_size"].value] or same
    if not best or lengths is None or not lengths.measured:
        return None
    tokens = planned_tokens(run, lengths)
    beside = [each.beside for each in best]
    value = tokens / median(each.pace.middle for each in best) + median(beside)
    low = tokens / max(each.pace.fast for each in best) + min(beside)
    high = tokens / min(each.pace.slow for each in best) + max(beside)
    return Span(value, low, high), len(best)
