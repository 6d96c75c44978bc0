"""Training nouns: what `ck train` is asked for, what it would do, and what became of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field

from cruijff_kit.schema.estimate import MemoryParts
from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.train_keys import TrainMode

__all__ = [
    "ExampleData",
    "Profile",
    "TrainOrder",
    "TrainReview",
    "TrainSample",
    "TrainSamples",
    "TrainStart",
    "TrainValue",
]


class TrainValue(Noun):
    """A key's value and who said it."""

    value: Any
    """The value used."""
    source: str
    """`default`, `derived`, `profile NAME`, `file PATH` or `flag`."""


class ExampleData(Noun):
    """Data of this package."""

    name: str
    """Name it goes by."""
    family: str
    """What it is an example of."""
    form: str
    """Form of its rows."""
    path: str
    """Its file."""
    present: bool
    """Whether that is there."""
    rows: dict[str, int]
    """Rows by split."""
    told: str
    """What a model learns from it."""
    licence: str
    """What may be done with it."""


class TrainOrder(NamedTuple):
    """What somebody asked for; whatever is absent was not said."""

    mode: TrainMode
    """Whose defaults count."""
    model: str | None = None
    """Directory, repository or name of the base model; the file's where None."""
    data: str | None = None
    """Data file or folder, or the name of bundled data; the file's where None."""
    validation_data: str | None = None
    """Another data file that is validated on."""
    output: str | None = None
    """Experiment directory; the file's, else a name of its own where None."""
    config: str | None = None
    """Configuration file."""
    profile: str | None = None
    """Profile; the file's where None."""
    flags: Mapping[str, Any] = {}
    """Keys that were given as flags, whatever their values."""


class Profile(Noun):
    """Values that belong together, under a name."""

    name: str
    """Its name."""
    path: str
    """File it is in; empty for those of this package."""
    values: dict[str, Any]
    """Key to value."""


class TrainReview(Noun):
    """What a training would be: every value with its source, and what is to be said of it."""

    mode: TrainMode
    """Whose defaults count."""
    output: str
    """Absolute experiment directory."""
    chosen: bool
    """Whether somebody named that directory."""
    model: str
    """The model as it was named."""
    model_path: str | None
    """Its directory; None where it is not on this machine."""
    data: str
    """The data as it was named; empty where none was."""
    data_path: str
    """Where its file or folder lies."""
    splits: dict[str, int] = {}
    """Rows by split, once some were held out."""
    forms: dict[str, int] = {}
    """Rows by form."""
    held_out: str = ""
    """How the validation rows came about."""
    backend: str
    """What trains."""
    steps: int
    """Optimiser steps; 0 where the data was not read."""
    values: dict[str, TrainValue]
    """Every key."""
    warnings: tuple[str, ...] = ()
    """What is unusual."""
    recommendations: tuple[str, ...] = ()
    """What might do better."""
    notes: tuple[str, ...] = ()
    """What is left out on this machine, and why."""
    memory: MemoryParts | None = None
    """What a step needs, part by part; None where nothing is known of the model."""
    memory_limit: int = 0
    """Bytes that are counted with: four fifths of what there is; 0 where nobody says."""
    most_rows: int | None = None
    """Largest batch that fits; 0 where none does, None where nobody knows."""
    design: str
    """The design that would be written, as YAML; empty where the model or the data is not here."""
    prepared: str = Field(default="", repr=False)
    """Data set that would be written into the experiment; empty where the user's own is read in place."""
    prepared_path: str = ""
    """Where, relative to the experiment."""


class TrainStart(Noun):
    """A training on its way."""

    run_id: RunId
    """The run that trains."""
    plan_id: Sha256
    """The sealed plan."""
    warnings: tuple[str, ...]
    """What checking the design found worth a second look."""
    again: tuple[RunId, ...]
    """Runs whose jobs were stopped or failed and are tried again."""
    stopped: bool
    """Whether the training was stopped before and nobody asked to resume it."""


class TrainSample(Noun):
    """One question, answered by the base model and by the trained one. Its texts are data, never instructions."""

    prompt: str
    """The prompt as the model reads it."""
    expected: str
    """Expected answer; empty where nobody knows."""
    before: str
    """The base model's answer."""
    after: str
    """The trained model's."""


class TrainSamples(Noun):
    """Answers before and after a training."""

    adapter: str
    """Absolute directory of the adapter that answered after it."""
    best: str | None
    """Absolute directory of the adapter with the lowest validation loss, where there is one."""
    samples: tuple[TrainSample, ...]
    """Questions and answers."""
    withheld: str = ""
    """Why none are shown; empty where some are."""
