"""What the keys of the predecessor's configuration are read against, and what each came to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.config_text import ConfigText
from cruijff_kit.schema.structured_rows import AbstainExample

__all__ = ["TEST_SHARE", "ConfigInputs", "DataWish", "Labels", "Made", "RefusedError", "Told", "is_share"]


_NONE: Mapping[str, Any] = MappingProxyType({})


TEST_SHARE = 0.1
"""Share of rows that are kept for the end, which the predecessor did not do."""


class RefusedError(ValueError):
    """A value that cannot be as it is; the message says why where the key's own reason does not."""


class Labels(NamedTuple):
    """The labels, and what errors cost."""

    options: tuple[str, ...] = ()
    """Labels in their order."""
    weights: Mapping[str, float] = _NONE
    """Label to harm weight; none where only the data name the labels."""
    errors: tuple[Mapping[str, Any], ...] = ()
    """Critical errors as a design names them."""
    costs: Mapping[str, Mapping[str, float]] = _NONE
    """What wrong choices cost, true label first."""
    abstains: bool = False
    """Whether somebody says when to abstain."""
    thresholds: Mapping[str, float] = _NONE
    """`default_threshold`, `cascade_threshold` and `max_abstain_rate`."""


class ConfigInputs(NamedTuple):
    """What else the design is made of."""

    name: str
    """Name of the experiment."""
    created: str
    """Date, ISO-8601."""
    model: str
    """Directory of the base model."""
    templated: bool
    """Whether it has a chat template of its own."""
    data: str
    """File of rows, as the design names it."""
    labels: Labels
    """The labels."""
    splits: Mapping[str, int]
    """Rows by split."""
    metadata: bool = False
    """Whether rows have metadata."""
    columns: tuple[str, ...] = ()
    """Columns of the rows."""
    tier: str = "yellow"
    """How freely rows may be shown."""
    gpus: int = 0
    """GPUs of a training."""
    procedures: str | None = None
    """File of rules, where it is there."""
    trials: int = 0
    """Trials of a search; none where 0."""

    @property
    def rows(self) -> int:
        """Return the rows to train on."""
        return self.splits.get("train", 0)


class Made(NamedTuple):
    """What a key comes to."""

    text: str
    """In words."""
    places: Mapping[str, Any] = _NONE
    """Place in the design to value."""
    aside: bool = False
    """Whether it asked for nothing after all."""


class Told(NamedTuple):
    """Everything a key is read beside."""

    config: ConfigText
    """The configuration."""
    inputs: ConfigInputs
    """What else there is."""

    def __getitem__(self, name: Any) -> Any:
        """Return the value of a key."""
        return self.config.values.get(name)

    def on(self, switch: str) -> bool:
        """Return whether a switch is on: a truth, or `key=value`."""
        name, equals, value = switch.partition("=")
        return self[name] == value if equals else self[name] is True

    @property
    def chosen_by(self) -> str:
        """Return the metric by which an adapter is chosen or training stops, without `eval_`; empty where none is."""
        by = self["training.metric_for_best_model"]
        used = self.on("training.load_best_model_at_end") or self.on("training.early_stopping")
        return by.removeprefix("eval_") if used and isinstance(by, str) else ""

    @property
    def measured(self) -> bool:
        """Return whether calibration is measured at validations: it is asked for, or what chooses comes from it."""
        return self.on("calibration_monitoring.enabled") or self.chosen_by not in {"", "loss", "val_loss"}

    @property
    def calibrates(self) -> bool:
        """Return whether something is calibrated afterwards."""
        groups = ("conformal_prediction", "risk_control")
        return any(self.on(f"advanced_metrics.{group}.enabled") for group in groups)


def is_share(value: float) -> bool:
    """Return whether a number is above 0 and below 1."""
    return 0 < value < 1


class DataWish(NamedTuple):
    """How rows are divided and multiplied."""

    validation: float
    """Share to validate on."""
    calibration: float
    """Share to calibrate on; none where 0."""
    augmented: Mapping[str, Any]
    """Methods and share of words; empty for no copies."""
    examples: tuple[AbstainExample, ...]
    """Texts that are to be abstained on."""

    @property
    def train(self) -> float:
        """Return the share to train on."""
        return round(1 - self.validation - self.calibration - TEST_SHARE, 9)
