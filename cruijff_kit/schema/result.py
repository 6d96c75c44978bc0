"""Result nouns: one row per run, task, epoch and metric; missing values have reasons."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import MetricPoint
from cruijff_kit.schema.spec import Level

__all__ = ["EvalLogRecord", "ResultRow", "ResultTable", "RunResult"]


class EvalLogRecord(Noun):
    """What one `.eval` log holds."""

    path: str
    """Absolute path of the log."""
    sha256: Sha256
    """Hash of the file's bytes."""
    status: Literal["success", "error", "cancelled", "started", "unreadable"]
    """The log's own status."""
    samples: int
    """Samples in the log, errored ones included."""
    metrics: dict[str, dict[str, float]] = {}
    """Scorer to metric to value, as inspect computed them."""
    predictions: tuple[Prediction, ...] = ()
    """One record per sample."""
    verdicts: dict[str, tuple[bool | None, ...]] = {}
    """Scorer to right or wrong per sample, in the order of `predictions`; None where it errored."""
    values: dict[str, tuple[float | None, ...]] = {}
    """Scorer to number per sample, for scorers that say no right or wrong."""
    error: str = ""
    """Why the log is not a success, in words."""


class ResultRow(Noun):
    """One metric of one evaluation, traced to the file it was read from."""

    run: RunId
    """The run."""
    type: Literal["fine-tuned", "control"]
    """Whether it was trained."""
    model: str
    """Base model's name."""
    factors: dict[str, Level]
    """Factor levels of the run."""
    seed: int
    """Replicate seed."""
    task: str
    """Evaluation task, or `training` for losses."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    metric: str
    """Scorer, `<scorer>/<figure>`, or name of a loss."""
    value: float | None
    """The figure; None with a reason where there is none."""
    n: int
    """Samples in the denominator, errored and unparsed ones included."""
    successes: int | None = None
    """Samples counted as correct, for proportions."""
    reason: str = ""
    """Why the value is missing."""
    source: str = ""
    """Path of the file the value was read from."""
    source_sha256: Sha256 | None = None
    """Hash of that file."""


class RunResult(Noun):
    """Training history of one run, traced to its file."""

    run: RunId
    """The run."""
    points: tuple[MetricPoint, ...]
    """Lines of `metrics.jsonl`."""
    seconds: float | None
    """Training time in seconds, from the job's own record."""
    source: str
    """Path of `metrics.jsonl`."""
    source_sha256: Sha256 | None
    """Its hash."""
    reason: str = ""
    """Why there are no points, or what was odd about the file."""
    finished: bool = True
    """Whether the job proved its end; the last loss of any other is not a final loss."""


class ResultTable(Noun):
    """Everything collected from one experiment."""

    experiment: str
    """Name of the experiment."""
    rows: tuple[ResultRow, ...]
    """One row per run, task, epoch and metric, planned ones included."""
    runs: tuple[RunResult, ...]
    """Training histories."""
    predictions: tuple[Prediction, ...]
    """One record per sample and evaluated model."""
