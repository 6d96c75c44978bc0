"""Loss nouns: what a training minimises, what it watches while it does, and by what it keeps and stops."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from cruijff_kit.schema.noun import Noun

__all__ = [
    "BEST_METRICS",
    "BestMetric",
    "CalibrationMonitor",
    "CriticalError",
    "Loss",
    "LossControls",
    "LossOptions",
]

Loss = Literal["ce", "label_smoothing", "focal", "gambler", "abstain_seed", "harm_weighted"]
"""What a training minimises; all but `ce` in torch alone."""

BestMetric = Literal[
    "val_loss",
    "accuracy",
    "f1",
    "ece",
    "ece_debiased",
    "mce",
    "brier",
    "mean_confidence",
    "abstention_rate",
    "coverage",
    "set_size",
    "expected_risk",
]
"""What the best adapter may be chosen by; all but `val_loss` come from `calibration_monitor`."""

_MORE_IS_BETTER = frozenset[BestMetric]({"accuracy", "f1", "mean_confidence", "coverage"})

BEST_METRICS: dict[str, bool] = {name: name in _MORE_IS_BETTER for name in get_args(BestMetric)}
"""Each of these metrics, and whether more of it is better where nobody says."""

_Weight = Annotated[float, Field(ge=0)]


class LossOptions(Noun):
    """What the losses are told; each reads its own, and `abstain` is read by the monitor too."""

    smoothing: float = Field(default=0.1, gt=0, lt=1)
    """`label_smoothing`: share of a target that is spread evenly, over `options` where they are named."""
    gamma: float = Field(default=2.0, ge=0)
    """`focal`: power of one minus the probability that a token was given; 0 is cross-entropy."""
    payoff: float | None = Field(default=None, gt=1)
    """`gambler`: above 1, at most the number of other options; it abstains where none is likelier than 1 / payoff."""
    abstain: str | None = Field(default=None, min_length=1)
    """The option that means no answer: `gambler` bets on it, the monitor counts it as an abstention."""
    ce_steps: int = Field(default=0, ge=0, lt=2**32)
    """`gambler`: optimiser steps of plain cross-entropy first, so that it does not begin by abstaining always."""
    confidence_threshold: float = Field(default=0.7, ge=0, le=1)
    """`abstain_seed`: confidence below which the penalty sets in."""
    abstention_penalty: float = Field(default=0.3, ge=0)
    """`abstain_seed`: weight of what confidence lacks of the threshold."""
    uncertainty_weight: float = Field(default=0.1)
    """`abstain_seed`: weight of the entropy."""
    cost_weight: float = Field(default=1.0, ge=0)
    """`harm_weighted`: weight of the expected cost of `critical_errors` beside the cross-entropy."""


class CriticalError(Noun):
    """A confusion that costs more than others."""

    true: str = Field(min_length=1)
    """The right option."""
    predicted: str = Field(min_length=1)
    """The option answered instead."""
    weight: float = Field(ge=0)
    """What it costs, in the unit of `harm_weights`."""


class CalibrationMonitor(Noun):
    """What is measured of the options' probabilities at every validation, and whether it changes the learning rate."""

    enabled: bool = False
    """Whether calibration is measured at every validation."""
    adjust_lr: bool = False
    """Whether the learning rate is lowered where the model is miscalibrated beyond doubt: an experiment, no remedy."""
    adjustment_threshold: float = Field(default=0.05, ge=0, lt=1)
    """The debiased ECE that the lower end of its interval must exceed for the rate to be lowered."""
    lr_reduction_factor: float = Field(default=0.8, gt=0, lt=1)
    """What the rate of every later step is multiplied by then."""
    bins: int = Field(default=10, ge=1, le=1000)
    """Bins of the calibration errors."""
    draws: int = Field(default=500, ge=50, le=100_000)
    """Resamples of the bootstrap."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Level of the intervals."""
    alpha: float = Field(default=0.1, gt=0, lt=1)
    """Share of the conformal sets that may miss the right option."""
    calibration_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the validation rows that sets are calibrated on; sets and risk are measured on the others."""
    abstain_below: float = Field(default=0.7, ge=0, le=1)
    """Confidence below which an answer counts as an abstention."""


def _is_empty(value: Any) -> bool:
    return not value


def _is_default(value: Noun) -> bool:
    return value == type(value)()


# A design and a job that say nothing of these keep the hashes they had before there were such keys.
class LossControls(Noun):
    """Controls of what is minimised, watched and kept; the same in a design and in `finetune.yaml`."""

    options: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None, min_length=2, exclude_if=_is_empty
    )
    """The labels that answers are, as the data spell them; losses and the monitor that look at options need them."""
    loss: Loss = Field(default="ce", exclude_if=lambda value: value == "ce")
    """What is minimised: cross-entropy, or one of the losses whose options are in `loss_options`."""
    loss_options: LossOptions = Field(default=LossOptions(), exclude_if=_is_default)
    """What that loss is told."""
    harm_weights: dict[str, _Weight] = Field(default={}, exclude_if=_is_empty)
    """Label to the harm of getting it wrong, 1 where not named; `harm_weighted` and the monitor's risk read it."""
    critical_errors: tuple[CriticalError, ...] = Field(default=(), exclude_if=_is_empty)
    """Confusions that cost more than their label's harm weight says."""
    calibration_monitor: CalibrationMonitor = Field(default=CalibrationMonitor(), exclude_if=_is_default)
    """What is measured of the options' probabilities at every validation; off unless enabled."""
    metric_for_best_model: BestMetric = Field(default="val_loss", exclude_if=lambda value: value == "val_loss")
    """What the best adapter is chosen by, and training stopped by."""
    greater_is_better: bool | None = Field(default=None, exclude_if=lambda value: value is None)
    """Whether more of that metric is better; what is usual for it where absent."""
    early_stopping_patience: int | None = Field(default=None, ge=1, lt=2**32, exclude_if=lambda value: value is None)
    """Validations in a row without a better value after which training ends; it never does where absent."""
