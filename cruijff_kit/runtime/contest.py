"""Which validation was the best so far, by whatever metric, and whether a better one is still waited for."""

from dataclasses import dataclass
from math import isfinite

from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import BEST_METRICS, CalibrationMonitor
from cruijff_kit.schema.run import MetricPoint

__all__ = ["Contest", "lowered"]


@dataclass(slots=True)
class Contest:
    """The best adapter's value and step, and the validations since."""

    config: TrainConfig
    """By which metric, which way, and with how much patience."""
    best: tuple[float, int] | None = None
    """The value, and its step; None before the first."""
    waited: int = 0
    """Validations since then."""

    @property
    def step(self) -> int | None:
        """Return the step of the best adapter that is kept; None where none is."""
        return self.best[1] if self.best is not None and self.config.keep_best else None

    @property
    def over(self) -> bool:
        """Return whether patience is spent."""
        patience = self.config.early_stopping_patience
        return patience is not None and self.waited >= patience

    def judge(self, point: MetricPoint) -> bool:
        """Return whether a point is the best so far, and count it; one without validation is none.

        A validation at which the metric could not be told, or is no number, is no better than the best.
        """
        if point.val_loss is None:
            return False
        value = getattr(point, self.config.metric_for_best_model)
        if value is None or not isfinite(value) or not self._beats(value):
            self.waited += 1
            return False
        self.best, self.waited = (value, point.step), 0
        return True

    def resume(self, value: float | None, step: int | None, *, waited: int) -> None:
        """Stand where a checkpoint stands."""
        if value is not None and step is not None:
            self.best, self.waited = (value, step), waited

    def forget(self) -> None:
        """Begin anew."""
        self.best, self.waited = None, 0

    def words(self) -> str:
        """Return why training ended early."""
        return f"`{self.config.metric_for_best_model}` was no better in {self.waited} validations in a row"

    def _beats(self, value: float) -> bool:
        more = self.config.greater_is_better
        more = BEST_METRICS[self.config.metric_for_best_model] if more is None else more
        return self.best is None or (value > self.best[0] if more else value < self.best[0])


def lowered(point: MetricPoint, monitor: CalibrationMonitor) -> tuple[str, ...]:
    """Return what a job says of a validation that lowered the learning rate; nothing of any other."""
    if point.lr_scale is None:
        return ()
    within = f"[{point.ece_debiased_low:.4f}, {point.ece_debiased_high:.4f}]"
    fact = f"the debiased ECE is {point.ece_debiased:.4f}, its interval {within} above {monitor.adjustment_threshold:g}"
    return (f"step {point.step}: {fact}; learning rates from here on are {point.lr_scale:.6g} of those planned",)
