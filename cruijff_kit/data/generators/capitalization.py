"""Words in lower case, answered with a capital letter.

    {"input": "hello", "output": "Hello", "word_length": "5"}

A model learns on words of one length and is asked for words of that length it has
never met (`test`) and of other lengths (`other_lengths`). Words of these two splits
are never among those a base model of this package may have been pretrained on.
"""

from collections.abc import Iterable, Mapping
from itertools import islice

from pydantic import Field

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.words import load_words, parse_words, pretraining_half
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun

__all__ = ["VERSION", "Capitalization", "generate"]

VERSION = "1"


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
    other_lengths: tuple[int, ...] = (4, 6, 7, 8)
    """Lengths of the words in `other_lengths`; `word_length` is not among them."""
    other_count: int = Field(default=100, ge=1)
    """Rows for each of these lengths."""
    seed: int = Field(default=42, ge=0)
    """Fixes which words are drawn."""
    words: str | None = None
    """File of one word a line instead of the English words shipped here."""


def generate(arguments: Capitalization, files: Mapping[str, bytes]) -> Splits:
    """Return the four splits; `files` holds the content of `words` where it was named.

    Raises:
        SpecError: the word list is too short for what is asked, or not UTF-8.
    """
    words = _words(files)
    problems = _length_problems(arguments)
    pool = _order(words, arguments.word_length, seed=arguments.seed)
    test = _unseen(pool, arguments.test)
    problems += _shortage("test", arguments.test, found=len(test), length=arguments.word_length)
    tested = set(test)
    taught = [word for word in pool if word not in tested]
    wanted = arguments.train + arguments.validation
    problems += _shortage("train", wanted, found=len(taught), length=arguments.word_length)
    others: list[str] = []
    for length in arguments.other_lengths:
        found = _unseen(_order(words, length, seed=arguments.seed), arguments.other_count)
        problems += _shortage("other_count", arguments.other_count, found=len(found), length=length)
        others += found
    if problems:
        raise SpecError("the words do not suffice for this data set", problems=problems)
    return {
        "train": _rows(taught[: arguments.train]),
        "validation": _rows(taught[arguments.train : wanted]),
        "test": _rows(test),
        "other_lengths": _rows(others),
    }


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


def _rows(words: Iterable[str]) -> list[dict[str, str]]:
    return [{"input": word, "output": word.capitalize(), "word_length": str(len(word))} for word in words]


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


def _shortage(argument: str, wanted: int, *, found: int, length: int) -> list[Problem]:
    if found >= wanted:
        return []
    fact = f"{wanted} words of {length} letters are asked for; the list has {found} to give"
    return [Problem(fact, path=argument, hint="ask for fewer rows, or name a longer list with `words`")]
