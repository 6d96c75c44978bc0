"""Rows of the example data sets: made by seed, the same on every machine, every answer known to be right.

capitalization        {"messages": [user "house", assistant "House"], "word_length": "5"}
simple_instructions   {"instruction": "Sort these words …", "input": "pear, fig", "output": "fig, pear"}
general_conversation  {"messages": [system, user, assistant, user, assistant, …]}
table_questions       a table's name and columns and a question, answered by a query; as chat and as text
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.generators.capitalization import Capitalization, generate
from cruijff_kit.data.splits import Splits, row_question

__all__ = ["EXAMPLES", "Example"]

_SEED = 42
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_THINGS = (
    *("apple", "bread", "cloud", "door", "eagle", "fig", "garden", "hill", "island", "jacket", "kettle", "lamp"),
    *("mirror", "needle", "orange", "pear", "quilt", "river", "stone", "table", "umbrella", "valley", "window"),
)
_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Player": ("Ada Holm", "Ben Tarr", "Cleo Vane", "Dirk Moss", "Edda Rook", "Finn Loup"),
        "Team": ("Harbour", "Northfield", "Old Mill", "Riverside", "Summit"),
        "City": ("Alder", "Brook", "Cairn", "Dunmore", "Elm Bay", "Fallow"),
        "Year": ("1988", "1994", "2001", "2007", "2012", "2019"),
        "Points": ("12", "18", "23", "31", "40"),
        "Position": ("back", "centre", "forward", "keeper"),
        "Colour": ("amber", "blue", "green", "white"),
        "Result": ("draw", "lost", "won"),
        "Height": ("172", "180", "188", "195"),
        "Coach": ("G. Brandt", "M. Okafor", "P. Ilves", "S. Marsh"),
    }
)


class Example(NamedTuple):
    """One example data set."""

    family: str
    """What it is an example of."""
    form: str
    """Form of its rows."""
    told: str
    """What a model learns from it, in a line."""
    make: Callable[[], Splits]
    """Makes its splits."""


class _Draw:
    """Choices that an item's name fixes, one after the other."""

    def __init__(self, name: str) -> None:
        self._name, self._at = name, count()

    def number(self, low: int, high: int) -> int:
        """Return a whole number from low to high."""
        share = uniform(f"{self._name}/{next(self._at)}", seed=_SEED, label="examples")
        return low + int(share * (high - low + 1))

    def one(self, items: Sequence[str]) -> str:
        """Return one of some items."""
        return items[self.number(0, len(items) - 1)]

    def some(self, items: Sequence[str], number: int) -> list[str]:
        """Return different ones of some items."""
        left = list(items)
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(number)]


def _capitalization() -> Splits:
    made = generate(Capitalization(), {})
    return {
        split: [
            {"messages": _talk(str(row["input"]), str(row["output"])), "word_length": row["word_length"]}
            for row in made[split]
        ]
        for split in ("train", "validation", "test")
    }


def _simple_instructions() -> Splits:
    return _divided(_instruction, "instruction", sizes=(160, 20, 20))


def _general_conversation() -> Splits:
    return _divided(_conversation, "conversation", sizes=(120, 15, 15))


def _table_questions() -> Splits:
    return {
        split: [{"messages": _talk(row["asked"], row["query"])} for row in rows] for split, rows in _tables().items()
    }


def _table_questions_text() -> Splits:
    return {
        split: [{"text": f"{row['asked']}\nA: {row['query']}"} for row in rows] for split, rows in _tables().items()
    }


def _tables() -> Splits:
    return _divided(_table, "table", sizes=(200, 25, 25))


def _divided(make: Callable[[_Draw], dict[str, Any]], label: str, *, sizes: tuple[int, int, int]) -> Splits:
    """Return as many different rows as asked for; no two splits share a question."""
    rows = islice(_different(make, label), sum(sizes))
    return {split: list(islice(rows, size)) for split, size in zip(("train", "validation", "test"), sizes, strict=True)}


def _different(make: Callable[[_Draw], dict[str, Any]], label: str) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for number in count():
        row = make(_Draw(f"{label} {number}"))
        question = row.get("asked") or row_question(row)
        if question not in seen:
            seen.add(question)
            yield row


def _talk(*texts: str, system: str = "") -> list[dict[str, str]]:
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *({"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts))]


def _instruction(draw: _Draw) -> dict[str, str]:
    words = draw.some(_THINGS, draw.number(2, 4))
    first, second = draw.number(2, 30), draw.number(2, 30)
    day, month, small = draw.number(0, 6), draw.number(0, 11), draw.number(0, 12)
    kinds = (
        ("Sort these words by the alphabet.", ", ".join(words), ", ".join(sorted(words))),
        ("Write these words in reverse order.", ", ".join(words), ", ".join(reversed(words))),
        ("How many words are in this list?", ", ".join(words), _NUMBERS[len(words)]),
        ("Write the text in capital letters.", " ".join(words), " ".join(words).upper()),
        ("Name the longest word; the first of them if several are.", ", ".join(words), max(words, key=len)),
        ("Add the two numbers.", f"{first} and {second}", str(first + second)),
        (f"Which day comes after {_DAYS[day]}?", "", _DAYS[(day + 1) % 7]),
        (f"Which month comes before {_MONTHS[month]}?", "", _MONTHS[month - 1]),
        (f"Write the number {small} as a word.", "", _NUMBERS[small]),
        (f"What is {first} plus {second}?", "", str(first + second)),
        (f"How many letters has the word {words[0]}?", "", str(len(words[0]))),
    )
    instruction, about, answer = kinds[draw.number(0, len(kinds) - 1)]
    return {"instruction": instruction, "input": about, "output": answer}


def _conversation(draw: _Draw) -> dict[str, Any]:
    first, second, third = draw.number(2, 40), draw.number(2, 40), draw.number(2, 9)
    thing, other = draw.some(_THINGS, 2)
    day, price, number = draw.number(0, 6), draw.number(2, 9), draw.number(2, 9)
    total = first + second
    kinds = (
        (
            "You help with sums and answer in one short sentence.",
            (f"Hello! What is {first} plus {second}?", f"{first} plus {second} is {total}."),
            ("And one more?", f"One more makes {total + 1}."),
            (f"What is {third} more than that?", f"That makes {total + 1 + third}."),
        ),
        (
            "You are a shopkeeper. Be polite and brief.",
            (f"Good morning. What does one {thing} cost?", f"Good morning! One {thing} costs {price} coins."),
            (f"I would like {number} of them.", f"Certainly. {number} of them cost {price * number} coins."),
            (f"Do you have one {other} too?", f"I am sorry, we are out of that. Anything but the {other}?"),
        ),
        (
            "You keep a calendar and answer with the day alone.",
            (f"Today is {_DAYS[day]}. Which day is tomorrow?", f"{_DAYS[(day + 1) % 7]}."),
            ("And the day after that?", f"{_DAYS[(day + 2) % 7]}."),
            ("Which day was yesterday?", f"{_DAYS[day - 1]}."),
        ),
        (
            "You spell words for a child, letter by letter.",
            (f"How do you spell {thing}?", "-".join(thing)),
            (f"And {other}?", "-".join(other)),
            ("Which of the two is longer?", _longer(thing, other)),
        ),
    )
    system, *exchanges = kinds[draw.number(0, len(kinds) - 1)]
    kept = exchanges[: draw.number(2, 3)]
    return {"messages": _talk(*(text for exchange in kept for text in exchange), system=str(system))}


def _longer(first: str, second: str) -> str:
    if len(first) == len(second):
        return "They are equally long."
    return f"The longer word is {max(first, second, key=len)}."


def _table(draw: _Draw) -> dict[str, str]:
    """Return a table's head with a question, and the query that answers it."""
    columns = draw.some(list(_COLUMNS), draw.number(3, 5))
    name = f"{draw.number(1, 9)}-{draw.number(1000, 9999)}-{draw.number(1, 4)}"
    wanted, known = draw.some(columns, 2)
    value = draw.one(_COLUMNS[known])
    where = f"FROM {name} WHERE {known} = '{value}'"
    low = f"{known.lower()} {value}"
    kinds = (
        (f"What is the {wanted.lower()} where the {known.lower()} is {value}?", f"SELECT {wanted} {where}"),
        (f"Which {wanted.lower()} goes with {low}?", f"SELECT {wanted} {where}"),
        (f"How many rows have the {low}?", f"SELECT COUNT({wanted}) {where}"),
        (f"What is the highest {wanted.lower()} of those with {low}?", f"SELECT MAX({wanted}) {where}"),
    )
    question, query = kinds[draw.number(0, 3 if wanted in ("Year", "Points", "Height") else 2)]
    return {"asked": f"table: {name}\ncolumns: {', '.join(columns)}\nQ: {question}", "query": query}


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        "capitalization": Example(
            "chat", "messages", "words in lower case, answered with a capital letter", _capitalization
        ),
        "general_conversation": Example(
            "chat", "messages", "short talks of several turns under a system message", _general_conversation
        ),
        "simple_instructions": Example(
            "instruction", "instruction", "small tasks on words and numbers, some with an input", _simple_instructions
        ),
        "table_questions_chat": Example(
            "table questions", "messages", "questions about a table, answered by a query", _table_questions
        ),
        "table_questions_text": Example(
            "table questions", "text", "the same as plain text, learnt whole", _table_questions_text
        ),
    }
)
"""Name of an example data set to how it is made."""
