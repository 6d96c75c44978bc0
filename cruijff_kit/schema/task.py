"""Task nouns: what a task of one's own asks, and what was made of that."""

from keyword import iskeyword
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.scoring_rules import ScorerName

__all__ = ["AnswerKind", "TaskReceipt", "TaskRequest"]

AnswerKind = Literal["choice", "options", "free", "numeric", "probability", "json"]
"""What is to be answered: a letter, one of some words, any text, a number, a probability, a decision as JSON."""

_SCORERS: dict[str, tuple[str, ...]] = {
    "choice": ("match", "includes", "risk"),
    "options": ("match", "includes", "risk"),
    "free": ("includes", "match"),
    "numeric": ("continuous", "match"),
    "probability": ("numeric_risk",),
    "json": ("decision",),
}
# A task is a function of its file: by one of these names it would take the place of what the file itself uses.
_TAKEN = {
    "dict", "enumerate", "fill_template", "generate", "list", "multiple_choice", "rows", "sample", "set", "sorted",
    "str", "stream_rows", "system_message", "task", "zip", *get_args(ScorerName),
}  # fmt: skip


class TaskRequest(Noun):
    """What a task asks and how answers are scored."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Name of the task and of its folder: small letters, digits and `_`."""
    answer: AnswerKind
    """What is to be answered."""
    caption: str = ""
    """What it asks, in a line."""
    prompt: str = "{question}"
    """What is asked; columns of the data in braces."""
    system: str = ""
    """System prompt; none where empty."""
    target: str = "target"
    """Column of the right answer."""
    options: tuple[str, ...] = ()
    """Answers of a closed set, the event last."""
    scorers: tuple[ScorerName, ...] = ()
    """Scorers of this package, the one that decides first; what suits the answer where absent."""
    data: str | None = None
    """Rows as a `.json`, `.jsonl`, `.parquet` or `.csv` file; some to fill in are written where absent."""
    split: str = "test"
    """Split that is asked, where the data has splits."""

    @model_validator(mode="after")
    def _fits(self) -> "TaskRequest":
        if iskeyword(self.name) or self.name in _TAKEN:
            raise ValueError(
                f"`{self.name}` is a word that the file of the task uses itself; give the task another name"
            )
        closed = self.answer in {"options", "probability"}
        if closed and len(self.options) < 2:
            raise ValueError(f"answers of kind `{self.answer}` need two options at least")
        if self.answer == "probability" and len(self.options) != 2:
            raise ValueError("a `probability` is that of the last of two options")
        if self.options and self.answer not in {"options", "probability", "json"}:
            raise ValueError(f"answers of kind `{self.answer}` take no options")
        if len({each.strip() for each in self.options}) < len(self.options) or not all(map(str.strip, self.options)):
            raise ValueError("an option is blank or named twice")
        if any(brace in option for option in self.options for brace in "{}"):
            raise ValueError("an option holds braces, which name columns in a prompt")
        wrong = [name for name in self.scorers if name not in _SCORERS[self.answer]]
        if wrong:
            raise ValueError(
                f"`{wrong[0]}` does not score answers of kind `{self.answer}`; {', '.join(_SCORERS[self.answer])} do"
            )
        if self.scorers[:1] == ("risk",):
            raise ValueError("`risk` needs every option's log-probability, so another scorer decides: name it first")
        return self

    @property
    def scored_by(self) -> tuple[str, ...]:
        """Return its scorers, that of its kind where none is named."""
        return self.scorers or _SCORERS[self.answer][:1]


class TaskReceipt(Noun):
    """A task that was made, or would be."""

    name: str
    """Its name."""
    written: bool
    """Whether files were written."""
    files: dict[str, str]
    """Path in the experiment to text."""
    entry: str
    """Its line below `evaluation.tasks` of a design."""
