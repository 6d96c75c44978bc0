"""Table nouns: the schema of a table, how its rows become text, and what the verbs say of both."""

from typing import Any, Literal

from pydantic import Field, field_validator

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.noun import Name, Noun, Sha256

__all__ = [
    "RESERVED",
    "ColumnLook",
    "Perturbation",
    "SchemaDraft",
    "TableReceipt",
    "TableSchema",
    "TableSource",
    "TableText",
    "Tabular",
    "Variable",
    "VariableType",
    "WrittenTexts",
]

VariableType = Literal["integer", "number", "category", "text", "date"]
"""How a column's cells are read."""

Perturbation = Literal["synonym", "shorthand", "reorder", "clause_addition"]
"""Ways to say the same otherwise; none changes a target."""


RESERVED = frozenset({"and", "else", "false", "if", "in", "is", "loop", "name", "none", "not", "or", "raw", "true"})
"""Words that templates have a use for; no variable is called so."""


class Variable(Noun):
    """One variable of a table: how its column is read and how its values are said."""

    display_name: str = Field(min_length=1)
    """What the variable is called in a text."""
    type: VariableType
    """How cells are read; an `integer` or `number` has one spelling, whatever the file's."""
    column: str | None = None
    """Column of the file; the variable's own name where absent."""
    unit: str = ""
    """Written behind a value, such as `years`."""
    decimals: int | None = Field(default=None, ge=0, le=12)
    """Digits behind the point of a `number`; as many as it has where absent."""
    range: tuple[int | float, int | float] | None = None
    """Least and greatest value that is right; others are told of by the check."""
    value_map: dict[str, str] = {}
    """Cell to the words for it; a `category` with a map knows no other cells."""
    missing: tuple[str, ...] = ()
    """Cells that stand for no answer, such as `-9`, beside those of the whole table."""
    synonyms: tuple[str, ...] = ()
    """Other names that `synonym` may put in place of the display name."""
    shorthand_map: dict[str, str] = {}
    """Name, unit or value as shown to a shorter form that `shorthand` may put in its place."""
    restatements: tuple[str, ...] = ()
    """Sentences that say the value again, `{value}` in its place; `clause_addition` adds one."""


class TableSchema(Noun):
    """What the columns of a table mean."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    description: str = ""
    """What a row of the table is."""
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", ".")
    """Cells that stand for no answer in any column."""
    entity: str | None = None
    """Column that tells which person, household or thing a row is about: rows of one stay in one split."""
    variables: dict[Name, Variable] = Field(min_length=1)
    """Variables by name, in the order they are told."""
    left_out: dict[str, str] = {}
    """Columns of the file that are no variables, and why."""


def _unsaid(value: Any) -> bool:
    # What came later changes no name of data that does without it.
    return value is None


class Tabular(Noun):
    """Arguments of the generator: a table, its schema, and what becomes question and answer."""

    source: str
    """Table: `.csv`, `.tsv`, `.parquet`, `.dta`, `.xlsx`, `.sas7bdat` or `.xpt`, or CSV in a `.zip`."""
    schema_file: str
    """Schema of the table, as `ck data schema` drafts it."""
    target: str
    """Variable to be answered; never a feature."""
    threshold: float | None = None
    """Answer `1` where the target is greater than this, else `0`."""
    mapping: dict[str, str | None] = {}
    """Cell of the target to answer; rows of a cell that maps to null are left out."""
    features: tuple[str, ...] = ()
    """Variables told, in this order; all but the target, or those the template names, where absent."""
    condition: Name = "table"
    """Name of this way to tell a row; the first part of the file's name."""
    style: Literal["dictionary", "narrative", "condensed", "terse", "written"] = "dictionary"
    """A line a variable, sentences by a template, `name: value` in a row, short forms, or a text that a model wrote."""
    template: str | None = None
    """Jinja file of a `narrative`: `{{ age }}` is a value, `{{ name.age }}` its name, `{{ raw.age }}` its cell."""
    texts: str | None = Field(default=None, exclude_if=_unsaid)
    """File of `written`: what a model wrote of each row, as `ck data narrate` makes it."""
    context: str = ""
    """Text that every row has in common."""
    context_placement: Literal["before", "after", "column"] = "before"
    """Where it stands: around the row's text, or in a column `context` for prompts to name."""
    question: str = ""
    """Last line of every input."""
    missing: Literal["omit", "say", "skip"] = "omit"
    """A feature without an answer is left out of the text, is told as missing, or its row is skipped."""
    missing_text: str = Field(default="not known", min_length=1)
    """Words of `say`."""
    groups: tuple[str, ...] = ()
    """Variables kept as columns too, in words, so that results can be told apart by them."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Share of the rows for the validation loss."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Share of the rows for the evaluation."""
    stratify: bool = True
    """Whether every answer has the same share in every split, as nearly as entities allow."""
    same_text: Literal["together", "spread"] = "together"
    """Rows that read the same stay in one split, or are told apart by entity alone."""
    limit: int | None = Field(default=None, ge=3)
    """Rows of the table used at most, drawn by entity; those of a smaller limit are among those of a larger."""
    perturbations: tuple[Perturbation, ...] = ()
    """Applied to every text of `perturbed`, drawn anew for each row and copy."""
    perturbed: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")
    """Splits whose texts are perturbed."""
    copies: int = Field(default=1, ge=1, le=100)
    """Texts made of each training row, each perturbed anew."""
    sheet: str | None = None
    """Sheet of a workbook; its first where absent."""
    seed: int = Field(default=42, ge=0)
    """Fixes splits and perturbations."""

    @field_validator("features", "groups", "perturbations", "perturbed", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Take names with commas between them too: levels of a factor are no lists."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class TableSource(Noun):
    """A table to look at."""

    path: str
    """The file; relative paths start at the experiment."""
    sheet: str | None = None
    """Sheet of a workbook; its first where absent."""
    tier: Tier | None = None
    """How freely it may be shown, as declared; its folder and the design may say more strictly."""


class ColumnLook(Noun):
    """What one column of a table was found to hold; nothing of single rows."""

    column: str
    """Its name."""
    type: VariableType
    """How its cells read."""
    missing: int
    """Cells without an answer."""
    distinct: int
    """Different cells; counted up to a thousand."""
    least: str = ""
    """Smallest number or first date; empty for others."""
    greatest: str = ""
    """Greatest number or last date; empty for others."""
    counts: dict[str, int] = {}
    """Cell to rows, of a category."""
    note: str = ""
    """Why it was left out, or what is worth a question."""


class SchemaDraft(Noun):
    """A schema drafted from a table, or the check of one against it."""

    source: str
    """The table."""
    sha256: Sha256
    """Hash of its bytes."""
    rows: int
    """Rows read."""
    tier: Tier
    """How freely its contents may be shown; values are not shown of any but green."""
    path: str
    """The schema."""
    columns: tuple[ColumnLook, ...]
    """Every column."""
    problems: tuple[str, ...] = ()
    """What does not fit; empty for a draft."""
    text: str = ""
    """The schema, where it was asked for and may be shown."""


class TableText(Noun):
    """One row as it would be written."""

    split: str
    """Its split."""
    row: int
    """Its place in the table, from 1."""
    input: str
    """What a model reads."""
    output: str
    """What it is to answer."""


class TableReceipt(Noun):
    """A table made text, or what would be made of it."""

    path: str
    """The data set, relative to the experiment."""
    key: Name
    """Its name: condition, shares, and eight digits of the hash over all it was made from."""
    written: bool
    """Whether it was written now; else it was there already, or this is a dry run."""
    sha256: Sha256 | None = None
    """Hash of the file; None for a dry run."""
    rows: int
    """Rows of the table."""
    splits: dict[str, int]
    """Texts by split."""
    answers: dict[str, dict[str, int]] = {}
    """Rows by split and answer, where there are few answers."""
    skipped: dict[str, int] = {}
    """Rows left out, by reason."""
    tier: Tier
    """How freely the table's contents may be shown."""
    withheld: str = ""
    """Why no texts are shown; empty where they may be."""
    samples: tuple[TableText, ...] = ()
    """First texts of each split, for a dry run."""


class WrittenTexts(Noun):
    """Texts that a model wrote of rows, or the questions it would be asked."""

    path: str
    """The file, relative to the experiment."""
    sha256: Sha256
    """Hash of its bytes."""
    texts: int
    """Lines in it: one for each different row."""
    new: int
    """Those that were written now; the others were there already."""
    cut: int = 0
    """Those of them that ended at the longest answer rather than by themselves."""
    model: str
    """Who wrote them; empty where only questions were written."""
    tier: Tier
    """How freely they may be shown: as the table."""
