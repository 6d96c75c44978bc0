"""Weights & Biases: the points of `metrics.jsonl` once more, in an offline run that no job ever sends.

It lies in `logs/wandb/` of the run's output directory, in the layout of that library.
A job writes it anew from the metrics that stand when it starts: what a killed job left
beyond its last checkpoint is gone from both, and no step is told twice.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cruijff_kit.errors import RunError, SiteError
from cruijff_kit.schema.run import MetricPoint

if TYPE_CHECKING:
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["Tracker", "require_tracking"]


def require_tracking(config: "TrainConfig") -> None:
    """Make sure that what a run asks for can be written.

    Raises:
        SiteError: it names a project, and `wandb` is not installed.
    """
    if config.wandb_project is not None and find_spec("wandb") is None:
        hint = "pip install 'cruijff-kit[tracking]', or leave `wandb_project` out"
        raise SiteError(f"project `{config.wandb_project}` needs `wandb`, which is not installed", hint=hint)


class Tracker:
    """An offline run of Weights & Biases beside a training; nothing where no project is named.

    As a context manager it finishes the run, as failed where an exception ends the job.
    """

    def __init__(self, config: "TrainConfig", *, main: bool = True) -> None:
        """Open the run and tell it the points that stand in `metrics.jsonl` already.

        Args:
            config: the training's configuration.
            main: whether this process writes the files.
        """
        self._run: Any = None
        if main and config.wandb_project is not None:
            self._run = _opened(config)
            for line in (Path(config.run_dir) / "metrics.jsonl").read_bytes().splitlines():
                self.write(MetricPoint.model_validate_json(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if error is None else 1)

    def write(self, point: MetricPoint) -> None:
        """Log one point at its step, custom metrics under their own names."""
        if self._run is not None:
            values = point.model_dump(exclude={"step", "custom"}, exclude_none=True)
            self._run.log({**values, **point.custom}, step=point.step, commit=True)


def _opened(config: "TrainConfig") -> Any:
    # Its crash reports would leave the machine.
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    import wandb

    folder = Path(config.output_dir) / "logs"
    shutil.rmtree(folder / "wandb", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    experiment = Path(config.run_dir).parent.parent.name
    try:
        return wandb.init(
            project=config.wandb_project,
            name=config.wandb_run_name or config.run_id,
            id=config.run_id,
            group=experiment,
            tags=[experiment, config.base_model.name],
            config=config.model_dump(mode="json"),
            dir=str(folder),
            mode="disabled" if os.environ.get("WANDB_MODE") == "disabled" else "offline",
            settings=wandb.Settings(
                # The manifest says where a run comes from; no code, patch or host leaves with a later upload.
                console="off",
                disable_code=True,
                disable_git=True,
                silent=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )
    except wandb.Error as err:
        hint = f"see `{folder}/wandb/debug-internal.log`, or leave `wandb_project` out"
        raise RunError(f"`wandb` could not begin its run: {err}", run_id=config.run_id, hint=hint) from err
