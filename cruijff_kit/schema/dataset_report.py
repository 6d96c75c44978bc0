"""What verbs say of data files: prepared, checked, divided, measured or listed."""

from math import fsum, isclose
from typing import Literal

from pydantic import Field, computed_field, model_validator

from cruijff_kit.schema.noun import Noun, Sha256

__all__ = [
    "Advice",
    "Bin",
    "ConvertReceipt",
    "CroissantReceipt",
    "DataCheck",
    "DataFile",
    "DataForm",
    "DataStats",
    "Division",
    "LeftOut",
    "Preparation",
    "PrepareReceipt",
    "SplitReceipt",
    "Spread",
    "SwapReceipt",
    "TermSwap",
    "TextTokens",
    "TokenCounts",
    "Unit",
]

DataForm = Literal["messages", "prompt"]
"""How prepared rows lie: whole conversations, or columns `input` and `output`."""

Unit = Literal["tokens", "characters"]
"""What lengths count."""


class Preparation(Noun):
    """How a data file is to be prepared."""

    form: DataForm = "messages"
    """How the rows are to lie."""
    template: str = "model"
    """Template that instructions are joined to their inputs for: a name, a text or a file."""
    model: str | None = None
    """Model whose tokens are counted; characters are where None."""
    max_length: int | None = Field(default=None, ge=1)
    """Longest row that is kept; any where None."""


class Division(Noun):
    """How a data file is to be divided."""

    train: float = Field(default=0.8, gt=0, le=1)
    """Share of rows to train on."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of rows for the validation loss; 0 makes no such split."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Share of rows kept for the end; 0 makes no such split."""
    calibration: float = Field(default=0, ge=0, lt=1)
    """Share of rows that calibrators are fitted on; 0 makes no such split."""
    seed: int = Field(default=42, ge=0)
    """Fixes which rows go where."""
    stratify: str | None = None
    """Column of whose values each split has its share."""

    @model_validator(mode="after")
    def _whole(self) -> "Division":
        total = fsum(self.shares)
        if not isclose(total, 1, abs_tol=1e-3):
            told = f"train {self.train:g}, validation {self.validation:g}, test {self.test:g}"
            told += f", calibration {self.calibration:g}" if self.calibration else ""
            raise ValueError(f"the shares are {told}, which make {total:g}; give shares that make 1")
        return self

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """Return the shares of train, validation, test and calibration."""
        return (self.train, self.validation, self.test, self.calibration)


class LeftOut(Noun):
    """A row that was not written, since it is too long."""

    place: str
    """File and line, or row."""
    length: int
    """How long it is."""


class PrepareReceipt(Noun):
    """A data file that was brought into one form."""

    source: str
    """File or folder that was read."""
    source_sha256: Sha256
    """Its hash."""
    target: str
    """File that was written, relative to the experiment."""
    sha256: Sha256
    """Its hash, as a design will record it."""
    form: DataForm
    """How its rows lie; a text that is learnt whole stays one."""
    template: str
    """Template that instructions and their inputs were joined for, and that lengths were counted in."""
    rows: int
    """Rows read."""
    splits: dict[str, int]
    """Rows written, by split."""
    forms: dict[str, int]
    """Rows read, by the form they had."""
    unit: Unit
    """What `max_length` counts."""
    max_length: int | None
    """Longest row that is kept; any where None."""
    left_out: tuple[LeftOut, ...]
    """Rows that are longer, the first of them."""
    left_out_count: int
    """How many rows are longer; with those written they are all that were read."""


class Advice(Noun):
    """Something that keeps no row from being learnt, and is worth a second look."""

    fact: str
    """What was seen."""
    hint: str
    """What may be done."""


class DataCheck(Noun):
    """What a check of a data file found."""

    path: str
    """File or folder."""
    rows: int
    """Rows read, those with problems too."""
    splits: dict[str, int]
    """Sound rows by split."""
    forms: dict[str, int]
    """Sound rows by form."""
    problems: tuple[str, ...]
    """What is wrong, line by line; the first of them."""
    problem_count: int
    """How many problems there are."""
    advice: tuple[Advice, ...]
    """What is worth a second look."""

    @computed_field
    @property
    def ok(self) -> bool:
        """Whether every row can be learnt."""
        return self.problem_count == 0 and self.rows > 0


class SplitReceipt(Noun):
    """A data file that was divided."""

    source: str
    """File or folder that was read."""
    source_sha256: Sha256
    """Its hash."""
    target: str
    """File or folder that was written, relative to the experiment."""
    files: dict[str, Sha256]
    """Every file written, with its hash."""
    splits: dict[str, int]
    """Rows by split."""
    repeated: int
    """Rows whose question another one asks too; all that ask the same lie in one split."""
    seed: int
    """Seed of the draw."""
    stratify: str | None
    """Column whose values each split has its share of."""


class TermSwap(Noun):
    """Which terms are swapped, and where."""

    terms: tuple[str, ...]
    """Lists of terms: bundled ones by name, or YAML files of pairs."""
    split: str = "test"
    """Split to read."""
    columns: tuple[str, ...] = ()
    """Columns whose terms are swapped; all but the answer's where empty."""


class SwapReceipt(Noun):
    """Rows whose terms were swapped."""

    source: str
    """File or folder that was read."""
    source_sha256: Sha256
    """Its hash."""
    target: str
    """File that was written, relative to the experiment."""
    sha256: Sha256
    """Its hash."""
    split: str
    """Split whose rows were read."""
    rows: int
    """Rows of it."""
    swapped: int
    """Rows written: those that hold a term."""
    unclear: int
    """Rows left out: they hold a term of several counterparts."""


class Spread(Noun):
    """Lengths of rows."""

    mean: float
    """Mean."""
    median: float
    """Median."""
    least: int
    """Shortest."""
    greatest: int
    """Longest."""


class Bin(Noun):
    """Rows of about one length."""

    low: int
    """Shortest length in it."""
    high: int
    """Longest length in it."""
    count: int
    """Rows."""


class TokenCounts(Noun):
    """How many tokens texts take by themselves: without a template, and without special tokens."""

    spread: Spread
    """Tokens of a text."""
    per_word: float
    """Mean tokens of a word, of what blanks part."""
    counts: dict[int, int]
    """Number of tokens to how many texts take so many."""


class TextTokens(Noun):
    """Questions and answers of a data file in a model's tokens, beside each other."""

    questions: TokenCounts
    """Questions; of conversations all turns before the last answer."""
    answers: TokenCounts
    """Answers."""
    more: int
    """Rows whose answer takes more tokens than their question."""
    fewer: int
    """Rows whose answer takes fewer."""


class DataStats(Noun):
    """What a data file holds, in numbers."""

    path: str
    """File or folder."""
    bytes: int
    """Size."""
    rows: int
    """Rows read."""
    splits: dict[str, int]
    """Rows by split."""
    forms: dict[str, int]
    """Rows by form; `unreadable` are those of none."""
    turns: Spread | None
    """Turns of conversations; None where there are none."""
    questions: Spread | None
    """Characters of questions, of conversations all before the last answer; None where there are none."""
    answers: Spread | None
    """Characters of answers; None where there are none."""
    characters: Spread | None
    """Characters of rows; None where no row could be read."""
    tokens: Spread | None
    """Tokens of rows as the template writes them; None where no model was named."""
    unit: Unit
    """What the bins count."""
    bins: tuple[Bin, ...]
    """Rows by length, shortest first."""
    texts: TextTokens | None = None
    """Tokens of questions and answers; None where no model was named or no row has both."""


class DataFile(Noun):
    """A data file that can be named."""

    path: str
    """File or folder, relative to what was listed; of bundled data its absolute path."""
    format: str
    """How its rows lie on disk."""
    bytes: int
    """Size."""
    bundled: str | None = None
    """Name under which this package brings it along; None for the user's own."""
    told: str = ""
    """What it is, where it is bundled."""


class ConvertReceipt(Noun):
    """A data set that was written in another format."""

    source: str
    """Absolute path it was read from."""
    source_sha256: Sha256
    """Hash of what was read."""
    target: str
    """Path it was written to, relative to the experiment."""
    sha256: Sha256
    """Hash of what was written, as a design will record it."""
    files: tuple[str, ...]
    """Every file written."""
    splits: dict[str, int]
    """Rows by split."""


class CroissantReceipt(Noun):
    """What was written to describe a data set for other tools."""

    path: str
    """The description, relative to the experiment."""
    sha256: Sha256
    """Hash of its bytes."""
    data: str
    """The data set that it describes."""
    splits: dict[str, int]
    """Rows by split."""
    changed: bool
    """Whether it was written; False where it said so already."""
