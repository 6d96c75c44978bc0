"""What a recipe may replace around its model: what is minimised, and what a training is watched by."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cruijff_kit.runtime.calibration_watch import load_watch
from cruijff_kit.runtime.custom_metrics import load_metrics
from cruijff_kit.runtime.objective import load_objective
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig

__all__ = ["USUAL", "Parts"]


class Parts(NamedTuple):
    """Functions of a run's configuration and rows; each may return None, for nothing beside the usual."""

    objective: Callable[[TrainConfig, Rows], Any] = load_objective
    """Makes what is minimised: an `Objective`, or whatever has its `loss`."""
    watch: Callable[[TrainConfig, Rows], Any] = load_watch
    """Makes what measures at every validation: a `CalibrationWatch`, or whatever has its `measure`."""

    def load(self, config: TrainConfig, rows: Rows) -> dict[str, Any]:
        """Return them made, and the metrics of the user's, by the names that a course knows them by.

        Raises:
            CruijffError: the configuration asks for what cannot be done with these rows.
        """
        metrics = load_metrics(config)
        return {"metrics": metrics, "objective": self.objective(config, rows), "watch": self.watch(config, rows)}


USUAL = Parts()
"""What the controls of a run ask for, and nothing else."""
