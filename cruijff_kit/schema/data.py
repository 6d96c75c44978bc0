"""Data nouns: where rows come from and how they are laid out."""

from typing import Any, Literal

from pydantic import Field, model_validator

from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["Consent", "DataFormat", "DataSpec", "DatasetFacts", "Tier", "TrainingData"]

Tier = Literal["green", "yellow", "red"]
"""How freely contents may be shown: freely, with recorded consent, never."""

DataFormat = Literal["json", "jsonl", "parquet", "arrow"]
"""How rows lie in files; `arrow` is a Hugging Face data set saved to disk."""


class Consent(Noun):
    """Who allowed the contents of a yellow data set to be shown."""

    who: str
    """Name of the person who gave it."""
    when: str
    """ISO-8601 date."""
    why: str
    """Reason, in their words."""


class TrainingData(Noun):
    """A data set: a file or folder, or a generator with its arguments. Exactly one of the two."""

    path: str | None = None
    """File, folder of split files, or Hugging Face data set on disk; relative to the experiment or absolute."""
    generator: str | None = None
    """Name of a generator in `cruijff_kit.data.generators`."""
    arguments: dict[str, Any] = {}
    """Arguments of the generator."""
    format: DataFormat | None = None
    """Format that `path` must have; seen from its names where absent."""
    columns: dict[str, str] = {}
    """Columns to rename as rows are read: name used here to name in the file, such as `{messages: dialogue}`."""
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
        if self.generator is not None and self.format not in {None, "json"}:
            raise ValueError("a `generator` writes JSON; leave `format` out")
        if self.generator is not None and self.columns:
            raise ValueError("`columns` rename those of a file; a `generator` names its own")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("`columns` takes one column of the file twice")
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
    """Hash of the file's bytes; of a folder, over the lines `name sha256` of its data files in name order."""
    bytes: int
    """Size of the file, or of the folder's data files."""
    splits: dict[str, int]
    """Rows per split."""
    generator: str | None = None
    """Generator that made it."""
    generator_version: str | None = None
    """Version of the generator's code, part of the key."""
    arguments: dict[str, Any] = {}
    """Arguments it was made with, defaults included."""
    inputs: dict[str, Sha256] = Field(default={}, exclude_if=lambda found: not found)
    """Hashes of the files that arguments name, by argument."""
    ceilings: dict[str, Ceiling] = Field(default={}, exclude_if=lambda found: not found)
    """What can be known of each split's answers, where the generator can tell."""
