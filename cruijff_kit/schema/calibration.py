"""Calibration nouns: what is asked for, the calibrator written, and what it does on another split."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.scoring_rules import Costs

__all__ = [
    "BY_CLASS",
    "CalibrationSettings",
    "Calibrator",
    "KeptScores",
    "Method",
    "MetricFigure",
    "SplitFigures",
    "Threshold",
]

Method = Literal["lac", "aps", "aps_deterministic", "raps", "raps_deterministic", "crc", "ltt"]
"""Conformal sets (`aps` and `raps` are randomised), conformal risk control, Learn then Test."""

BY_CLASS = "class"
"""Stands for one quantile per true option instead of one per value of a group column."""

_SplitName = Annotated[str, StringConstraints(min_length=1)]


class CalibrationSettings(Noun):
    """What kind of calibrator is wanted, and from which predictions."""

    method: Method = "lac"
    """How answers become sets or decisions."""
    alpha: float = Field(default=0.1, gt=0)
    """Share of sets that may miss the right option; for `crc` and `ltt` the risk allowed, in units of cost."""
    delta: float = Field(default=0.1, gt=0, lt=1)
    """Chance that the claim of `ltt` is wrong."""
    risk: Literal["selective", "marginal"] | None = None
    """Cost per sample acted on, or per sample with abstaining free; None for what the method controls best."""
    by: str = ""
    """`class`, or a group column, for one quantile each; empty for one in all."""
    split: _SplitName = "calibration"
    """Split that is calibrated on and used for nothing else."""
    task: str = ""
    """Evaluation task; may be empty where one alone has the split."""
    epoch: int | None = Field(default=None, ge=0)
    """Epoch from 0; None for the last one evaluated on the split."""
    temperature_split: str = ""
    """Other split on which a temperature is fitted first; empty for none."""
    penalty: float = Field(default=0.1, ge=0)
    """What RAPS adds to the score for each rank beyond the spared ones."""
    spared_ranks: int = Field(default=1, ge=0)
    """Ranks that RAPS does not penalise."""
    costs: Costs = {}
    """What each wrong choice costs; empty for 1 each. Only `crc` and `ltt` use it."""
    seed: int = 0
    """Seed of the randomised methods."""

    @property
    def controls_risk(self) -> bool:
        """Return whether the method makes decisions of a controlled risk; the others make sets."""
        return self.method in {"crc", "ltt"}


class Threshold(Noun):
    """The quantile of one category's calibration scores."""

    category: str | None
    """Option or group value; None for all samples."""
    n: int
    """Calibration samples in it."""
    rank: int
    """Which smallest score is the quantile, from 1; above n there is none."""
    quantile: float | None
    """Largest score that a member of the set may have; None for the full set."""


class KeptScores(Noun):
    """What was calibrated on, as numbers alone: whoever has them finds the thresholds of another alpha or other costs.

    Rows stand in an order of their own and name no sample.
    """

    labels: tuple[Annotated[int, Field(ge=0)], ...]
    """Position of each sample's true option."""
    logprobs: tuple[tuple[float, ...], ...]
    """Log-probabilities of each sample's options, as the model gave them."""
    uniforms: tuple[float, ...]
    """The number in [0, 1) that randomises each sample's set."""
    categories: tuple[str, ...] = ()
    """Each sample's value of the group column in `settings.by`; empty where there is none."""

    @model_validator(mode="after")
    def _of_one_length(self) -> "KeptScores":
        others = {len(self.logprobs), len(self.uniforms), len(self.categories) or len(self.labels)}
        if others != {len(self.labels)}:
            raise ValueError("labels, log-probabilities, uniform numbers and categories are not of one length")
        return self


class Calibrator(Noun):
    """`calibrator.json`: thresholds bound to the data and the checkpoint they hold for."""

    schema_version: Literal[2] = 2
    """Version of this file's layout."""
    run: RunId
    """The run."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    task: str
    """Evaluation task of the calibration split."""
    settings: CalibrationSettings
    """What was asked for."""
    options: tuple[str, ...]
    """Answer options in the order of the probabilities."""
    alpha: float
    """Miss rate, or risk allowed in units of cost."""
    delta: float | None
    """Chance that the claim is wrong; None where the claim is one on average."""
    n: int
    """Calibration samples used."""
    unscored: int
    """Calibration samples that errored; they are not used."""
    thresholds: tuple[Threshold, ...] = ()
    """One quantile, or one per category; empty for risk control."""
    threshold: float | None = None
    """Largest expected cost at which to act; None for abstaining on everything, and for conformal sets."""
    temperature: float
    """What log-probabilities are divided by; 1 where none was fitted."""
    claim: str
    """What is guaranteed, in words, or why nothing can be."""
    data_sha256: Sha256
    """Hash of the calibration records."""
    temperature_sha256: Sha256 | None = None
    """Hash of the records the temperature was fitted on."""
    checkpoint_sha256: Sha256
    """Hash of the adapter, or of the base model for a control."""
    kept: KeptScores | None = None
    """What it was fitted to; None in files of the first version, which kept nothing."""

    @model_validator(mode="before")
    @classmethod
    def _from_the_first_version(cls, value: Any) -> Any:
        """Read files of version 1: they are the same without the scores, so that their alpha stays as it is."""
        if isinstance(value, dict) and value.get("schema_version") == 1 and "kept" not in value:
            return {**value, "schema_version": 2}
        return value


class MetricFigure(Noun):
    """One metric of a split, or why there is none."""

    name: str
    """Metric name."""
    value: float | None
    """The figure."""
    n: int
    """Samples it rests on."""
    reason: str = ""
    """Why it is missing."""


class SplitFigures(Noun):
    """What a calibrator does on another split."""

    run: RunId
    """The run."""
    split: str
    """The split."""
    task: str
    """The task."""
    claim: str
    """What the calibrator guarantees, in words."""
    n: int
    """Samples, errored ones included."""
    unscored: int
    """Samples that errored; sets leave them out, decisions abstain on them."""
    coverage: tuple[Interval, ...] = ()
    """Share of sets that hold the right option; overall first, then per category."""
    categories: tuple[str, ...] = ()
    """Categories in the order of `coverage`, the first being `all`."""
    expected: tuple[float, float] | None = None
    """Where coverage lies with 95 % probability given the calibration set; None where one figure cannot say."""
    set_sizes: tuple[int, ...] = ()
    """How many sets have 0, 1, 2… options."""
    mean_set_size: float | None = None
    """Options per set."""
    acted: Interval | None = None
    """Share of samples acted on; the others are abstentions."""
    risk: Interval | None = None
    """Cost per sample, in the sense of `settings.risk`."""
    metrics: tuple[MetricFigure, ...] = ()
    """Metrics of the split at the calibrator's temperature."""
