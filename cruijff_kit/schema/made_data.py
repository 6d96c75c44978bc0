"""Nouns of generated data: what was made, and what models of tables reach on the same rows."""

from typing import Literal

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Name, Noun, Sha256

__all__ = ["BaselineModel", "MadeData", "MadeFile", "MadeRow", "TableBaseline"]


class MadeRow(Noun):
    """One row as it would be written."""

    split: str
    """Its split."""
    input: str
    """What a model reads."""
    output: str
    """What it is to answer."""


class MadeData(Noun):
    """A data set that a generator made, or would make."""

    generator: Name
    """Who made it."""
    path: str
    """The data set, relative to the experiment."""
    key: Name
    """Its name, which ends with eight digits of the hash over all it was made from."""
    written: bool
    """Whether it was written now; else it was there already, or this is a dry run."""
    sha256: Sha256
    """Hash of the file."""
    splits: dict[str, int]
    """Rows by split."""
    answers: dict[str, dict[str, int]] = {}
    """Rows by split and answer, where there are few answers that may be shown."""
    best: dict[str, float] = {}
    """Accuracy on each split of whoever knows the true chances; empty where rows do not tell them."""
    ceiling: float | None = None
    """Accuracy of the best rule there is over all such rows; None where nobody knows it."""
    tier: Tier
    """How freely the rows may be shown."""
    withheld: str = ""
    """Why no rows are shown; empty where they may be."""
    samples: tuple[MadeRow, ...] = ()
    """First rows of each split, for a dry run."""


class MadeFile(Noun):
    """A file that was made and is no data set yet."""

    path: str
    """The file, relative to the experiment."""
    rows: int
    """Its rows."""
    sha256: Sha256
    """Hash of its bytes."""


class BaselineModel(Noun):
    """What one model of tables reaches."""

    name: str
    """The model, or what stands in its place."""
    figures: dict[str, float]
    """Figure to value: accuracy, balanced accuracy, area under the curve, Brier score, or errors of numbers."""
    accuracy: Interval | None = None
    """The accuracy with its interval over the rows; None where a number is asked for."""


class TableBaseline(Noun):
    """What models of tables reach on the rows of a data set, from the cells that its texts tell."""

    path: str
    """The data set."""
    sha256: Sha256
    """Hash of its bytes."""
    split: str
    """Split they are judged on."""
    trained_on: int
    """Rows of `train`, which they learn from."""
    rows: int
    """Rows of the split."""
    features: int
    """Columns told."""
    kind: Literal["binary", "number"]
    """Whether one of two answers is asked for, or a number."""
    seed: int
    """What their dice are thrown with."""
    models: tuple[BaselineModel, ...]
    """The models, the simplest first."""
