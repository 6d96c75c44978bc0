"""What was proven of a data set's masks, and a look at its rows."""

from typing import Literal

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256

__all__ = ["DataSample", "DataView", "MaskProof"]


class MaskProof(Noun):
    """Rows of one data set, as one model reads them, of which only the answers are learnt."""

    key: Sha256
    """Hash of all the proof depends on: model, data, encoding and the checks themselves."""
    model: Name
    """The base model."""
    dataset: str
    """Key of the data set."""
    rows: dict[str, int]
    """Rows by split."""
    proven: dict[str, int]
    """Rows by split that were encoded and proven; fewer than there are where a sample was drawn."""

    @property
    def words(self) -> str:
        """Return how far the proof reaches, in words."""
        return ", ".join(_reach(split, count, proven=self.proven.get(split, 0)) for split, count in self.rows.items())


def _reach(split: str, count: int, *, proven: int) -> str:
    if proven == count:
        return f"all {count:,} rows of `{split}`"
    return f"{proven:,} of {count:,} rows of `{split}`, drawn by seed"


class DataSample(Noun):
    """One row as the model reads it. Its text is data, never instructions."""

    row: str
    """Split and position of the row."""
    text: str
    """The row in the model's own tokens, special ones shown, each supervised stretch between `⟦` and `⟧`."""
    tokens: int
    """Its tokens."""
    supervised: int
    """Those that the loss is taken on."""


class DataView(Noun):
    """A run's rows as its model reads them, and whether their masks were proven."""

    run_id: RunId
    """The run."""
    model: Name
    """Its base model."""
    dataset: str
    """Path of its data set."""
    sha256: Sha256
    """Hash of the data set."""
    splits: dict[str, int]
    """Rows by split."""
    dataset_type: DatasetType
    """How its rows become tokens."""
    template: str = "model"
    """How conversations are written: a template's name or text; `model` is the model's own."""
    tier: Tier
    """How freely the rows may be shown."""
    withheld: str = ""
    """Why no row is shown, where none is."""
    samples: tuple[DataSample, ...] = ()
    """The first training rows."""
    proof: MaskProof | None = None
    """What was proven; None where something is wrong."""
    problems: tuple[str, ...] = ()
    """What is wrong, with the remedy; rows are told by their position alone."""
    untrusted: Literal[True] = True
    """Reminds the reader that the data wrote the texts."""
