"""What a recipe may replace around its model: what is minimised, and what a training is watched by.

Each part is loaded by those jobs alone that ask for it: a job in MLX without them loads no torch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cruijff_kit.data.loss_facts import refuse_unfit
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig

__all__ = ["USUAL", "Parts"]


def _metrics(config: TrainConfig) -> Any:
    if config.custom_metrics is None:
        return None
    from cruijff_kit.runtime.custom_metrics import load_metrics

    return load_metrics(config)


def _objective(config: TrainConfig, rows: Rows) -> Any:
    if config.loss == "ce":
        # The same check as of any other loss, without loading torch for it.
        refuse_unfit(config, train_on_input=config.dataset.train_on_input)
        return None
    from cruijff_kit.runtime.objective import load_objective

    return load_objective(config, rows)


def _watch(config: TrainConfig, rows: Rows) -> Any:
    if not config.calibration_monitor.enabled:
        return None
    from cruijff_kit.runtime.calibration_watch import load_watch

    return load_watch(config, rows)


class Parts(NamedTuple):
    """Functions of a run's configuration and rows; each may return None, for nothing beside the usual."""

    objective: Callable[[TrainConfig, Rows], Any] = _objective
    """Makes what is minimised: an `Objective`, or whatever has its `loss`."""
    watch: Callable[[TrainConfig, Rows], Any] = _watch
    """Makes what measures at every validation: a `CalibrationWatch`, or whatever has its `measure`."""

    def load(self, config: TrainConfig, rows: Rows) -> dict[str, Any]:
        """Return them made, and the metrics of the user's, by the names that a course knows them by.

        Raises:
            CruijffError: the configuration asks for what cannot be done with these rows.
        """
        metrics = _metrics(config)
        return {"metrics": metrics, "objective": self.objective(config, rows), "watch": self.watch(config, rows)}


USUAL = Parts()
"""What the controls of a run ask for, and nothing else."""
