"""The plan: every run, data set and evaluation cell that a design implies."""

from typing import Any, Literal

from pydantic import Field

from cruijff_kit.schema.data import Consent, DatasetFacts, Tier
from cruijff_kit.schema.evaluation import EvalTask, Generation
from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256
from cruijff_kit.schema.policy import DesignPolicy
from cruijff_kit.schema.spec import Level, ModelRef, Resources

__all__ = ["Cell", "DesignLock", "Estimate", "Plan", "PlannedRun", "Resolved", "Source", "Statement"]

Source = Literal["default", "derived", "site", "design", "factor", "run", "edit", "command"]
"""Where a value came from, weakest first; `derived` follows from another, `edit` is an adopted hand edit."""


class Resolved(Noun):
    """A setting and where it came from."""

    value: Any
    """The value used."""
    source: Source
    """Who set it."""


class Cell(Noun):
    """One evaluation of one run: a task at one epoch."""

    task: EvalTask
    """The task."""
    epoch: int | None
    """Epoch from 0; None for a base model."""

    @property
    def name(self) -> str:
        """Return the cell's directory name: `<task>_epoch_<n>`, or `<task>_base`."""
        return f"{self.task.name}_base" if self.epoch is None else f"{self.task.name}_epoch_{self.epoch}"


class PlannedRun(Noun):
    """One run, fully resolved."""

    id: RunId
    """Slug of what varies plus eight hexadecimal digits of the content hash."""
    type: Literal["fine-tuned", "control"]
    """Whether it trains."""
    model: ModelRef
    """Its base model, hash included."""
    model_path: str
    """Absolute directory of the base model."""
    dataset: str
    """Key of its data set in the plan."""
    factors: dict[str, Level]
    """Factor levels of this run."""
    seed: int
    """Replicate seed."""
    settings: dict[str, Resolved]
    """Every control with its value and source, derived ones such as `lora_alpha` included."""
    total_steps: int
    """Optimiser steps in all; 0 for a control."""
    epochs_saved: tuple[int, ...]
    """Epochs whose adapter is kept."""
    cells: tuple[Cell, ...]
    """Its evaluations."""
    generation: Generation | None = None
    """Its own generation settings, where they are varied; the design's where None."""


class Estimate(Noun):
    """One figure of the compute estimate, with its source."""

    name: str
    """What is estimated: `training time a run`, `disk in all`…"""
    value: float | None
    """Best value; None where nothing is known."""
    unit: str
    """Unit of the value."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    source: str
    """Formula or measured runs it comes from; `not assessed` where there is none."""
    parts: dict[str, float] = {}
    """What the value is the sum of, where it is one, in the same unit."""


class Plan(Noun):
    """Everything that will be scaffolded."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    experiment: Name
    """Name of the experiment."""
    spec_sha256: Sha256
    """Hash of the canonical JSON of the design."""
    datasets: tuple[DatasetFacts, ...]
    """Each distinct data set once."""
    runs: tuple[PlannedRun, ...]
    """Runs in design order."""
    estimates: tuple[Estimate, ...] = ()
    """Compute estimates."""
    resources: Resources = Resources()
    """What each job asks of the scheduler."""
    policy: DesignPolicy | None = Field(default=None, exclude_if=lambda value: value is None)
    """What the design asks to follow when jobs end badly."""
    tier: Tier = "yellow"
    """How freely data, and whatever shows it, may be shown."""
    consent: Consent | None = None
    """Recorded consent for yellow data."""

    def dataset(self, key: str) -> DatasetFacts:
        """Return the data set with this key."""
        return next(facts for facts in self.datasets if facts.key == key)


class Statement(Noun):
    """What a design said when its first job was handed over: what came later is a deviation from it."""

    spec_sha256: Sha256
    """Hash of the canonical JSON of the design; of a search without the trials it listed by itself."""
    analysis_sha256: Sha256 | None = None
    """Hash of its analysis without the claims; None where it was sealed before this was kept."""
    claims: tuple[Sha256, ...] = ()
    """Hash of each claim with the level and the figure it is judged by."""
    runs: tuple[RunId, ...]
    """Its runs."""


class DesignLock(Noun):
    """`design.lock.json`: the seal on a scaffolded design."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    plan_id: Sha256
    """Hash over the names and contents of every file to be run."""
    spec_sha256: Sha256
    """Hash of the canonical JSON of the design."""
    runs: tuple[RunId, ...]
    """Run ids in design order."""
    files: dict[str, Sha256]
    """Every scaffolded file and its hash."""
    inputs: dict[str, Sha256]
    """Every model, data set and file of custom metrics, and its hash."""
    site: Name | None = None
    """The one of several sites that it was scaffolded for, and whose jobs its runs become."""
    adopted: dict[str, Sha256] = {}
    """Files whose hand edit was adopted, and the hash of the rendered text each stands for."""
    stated: Statement | None = None
    """What was stated before any result could be; None in seals of before this was kept."""
    anchor_seq: int
    """Position of the audit log's head when sealed."""
    anchor_sha256: Sha256
    """Hash of that line."""
