"""Figures of scorers by name: which there are, what they are called, and which way is better."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

__all__ = ["FIGURES", "Figure", "measures_of", "metrics_of", "shown_name", "split_metric"]

_CALIBRATION = (
    "log_loss", "ece", "mce", "ece_adaptive", "ece_debiased", "calibration_slope", "calibration_intercept", "aurc",
)  # fmt: skip


class Figure(NamedTuple):
    """One figure."""

    words: str
    """What it is called in a sentence."""
    better: Literal["higher", "lower", ""]
    """Which way is better; empty where neither is."""
    low: float | None = 0
    """Least value possible."""
    high: float | None = 1
    """Largest value possible."""


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "accuracy": Figure("accuracy", "higher"),
        "coverage": Figure("coverage", "higher"),
        "abstention_rate": Figure("abstention rate", "lower"),
        "parse_rate": Figure("parse rate", "higher"),
        "selective_accuracy": Figure("selective accuracy", "higher"),
        "balanced_accuracy": Figure("balanced accuracy", "higher"),
        "f1_macro": Figure("macro F1", "higher"),
        "expected_cost": Figure("expected cost", "lower", 0, None),
        "ece": Figure("ECE", "lower"),
        "mce": Figure("MCE", "lower"),
        "ece_adaptive": Figure("adaptive ECE", "lower"),
        "ece_debiased": Figure("debiased ECE", "lower"),
        "ece_event": Figure("ECE of the event", "lower"),
        "calibration_p": Figure("p of calibration", ""),
        "calibration_slope": Figure("calibration slope", "", None, None),
        "calibration_intercept": Figure("calibration intercept", "", None, None),
        "aurc": Figure("AURC", "lower"),
        "brier_binary": Figure("binary Brier score", "lower"),
        "brier_multiclass": Figure("multiclass Brier score", "lower", 0, 2),
        "log_loss": Figure("log loss", "lower", 0, None),
        "auc": Figure("AUC", "higher"),
        "mae": Figure("MAE", "lower", 0, None),
        "rmse": Figure("RMSE", "lower", 0, None),
        "r2": Figure("R²", "higher", None, 1),
    }
)
"""Every figure, by name."""


def measures_of(scorer: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return the figures that a scorer gives beside the share of right answers."""
    if scorer == "continuous":
        return ("mae", "rmse", "r2", "parse_rate")
    if scorer == "decision":
        shares = ("coverage", "abstention_rate", "selective_accuracy", "parse_rate")
        return (*shares, *(("balanced_accuracy", "f1_macro", "expected_cost") if options else ()))
    if scorer in {"risk", "numeric_risk"}:
        binary = scorer == "numeric_risk" or len(options) == 2
        kinds = ("auc", "brier_binary", "ece_event") if binary else ("brier_multiclass",)
        return (*kinds, *_CALIBRATION, "balanced_accuracy", "f1_macro", "coverage", "expected_cost")
    return ("balanced_accuracy", "f1_macro") if options else ()


def metrics_of(scorer: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return every metric that a scorer gives: itself, and `<scorer>/<figure>` for each of its figures."""
    return (scorer, *(f"{scorer}/{name}" for name in measures_of(scorer, options)))


def split_metric(metric: str) -> tuple[str, str]:
    """Return scorer and figure of `<scorer>/<figure>`; the figure is empty for a scorer alone."""
    scorer, _, figure = metric.partition("/")
    return scorer, figure


def shown_name(metric: str) -> str:
    """Return a metric in words: `accuracy (match)`, `AUC (risk/auc)`."""
    figure = split_metric(metric)[1]
    words = FIGURES[figure].words if figure in FIGURES else figure or "accuracy"
    return f"{words} ({metric})"
