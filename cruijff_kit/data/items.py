"""Items: rows that say by their own columns what they are, several forms in one file.

    {"messages": [{"role": "user", "content": "…"}, …]}     a conversation; ShareGPT's `conversations` too
    {"instruction": "…", "input": "…", "output": "…"}       `input` may be left out or blank
    {"prompt": "…", "completion": "…"}                      or `question`/`answer`, `input`/`output`, …
    {"text": "…"}                                           learnt whole, as it stands

The first of these forms whose columns a row has is its form; `system` beside a question is its
system message. Other columns are kept. What is null counts as left out: tables of several forms are full of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from cruijff_kit.data.turns import MESSAGES, Turn, question_turns, sound_turns, turn_facts

__all__ = [
    "ITEM_FORMS",
    "TALKS",
    "TEXT",
    "ItemForm",
    "Question",
    "is_item",
    "item_facts",
    "item_form",
    "item_question",
    "item_rest",
    "item_turns",
]

ItemForm = Literal["messages", "instruction", "prompt", "text"]
"""Form of one row."""

ITEM_FORMS: tuple[ItemForm, ...] = ("messages", "instruction", "prompt", "text")
"""Every form, in the order in which they are looked for."""

TALKS = (MESSAGES, "conversations")
"""Columns of whole conversations, the one looked for first first."""

TEXT = "text"
"""Column of a text that is learnt whole."""

_SYSTEM = "system"
# A question's column with the columns its answer may have.
_PAIRS = (
    ("prompt", ("completion", "response", "output", "answer")),
    ("question", ("answer", "output", "response", "completion")),
    ("input", ("output", "completion", "response", "answer")),
)
_INSTRUCTION, _CONTEXT, _ANSWERS = "instruction", ("input", "context"), ("output", "response", "completion", "answer")


class Question(NamedTuple):
    """What a row of one question asks."""

    text: str
    """Question, or instruction."""
    input: str = ""
    """What the instruction is about; empty where nothing was given."""
    answer: str = ""
    """What is expected."""
    system: str = ""
    """System message; empty for none."""


def item_form(row: Mapping[str, Any]) -> ItemForm | None:
    """Return the form of a row, seen from its columns; None where it has none."""
    row = _present(row)
    if _talk(row) is not None:
        return "messages"
    if _INSTRUCTION in row:
        return "instruction"
    if any(column in row and _first(row, answers) for column, answers in _PAIRS):
        return "prompt"
    if TEXT in row:
        return "text"
    # A question without an answer is one all the same, and told as that.
    return "prompt" if any(column in row for column, _ in _PAIRS) else None


def is_item(value: Mapping[str, Any]) -> bool:
    """Return whether an object is one row, and not splits by name, all of which are lists of rows."""
    value = _present(value)
    talk = _talk(value)
    if talk is not None:
        turns = value[talk]
        first = turns[0] if isinstance(turns, list) and turns else None
        return isinstance(first, Mapping) and ("role" in first or "from" in first)
    return item_form(value) is not None and not all(isinstance(each, list) for each in value.values())


def item_facts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield column and fact for whatever keeps a row from being learnt."""
    row, form = _present(row), item_form(row)
    if form is None:
        known = ", ".join(f"`{column}`" for column in row) or "none"
        yield "", f"the row is of no known form: it has neither {_FORMS}; with a value it has {known}"
    elif form == "messages":
        column = str(_talk(row))
        facts = list(turn_facts(row[column])) or [
            f"turn {at} is blank" for at, turn in enumerate(sound_turns(row[column])) if not turn["content"].strip()
        ]
        yield from ((column, f"column `{column}`: {fact}") for fact in facts)
    elif form == "text":
        yield from _wanted(row, TEXT)
    else:
        asked, answers = _columns(row, form)
        yield from _wanted(row, asked)
        yield from _wanted(row, _first(row, answers) or answers[0])
        extra = [_SYSTEM, *(_CONTEXT if form == "instruction" else ())]
        yield from ((name, _not_text(row, name)) for name in extra if not isinstance(row.get(name, ""), _TEXTS))


def item_turns(row: Mapping[str, Any], *, joint: str) -> list[Turn]:
    """Return a row as a conversation whose last turn is the answer.

    Args:
        row: one without facts against it, and no plain text.
        joint: what goes between an instruction and its input.
    """
    row = _present(row)
    column = _talk(row)
    if column is not None:
        return sound_turns(row[column])
    asked = item_question(row)
    content = f"{asked.text}{joint}{asked.input}" if asked.input else asked.text
    head = [{"role": "system", "content": asked.system}] if asked.system else []
    return [*head, {"role": "user", "content": content}, {"role": "assistant", "content": asked.answer}]


def item_question(row: Mapping[str, Any]) -> Question:
    """Return what a row of one question asks; of a conversation all its turns but the answer, as text."""
    row, form = _present(row), item_form(row)
    if form == "messages":
        return Question(str(question_turns(row[str(_talk(row))])))
    if form == "text" or form is None:
        return Question(_said(row, TEXT))
    asked, answers = _columns(row, form)
    context = _said(row, _first(row, _CONTEXT)) if form == "instruction" else ""
    return Question(
        _said(row, asked),
        context if context.strip() else "",
        _said(row, _first(row, answers)),
        _said(row, _SYSTEM) if _said(row, _SYSTEM).strip() else "",
    )


def item_rest(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that its form does not read."""
    row, form = _present(row), item_form(row)
    if form in ("messages", None):
        read = {_talk(row)}
    elif form == "text":
        read = {TEXT}
    else:
        asked, answers = _columns(row, form)
        context = (_first(row, _CONTEXT),) if form == "instruction" else ()
        read = {asked, _first(row, answers), _SYSTEM, *context}
    return {column: value for column, value in row.items() if column not in read}


_FORMS = "`messages`, `instruction` and `output`, `prompt` and `completion`, nor `text`"
_TEXTS = (str, int, float)


def _present(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {column: value for column, value in row.items() if value is not None}


def _talk(row: Mapping[str, Any]) -> str | None:
    return next((column for column in TALKS if column in row), None)


def _columns(row: Mapping[str, Any], form: ItemForm) -> tuple[str, tuple[str, ...]]:
    """Return the column of a row's question, and those its answer may have."""
    if form == "instruction":
        return _INSTRUCTION, _ANSWERS
    pairs = [pair for pair in _PAIRS if pair[0] in row]
    return next((pair for pair in pairs if _first(row, pair[1])), pairs[0])


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in row), None)


def _said(row: Mapping[str, Any], column: str | None) -> str:
    value = None if column is None else row.get(column)
    return "" if value is None else str(value)


def _wanted(row: Mapping[str, Any], column: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a column that has to hold text."""
    if column not in row:
        known = ", ".join(f"`{name}`" for name in row)
        yield column, f"column `{column}` is missing; the row has {known}"
    elif not isinstance(row[column], _TEXTS):
        yield column, _not_text(row, column)
    elif not str(row[column]).strip():
        yield column, f"column `{column}` is blank"


def _not_text(row: Mapping[str, Any], column: str) -> str:
    kinds = {dict: "an object", list: "a list"}
    return f"column `{column}` holds {kinds.get(type(row[column]), type(row[column]).__name__)}, not text or a number"
