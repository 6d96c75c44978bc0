"""Nouns of a design made of the predecessor's configuration: what each key came to, and what was written."""

from typing import Any

from pydantic import Field

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.noun import Noun, RunId
from cruijff_kit.schema.structured_rows import StructureReceipt

__all__ = ["ConfigureOrder", "ConfiguredDesign", "KeyOutcome"]


class ConfigureOrder(Noun):
    """What a configuration is made into a design with."""

    data: str
    """File of rows: `text`, `label`, and what else is known of them."""
    labels: str | None = None
    """File of labels; `labels.yaml` beside the configuration, where there is one, if absent."""
    model: str | None = None
    """Directory, repository or name of the base model; the configuration's own if absent."""
    tier: Tier = "yellow"
    """How freely rows may be shown."""
    gpus: int | None = Field(default=None, ge=0, le=64)
    """GPUs of a training; one on a cluster and for a base of 4 bits, else none, if absent."""
    trials: int = Field(default=0, ge=0, le=10_000)
    """Trials of a search of the predecessor's space; none where 0."""
    force: bool = False
    """Whether rows that lie there are replaced."""
    check: bool = False
    """Whether nothing is written."""


class KeyOutcome(Noun):
    """What one key came to."""

    key: str
    """Its dotted name."""
    value: Any
    """Its value."""
    said: bool
    """Whether the file says it; else it is the predecessor's default."""
    works: bool
    """Whether it became something; else it asked for nothing that is not so anyway, and is set aside."""
    outcome: str
    """What it became, or why it is set aside."""


class ConfiguredDesign(Noun):
    """A design that a configuration became."""

    path: str
    """The design; where nothing was written, where it would be."""
    written: bool
    """Whether it was written."""
    outcomes: tuple[KeyOutcome, ...]
    """Every key that was said, and every other that became something."""
    rows: StructureReceipt | None = None
    """Rows that were written; None where nothing was."""
    splits: dict[str, int] = {}
    """Rows by split."""
    runs: tuple[RunId, ...] = ()
    """Its runs, in design order."""
    warnings: tuple[str, ...] = ()
    """What is allowed and worth a second look."""
    next: tuple[str, ...] = ()
    """Commands that follow, in order."""
    design: str = Field(default="", repr=False)
    """The design as YAML."""
