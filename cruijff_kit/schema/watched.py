"""The figures that a training is watched by, as they stand in a line of `metrics.jsonl`."""

from cruijff_kit.schema.noun import Noun

__all__ = ["WatchedFigures"]


class WatchedFigures(Noun):
    """What the monitor of calibration measured at a validation; None where nothing was, or nothing can be told."""

    accuracy: float | None = None
    """Share of validation rows whose likeliest option is right."""
    accuracy_low: float | None = None
    """Lower end of its interval."""
    accuracy_high: float | None = None
    """Upper end of its interval."""
    f1: float | None = None
    """Macro F1 of the likeliest option."""
    f1_low: float | None = None
    """Lower end of its interval."""
    f1_high: float | None = None
    """Upper end of its interval."""
    ece: float | None = None
    """Expected calibration error of the likeliest option; chance alone makes it positive."""
    ece_low: float | None = None
    """Lower end of its interval."""
    ece_high: float | None = None
    """Upper end of its interval."""
    ece_debiased: float | None = None
    """Root-mean-square calibration error, less what chance adds to its square."""
    ece_debiased_low: float | None = None
    """Lower end of its interval."""
    ece_debiased_high: float | None = None
    """Upper end of its interval."""
    mce: float | None = None
    """Largest calibration error of a bin."""
    mce_low: float | None = None
    """Lower end of its interval."""
    mce_high: float | None = None
    """Upper end of its interval."""
    brier: float | None = None
    """Brier score over all options, in [0, 2]."""
    brier_low: float | None = None
    """Lower end of its interval."""
    brier_high: float | None = None
    """Upper end of its interval."""
    mean_confidence: float | None = None
    """Mean probability of the likeliest option."""
    mean_confidence_low: float | None = None
    """Lower end of its interval."""
    mean_confidence_high: float | None = None
    """Upper end of its interval."""
    abstention_rate: float | None = None
    """Share of validation rows that the model is too unsure of, or abstains on."""
    abstention_rate_low: float | None = None
    """Lower end of its interval."""
    abstention_rate_high: float | None = None
    """Upper end of its interval."""
    coverage: float | None = None
    """Share of conformal sets that hold the right option, on rows that did not calibrate them."""
    coverage_low: float | None = None
    """Lower end of its interval."""
    coverage_high: float | None = None
    """Upper end of its interval."""
    set_size: float | None = None
    """Mean options of a conformal set, on the same rows."""
    set_size_low: float | None = None
    """Lower end of its interval."""
    set_size_high: float | None = None
    """Upper end of its interval."""
    expected_risk: float | None = None
    """Mean cost of the answer whose expected cost is least, on the same rows."""
    expected_risk_low: float | None = None
    """Lower end of its interval."""
    expected_risk_high: float | None = None
    """Upper end of its interval."""
    option_mass: float | None = None
    """Mean probability that an answer begins with any of the options."""
    watched_rows: int | None = None
    """Validation rows that this rests on."""
    lr_scale: float | None = None
    """What is left of the planned learning rate from the next step on, where this validation lowered it."""
