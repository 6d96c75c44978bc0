"""Data nouns: where rows come from and how they are laid out."""

from typing import Any, Literal

from pydantic import Field, model_validator

from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["Consent", "DataSpec", "DatasetFacts", "Tier", "TrainingData"]

Tier = Literal["green", "yellow", "red"]
"""How freely contents may be shown: freely, with recorded consent, never."""


class Consent(Noun):
    """Who allowed the contents of a yellow data set to be shown."""

    who: str
    """Name of the person who gave it."""
    when: str
    """ISO-8601 date."""
    why: str
    """Reason, in their words."""


class TrainingData(Noun):
    """A data set: a file, or a generator with its arguments. Exactly one of the two."""

    path: str | None = None
    """JSON file with one list of rows per split, relative to the experiment or absolute."""
    generator: str | None = None
    """Name of a generator in `cruijff_kit.data.generators`."""
    arguments: dict[str, Any] = {}
    """Arguments of the generator."""
    format: Literal["json"] = "json"
    """Layout of the file: one JSON object, split name to list of rows."""
    input_key: str = "input"
    """Column that holds the question."""
    output_key: str = "output"
    """Column that holds the answer."""
    splits: dict[str, int] = {}
    """Expected rows per split; checked where given."""

    @model_validator(mode="after")
    def _one_source(self) -> "TrainingData":
        if (self.path is None) == (self.generator is None):
            raise ValueError("give exactly one of `path` and `generator`")
        if self.path is not None and self.arguments:
            raise ValueError("`arguments` belong to a `generator`; a `path` takes none")
        return self


class DataSpec(Noun):
    """The data of an experiment and how freely it may be shown."""

    training: TrainingData
    """Rows for training and, unless a task names another file, for evaluation."""
    tier: Tier = "yellow"
    """Undeclared data counts as yellow."""
    consent: Consent | None = None
    """Recorded consent for yellow data."""


class DatasetFacts(Noun):
    """What one data set on disk was found to be."""

    key: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """File stem: generator and hash of its arguments, or the stem of the user's file."""
    path: str
    """Path relative to the experiment, or absolute for a user's own file."""
    sha256: Sha256
    """Hash of the file's bytes."""
    bytes: int
    """Size of the file."""
    splits: dict[str, int]
    """Rows per split."""
    generator: str | None = None
    """Generator that made it."""
    generator_version: str | None = None
    """Version of the generator's code, part of the key."""
    arguments: dict[str, Any] = {}
    """Arguments it was made with, defaults included."""
