"""Panels of a training: which figures share an axis, with their intervals, thinned to what a screen can show."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from cruijff_kit.schema.metric_view import Curve, MetricRow, Panel

__all__ = ["KNOWN", "make_panels", "plain_name"]

KNOWN = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "lr": "learning rate",
    "lr_scale": "what is left of the planned learning rate",
    "ece": "ECE",
    "ece_debiased": "ECE, debiased",
    "mce": "MCE",
    "brier": "Brier score",
    "mean_confidence": "mean confidence",
    "option_mass": "probability of any option",
    "confidence_accuracy_correlation": "correlation of confidence and correctness",
    "accuracy": "accuracy",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "abstention_rate": "abstention rate",
    "effective_accuracy": "accuracy where it answers",
    "abstention_cost": "cost of abstaining",
    "coverage": "coverage",
    "set_size": "options per set",
    "expected_risk": "expected risk",
    "risk_reduction": "risk reduction",
    "tokens_per_second": "tokens per second",
    "supervised_tokens_per_second": "supervised tokens per second",
    "training_speed": "training speed",
    "peak_memory_bytes": "peak memory",
    "gpu_memory_used": "GPU memory",
    "grad_norm": "gradient norm",
}
"""Figures that a training of ours or of the older layout writes, and what people call them."""

# Names of the older layout, in which a file was one JSON array.
_OLDER = {
    "train_loss": "loss",
    "eval_loss": "val_loss",
    "learning_rate": "lr",
    "brier_score": "brier",
    "f1_score": "f1",
    "conformal_coverage": "coverage",
    "conformal_avg_set_size": "set_size",
    "average_risk": "expected_risk",
}
_COUNTS = {"step", "epoch", "tokens", "supervised_tokens", "watched_rows", "timestamp"}
_MOST_POINTS = 1_000
_GIB = 1 << 30


class _Kind(NamedTuple):
    title: str
    names: tuple[str, ...]
    unit: str = ""
    logarithmic: bool = False
    share: bool = False
    scale: float = 1.0


_KINDS = (
    _Kind("Loss", ("loss", "val_loss"), "nats per token"),
    _Kind("Learning rate", ("lr",), logarithmic=True),
    _Kind("Learning rate left", ("lr_scale",), share=True),
    _Kind("Calibration", ("ece_debiased", "ece", "mce", "brier")),
    _Kind("Confidence", ("mean_confidence", "option_mass", "confidence_accuracy_correlation"), share=True),
    _Kind("Classification", ("accuracy", "f1", "precision", "recall"), share=True),
    _Kind("Abstention", ("abstention_rate", "effective_accuracy"), share=True),
    _Kind("Coverage", ("coverage",), share=True),
    _Kind("Set size", ("set_size",), "options"),
    _Kind("Expected risk", ("expected_risk", "abstention_cost", "risk_reduction"), "cost"),
    _Kind("Throughput", ("tokens_per_second", "supervised_tokens_per_second"), "tokens/s"),
    _Kind("Memory", ("peak_memory_bytes",), "GiB", scale=1 / _GIB),
    _Kind("GPU memory", ("gpu_memory_used",)),
    _Kind("Training speed", ("training_speed",)),
    _Kind("Gradient norm", ("grad_norm",)),
)


def plain_name(name: str) -> str:
    """Return what a figure is called here, whichever layout it comes from."""
    return _OLDER.get(name, name)


def make_panels(rows: Sequence[MetricRow]) -> tuple[Panel, ...]:
    """Return the figures of a training in panels, those of its own making last.

    Args:
        rows: lines in order.
    """
    names = {name for row in rows for name in row} - _COUNTS
    limits = {name for name in names if name.endswith(("_low", "_high")) and name.rpartition("_")[0] in names}
    shown = names - limits
    placed = {name for kind in _KINDS for name in kind.names}
    own = [_Kind(name, (name,)) for name in sorted(shown - placed)]
    return tuple(panel for kind in (*_KINDS, *own) if (panel := _panel(kind, rows, shown=shown)).curves)


def _panel(kind: _Kind, rows: Sequence[MetricRow], *, shown: set[str]) -> Panel:
    curves = tuple(_curve(name, rows, scale=kind.scale) for name in kind.names if name in shown)
    return Panel(
        title=kind.title, unit=kind.unit, curves=curves, logarithmic=kind.logarithmic, share=kind.share
    )  # fmt: skip


def _curve(name: str, rows: Sequence[MetricRow], *, scale: float) -> Curve:
    have = [row for row in rows if name in row]
    size = max(1, -(-len(have) // _MOST_POINTS))
    buckets = [have[start : start + size] for start in range(0, len(have), size)]
    ends = [tuple(_limits(name, buckets, end=end, scale=scale)) for end in ("low", "high")]
    low, high = ends if any(value is not None for end in ends for value in end) else ((), ())
    return Curve(
        name=name,
        title=KNOWN.get(name, name),
        steps=tuple(fmean(row["step"] for row in bucket) for bucket in buckets),
        values=tuple(scale * fmean(row[name] for row in bucket) for bucket in buckets),
        low=low,
        high=high,
    )


def _limits(name: str, buckets: Sequence[Sequence[MetricRow]], *, end: str, scale: float) -> Iterator[float | None]:
    key = f"{name}_{end}"
    for bucket in buckets:
        found = [row[key] for row in bucket if key in row]
        yield scale * fmean(found) if found else None
