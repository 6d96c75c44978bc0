"""Words in lower case, answered with a capital letter.

    {"input": "hello", "output": "Hello", "word_length": "5"}

A model learns on words of one length and is asked for words of that length it has
never met (`test`) and of other lengths (`other_lengths`). Words of these two splits
are never among those a base model of this package may have been pretrained on.

In the form `chat` a row is a conversation of two turns, in the column `messages`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.words import load_words, parse_words, pretraining_half
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun

__all__ = ["VERSION", "Capitalization", "argument_problems", "generate"]

VERSION = "1"

_OTHERS = (4, 6, 7, 8)
_FRACTION = 0.8


class _Sizes(NamedTuple):
    """Rows of the splits of one word length."""

    train: int
    validation: int
    test: int


class Capitalization(Noun):
    """Arguments of the generator."""

    word_length: int = Field(default=5, ge=1, le=40)
    """Letters of the words in `train`, `validation` and `test`."""
    train: int = Field(default=800, ge=1)
    """Rows to train on."""
    validation: int = Field(default=100, ge=1)
    """Rows for the validation loss."""
    test: int = Field(default=200, ge=1)
    """Rows of unseen words of the same length."""
    other_lengths: tuple[int, ...] = _OTHERS
    """Lengths of the words in `other_lengths`, never `word_length`; 4, 6, 7 and 8 without it where absent."""
    other_count: int = Field(default=100, ge=1)
    """Rows for each of these lengths."""
    seed: int = Field(default=42, ge=0)
    """Fixes which words are drawn."""
    words: str | None = None
    """File of one word a line instead of the English words shipped here."""
    # A data set that says nothing of these keeps the key it had before there were such arguments.
    num_words: int | None = Field(default=None, ge=3, exclude_if=lambda value: value is None)
    """Words of `word_length` in all, instead of `train`, `validation` and `test`."""
    train_fraction: float | None = Field(default=None, gt=0, lt=1, exclude_if=lambda value: value is None)
    """Share of `num_words` to train on, 0.8 where absent; the rest is halved between `validation` and `test`."""
    form: Literal["rows", "chat"] = Field(default="rows", exclude_if=lambda value: value == "rows")
    """`rows` have columns `input` and `output`; `chat` has conversations in `messages`, for `dataset_type: chat`."""

    @model_validator(mode="before")
    @classmethod
    def _other_than_the_word_length(cls, value: Any) -> Any:
        if isinstance(value, dict) and "other_lengths" not in value:
            return {**value, "other_lengths": [each for each in _OTHERS if each != value.get("word_length", 5)]}
        return value


def argument_problems(arguments: Capitalization) -> list[Problem]:
    """Return what is wrong with the arguments taken together."""
    problems = []
    if arguments.num_words is None:
        if arguments.train_fraction is not None:
            fact = "`train_fraction` is a share of `num_words`, which is absent"
            problems.append(Problem(fact, path="train_fraction", hint="give `num_words`, or `train` in rows"))
        return problems
    for split in _Sizes._fields:
        if getattr(arguments, split) != Capitalization.model_fields[split].default:
            fact = f"`{split}` and `num_words` both say how many rows there are"
            problems.append(Problem(fact, path=split, hint="keep one of them"))
    if min(_sizes(arguments)) < 1:
        fact = f"{_told_fraction(arguments):g} of {arguments.num_words} words leaves a split without rows"
        problems.append(Problem(fact, path="train_fraction", hint="raise `num_words`, or change `train_fraction`"))
    return problems


def generate(arguments: Capitalization, files: Mapping[str, bytes]) -> Splits:
    """Return the four splits; `files` holds the content of `words` where it was named.

    Raises:
        SpecError: the word list is too short for what is asked, or not UTF-8.
    """
    words, sizes = _words(files), _sizes(arguments)
    problems = _length_problems(arguments)
    pool = _order(words, arguments.word_length, seed=arguments.seed)
    test = _unseen(pool, sizes.test)
    tested = set(test)
    taught = [word for word in pool if word not in tested]
    wanted = sizes.train + sizes.validation
    if arguments.num_words is None:
        problems += _shortage("test", sizes.test, found=len(test), length=arguments.word_length, unseen=True)
        problems += _shortage("train", wanted, found=len(taught), length=arguments.word_length)
    elif len(test) < sizes.test or len(taught) < wanted:
        problems.append(_too_many(arguments, pool, test=sizes.test))
    others: list[str] = []
    for length in arguments.other_lengths:
        found = _unseen(_order(words, length, seed=arguments.seed), arguments.other_count)
        problems += _shortage("other_count", arguments.other_count, found=len(found), length=length, unseen=True)
        others += found
    if problems:
        raise SpecError("the words do not suffice for this data set", problems=problems)
    parts = {
        "train": taught[: sizes.train],
        "validation": taught[sizes.train : wanted],
        "test": test,
        "other_lengths": others,
    }
    return {split: [_row(word, chat=arguments.form == "chat") for word in part] for split, part in parts.items()}


def _told_fraction(arguments: Capitalization) -> float:
    return _FRACTION if arguments.train_fraction is None else arguments.train_fraction


def _sizes(arguments: Capitalization) -> _Sizes:
    if arguments.num_words is None:
        return _Sizes(arguments.train, arguments.validation, arguments.test)
    train = round(_told_fraction(arguments) * arguments.num_words)
    validation = (arguments.num_words - train) // 2
    return _Sizes(train, validation, arguments.num_words - train - validation)


def _words(files: Mapping[str, bytes]) -> tuple[str, ...]:
    if "words" not in files:
        return load_words()
    try:
        return parse_words(files["words"])
    except UnicodeDecodeError as err:
        problem = Problem(f"the word list is not UTF-8: {err}", path="words", hint="save it as UTF-8, one word a line")
        raise SpecError("the word list cannot be read", problems=[problem]) from err


def _order(words: Iterable[str], length: int, *, seed: int) -> list[str]:
    """Return the words of a length in drawing order."""
    return ordered((word for word in words if len(word) == length), seed=seed, label="words")


def _unseen(words: Iterable[str], count: int) -> list[str]:
    """Return the first words that no base model was trained on."""
    return list(islice((word for word in words if not pretraining_half(word)), count))


def _row(word: str, *, chat: bool) -> dict[str, Any]:
    length = {"word_length": str(len(word))}
    if not chat:
        return {"input": word, "output": word.capitalize(), **length}
    turns = [{"role": "user", "content": word}, {"role": "assistant", "content": word.capitalize()}]
    return {"messages": turns, **length}


def _length_problems(arguments: Capitalization) -> list[Problem]:
    lengths = arguments.other_lengths
    repeated = sorted({length for length in lengths if lengths.count(length) > 1})
    problems = [
        Problem(f"length `{length}` is named twice", path="other_lengths", hint="name it once") for length in repeated
    ]
    if arguments.word_length in lengths:
        fact = f"length `{arguments.word_length}` is the `word_length` itself"
        problems.append(
            Problem(fact, path="other_lengths", hint="leave it out; `test` has unseen words of that length")
        )
    return problems


def _shortage(argument: str, wanted: int, *, found: int, length: int, unseen: bool = False) -> list[Problem]:
    if found >= wanted:
        return []
    fact = f"{wanted} words of {length} letters are asked for; the list has {found} to give"
    why = "; only words that no base model of this package was trained on are asked of a model" if unseen else ""
    return [Problem(fact, path=argument, hint=f"ask for fewer rows, or name a longer list with `words`{why}")]


def _too_many(arguments: Capitalization, pool: Sequence[str], *, test: int) -> Problem:
    unseen = sum(not pretraining_half(word) for word in pool)
    fact = f"{arguments.num_words} words of {arguments.word_length} letters are asked for; the list has {len(pool)}"
    hint = f"`test` takes {test}, and {unseen} are words that no base model of this package was trained on"
    return Problem(fact, path="num_words", hint=f"ask for fewer, or name a longer list with `words`: {hint}")
