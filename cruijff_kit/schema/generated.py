"""Generator nouns: what generators there are and take, and what was made by one of them."""

from typing import Any

from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.noun import Name, Noun, Sha256

__all__ = ["ArgumentFacts", "DataTarget", "GenerationReceipt", "GeneratorFacts"]


class ArgumentFacts(Noun):
    """One argument of a generator."""

    name: str
    """Its name in a design."""
    text: bool
    """Whether it is text and nothing else: then `01` is no number."""
    default: Any
    """What it is where nothing is said; None where it must be said, or where nothing is the default."""
    told: str
    """What it says."""


class GeneratorFacts(Noun):
    """One generator."""

    name: str
    """Its name in a design."""
    told: str
    """What it makes, in a line."""
    arguments: tuple[ArgumentFacts, ...]
    """What it takes."""


class DataTarget(Noun):
    """Where generated data goes; where nothing is said, where a design with the same arguments looks for it."""

    folder: str = "data"
    """Folder, relative to the experiment."""
    file: str | None = None
    """Name of the file; the data set's key where None."""


class GenerationReceipt(Noun):
    """A data set that a generator made, or would make."""

    path: str
    """The data set, relative to the experiment."""
    key: Name
    """Name that generator, arguments and files named by them give it."""
    sha256: Sha256
    """Hash of the file."""
    written: bool
    """Whether it was written now; else it was there already, or this is a dry run."""
    splits: dict[str, int]
    """Rows by split."""
    arguments: dict[str, Any]
    """Arguments, defaults included."""
    ceilings: dict[str, Ceiling]
    """What can be known of each split's answers, where the generator can tell."""
    samples: dict[str, dict[str, Any]]
    """The first row of each split; nothing where the words it is made of may not be shown."""
    withheld: str = ""
    """Why no rows are shown; empty where they may be."""
