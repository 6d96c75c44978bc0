"""Conversations of several answers: cut at every seam, so that each answer is as the model would give it.

    [BOS] first question, header | answer, end | next question, header | answer, end | …

Each answer is tokenised by itself, as a model generates it, and so is what the template
writes between two answers. That holds only where a template writes the turns before
a question the same way whatever follows; some rewrite them, such as those that drop
earlier thoughts. Such a conversation can be asked, but not every answer of it learnt.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.templates import answer_end, asked_text, one_bos, render
from cruijff_kit.data.turns import Turn
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["Asked", "ask", "ask_steadily"]

_PATH = "controls.dataset_type"
_HINT = (
    "give each row one question and its answer: cut conversations after their first answer, "
    "or use `dataset_type: chat_completion` with columns of question and answer"
)


class Asked(NamedTuple):
    """A conversation up to its last question, as ids."""

    ids: PromptIds
    """What the model reads before it answers."""
    answers: tuple[tuple[int, int], ...] = ()
    """Where the answers in it start and end, end tokens included."""


class _Exchange(NamedTuple):
    """What the template writes before an answer, and the answer where one was given."""

    before: str
    answer: str | None


def ask(turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer) -> Asked:
    """Return the ids that put a conversation's last question.

    Where the template rewrites earlier turns the whole text is tokenised at once, and
    no answer in it is marked.

    Raises:
        SpecError: the template refuses the conversation.
    """
    try:
        return ask_steadily(turns, encoding=encoding, tokenizer=tokenizer)
    except _UnsteadyError:
        whole = render(turns, encoding=encoding, tokenizer=tokenizer, asks=True)
        return Asked(one_bos(asked_text(whole, encoding=encoding, tokenizer=tokenizer), tokenizer))


def ask_steadily(turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer) -> Asked:
    """Return the ids that put a conversation's last question, every earlier answer marked.

    Raises:
        SpecError: the template refuses the conversation, rewrites its turns, or ends no answer.
    """
    end = answer_end(encoding=encoding, tokenizer=tokenizer)
    ids: list[int] = []
    answers = []
    for exchange in _exchanges(turns, encoding=encoding, tokenizer=tokenizer):
        before = asked_text(exchange.before, encoding=encoding, tokenizer=tokenizer)
        ids += one_bos(before, tokenizer) if not ids else _inner(before, tokenizer)
        if exchange.answer is not None:
            start = len(ids)
            ids += [*_inner(exchange.answer, tokenizer), *end.ids]
            answers.append((start, len(ids)))
    return Asked(tuple(ids), tuple(answers))


class _UnsteadyError(SpecError):
    """The template does not write earlier turns as they were asked."""


def _exchanges(turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer) -> Iterator[_Exchange]:
    whole = render(turns, encoding=encoding, tokenizer=tokenizer, asks=True)
    at = 0
    for index, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        end = answer_end(encoding=encoding, tokenizer=tokenizer).written
        if end is None:
            raise _unsteady("marks no end of an answer that another question follows", index)
        before = render(turns[:index], encoding=encoding, tokenizer=tokenizer, asks=True)
        if len(before) < at or not whole.startswith(before):
            raise _unsteady("does not write the turns before it as they were asked", index)
        found = _written(whole[len(before) :], turn["content"], end=end)
        if found is None:
            raise _unsteady("does not write it as it was given", index)
        yield _Exchange(before[at:], found[0])
        at = len(before) + found[1]
    yield _Exchange(whole[at:], None)


def _written(rest: str, content: str, *, end: str) -> tuple[str, int] | None:
    """Return an answer as the template writes it, and how far it reaches with its end."""
    for text in (content, content.strip()):
        at = rest.find(text + end)
        if at >= 0 and not rest[:at].strip():
            return text, at + len(text) + len(end)
    return None


def _inner(text: str, tokenizer: Tokenizer) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


def _unsteady(fact: str, index: int) -> _UnsteadyError:
    told = f"turn {index} is an earlier answer, and the model's chat template {fact}; it cannot be supervised"
    return _UnsteadyError("a conversation cannot be learnt", problems=[Problem(told, _PATH, hint=_HINT)])
