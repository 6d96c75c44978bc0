"""Nouns of labelled texts prepared for structured answers: what is asked, and what was written."""

from typing import Annotated

from pydantic import Field

from cruijff_kit.schema.dataset_report import Spread
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["AbstainExample", "Augmentation", "StructureReceipt", "Structuring"]


class Augmentation(Noun):
    """How training rows are multiplied."""

    methods: tuple[str, ...] = ("synonym_replacement", "random_insertion")
    """What is done, in turn."""
    aug_p: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Part of a text's words that change, one at least."""
    copies: Annotated[int, Field(ge=1, le=20)] = 1
    """Changed copies of each training row."""
    synonyms: str | None = None
    """File of synonyms, a group a line; the shipped one where None."""


class AbstainExample(Noun):
    """A text that is to be abstained on, beside those of the data."""

    text: str = Field(min_length=1)
    """The text."""
    rationale: str = ""
    """Why nothing can be decided."""


class Structuring(Noun):
    """How labelled texts become rows of structured answers."""

    text_column: str = "text"
    """Column of the text."""
    label_column: str = "label"
    """Column of the label; null or blank makes an abstain example."""
    rationale_column: str | None = None
    """Column of the reason that is taught, or of structured answers, whose reason it is; none is where None."""
    id_column: str | None = None
    """Column of the ids; split and number where None."""
    metadata_columns: tuple[str, ...] = ()
    """Columns that become metadata; the column `metadata`, where there is one, if none is named."""
    options: tuple[str, ...] = ()
    """Labels there may be; any where empty."""
    augmentation: Augmentation | None = None
    """How training rows are multiplied; not at all where None."""
    abstain_examples: tuple[AbstainExample, ...] = ()
    """Further training rows, behind the others and never multiplied."""
    seed: Annotated[int, Field(ge=0)] = 42
    """Fixes what augmentation changes."""


class StructureReceipt(Noun):
    """Labelled texts written as rows of structured answers."""

    source: str
    """File or folder that was read."""
    source_sha256: Sha256
    """Its hash."""
    target: str
    """File that was written, relative to the experiment."""
    sha256: Sha256
    """Its hash, as a design will record it."""
    rows: int
    """Rows written."""
    original: int
    """Those that were read."""
    augmented: int
    """Those that were made of training rows."""
    not_augmented: int
    """Copies that were not made: nothing would have changed, or a text of another split would have come of it."""
    splits: dict[str, int]
    """Rows written, by split."""
    labels: dict[str, int]
    """Rows read, by label; `null` are abstain examples."""
    words: Spread
    """Words of the texts read."""
