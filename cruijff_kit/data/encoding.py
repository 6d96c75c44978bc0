"""The nouns of tokens and labels: how rows become tokens, and what becomes of one."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.noun import Noun

__all__ = ["IGNORE", "Encoded", "Encoding", "Row", "row_error"]

IGNORE = -100
"""Label of a token that is not supervised."""

Row = Mapping[str, Any]
"""One row of a data set: column name to value."""


class Encoding(Noun):
    """How rows become tokens: everything but the row and the tokenizer."""

    dataset_type: DatasetType
    """Question and answer in a chat template or as plain text, or whole conversations."""
    prompt: str = "{input}"
    """Template of the user's turn, or of the text before the answer; not read where rows hold conversations."""
    system_prompt: str = ""
    """System message; empty leaves the message out."""
    template: str = "model"
    """How conversations are written: a template's name or text; `model` is the model's own."""
    template_date: str = "26 Jul 2024"
    """Date for chat templates that print one."""
    input_key: str = "input"
    """Column that `{input}` stands for."""
    output_key: str = "output"
    """Column of the answer."""
    max_seq_len: int = 2048
    """Longest row in tokens."""
    overlong: Literal["refuse", "truncate"] = "refuse"
    """What happens to longer rows."""
    train_on_input: bool = False
    """Whether prompt tokens are supervised too."""

    @classmethod
    def of(cls, config: DatasetConfig) -> "Encoding":
        """Return the encoding that a job's data set block describes."""
        return cls(**{name: getattr(config, name) for name in cls.model_fields})


class Encoded(NamedTuple):
    """One row as the model reads it and as the loss sees it."""

    ids: tuple[int, ...]
    """Token ids of prompt and answer."""
    labels: tuple[int, ...]
    """The same ids where supervised, `IGNORE` elsewhere; not shifted."""
    prompt_length: int
    """Tokens before the last seam; `ids[:prompt_length]` is what an evaluation sends."""
    truncated: bool = False
    """Whether the end of the last answer was cut, and with it the end token."""
    earlier: tuple[tuple[int, int], ...] = ()
    """Where the answers before the last one start and end, end tokens included."""

    @property
    def answers(self) -> tuple[tuple[int, int], ...]:
        """Return start and end of every answer, the last one's too."""
        return (*self.earlier, (self.prompt_length, len(self.ids)))


def row_error(fact: str, *, place: str, hint: str, path: str = "") -> SpecError:
    """Return the error of a row that cannot be tokenised."""
    return SpecError("a row cannot be tokenised", problems=[Problem(fact, path, place, hint)])
