"""Lines of questions: each becomes one, or the reason why it is none; no line is lost and none stops the others.

    {"text": "…", "metadata": {"source": "mail"}, "example_id": "7"}

`metadata` may be left out, and be JSON as text as in prepared rows; `id` names a question as well as `example_id`.
"""

import json
from collections.abc import Iterator
from typing import IO, Any

from cruijff_kit.data.plain_values import kind_of
from cruijff_kit.data.structured import METADATA_KEY, TEXT_KEY, metadata_text
from cruijff_kit.schema.answer import Question

__all__ = ["question_lines", "question_of", "read_question"]

_IDS = ("example_id", "id")
_LONGEST = 16 * 2**20
_SHOWN = 120


def question_lines(file: IO[bytes]) -> Iterator[Question]:
    """Yield a question for every line of a file that is read as it comes; a line of any length takes little memory."""
    number = 0
    while line := file.readline(_LONGEST + 1):
        number += 1
        if len(line) <= _LONGEST:
            yield read_question(line, number)
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_LONGEST)
        yield Question(line=number, problem=f"the line is longer than {_LONGEST:,} bytes")


def read_question(line: bytes, number: int) -> Question:
    """Return what a line asks, or why it asks nothing; never raises."""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        value = json.loads(text) if text.strip() else None
    except UnicodeDecodeError:
        return Question(line=number, problem="the line is not UTF-8")
    except RecursionError:
        return Question(line=number, problem="the line is nested too deeply")
    except ValueError as err:
        return Question(line=number, problem=f"the line is not valid JSON: {str(err)[:_SHOWN]}")
    if not text.strip():
        return Question(line=number, problem="the line is blank")
    if not isinstance(value, dict):
        return Question(line=number, problem=f"the line is {kind_of(value)}, not an object")
    found = next((value[key] for key in _IDS if isinstance(value.get(key), str | int)), None)
    if TEXT_KEY not in value:
        asked = Question(problem="the line lacks `text`")
    else:
        asked = question_of(value[TEXT_KEY], value.get(METADATA_KEY))
    return asked.model_copy(update={"line": number, "id": _writable(str(found)) if found is not None else None})


def question_of(text: Any, metadata: Any = None) -> Question:
    """Return the question that a text and its metadata are, or why they are none; never raises."""
    if not isinstance(text, str):
        return Question(problem=f"`text` is {kind_of(text)}, not text")
    if not text.strip():
        return Question(problem="`text` is empty")
    try:
        known = json.loads(metadata) if isinstance(metadata, str) and metadata.strip() else metadata or {}
        if not isinstance(known, dict):
            return Question(problem=f"`metadata` is {kind_of(known)}, not an object")
        f"{text}{metadata_text(known)}".encode()
    except RecursionError:
        return Question(problem="`metadata` is nested too deeply")
    except UnicodeEncodeError:
        return Question(problem="the text holds half a character, which no model reads")
    except ValueError as err:
        return Question(problem=f"`metadata` is not valid JSON: {str(err)[:_SHOWN]}")
    return Question(text=text, metadata=known)


def _writable(text: str) -> str:
    """Return a text that can be written down; halves of characters become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
