"""Structured answers: the JSON object that training teaches, that decoding may be held to, and its prompt.

    {"decision": "HIGH_RISK", "rationale": "Names a weapon.", "abstain": false}
    {"decision": null, "rationale": "Too little is said.", "abstain": true}

Keys stand in this order and are written as here, so that all answers are the same text up to the decision.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cruijff_kit.data.encoding import Row

__all__ = [
    "ANSWER_LEAD",
    "HEAD_END",
    "INPUT_TEMPLATE",
    "LABEL_KEY",
    "METADATA_KEY",
    "NO_LABEL",
    "TEXT_KEY",
    "answer_head",
    "answer_json",
    "answer_tail",
    "label_of",
    "metadata_text",
    "question_row",
    "system_prompt",
]

TEXT_KEY = "text"
"""Column of the text that is decided on."""

LABEL_KEY = "label"
"""Column of the label; null in an abstain example."""

METADATA_KEY = "metadata"
"""Column of what else is known of it, as JSON."""

INPUT_TEMPLATE = "Text: {text}\nMetadata: {metadata}"
"""How text and metadata are put where no other template is told; `{input}` is the text too."""

NO_LABEL = "null"
"""Target of an abstain example, which is none of the labels."""

ANSWER_LEAD = '{"decision": '
"""What every answer begins with."""

HEAD_END = ', "rationale": "'
"""What every answer goes on with behind its decision."""


def answer_json(decision: str | None, *, rationale: str = "") -> str:
    """Return an answer; without a decision it abstains."""
    return f"{answer_head(decision)}{json.dumps(rationale, ensure_ascii=False)[1:-1]}{answer_tail(decision)}"


def answer_head(decision: str | None) -> str:
    """Return an answer up to the first letter of its rationale."""
    return f"{ANSWER_LEAD}{json.dumps(decision, ensure_ascii=False)}{HEAD_END}"


def answer_tail(decision: str | None) -> str:
    """Return an answer from the end of its rationale on."""
    return f'", "abstain": {json.dumps(decision is None)}}}'


def metadata_text(metadata: Mapping[str, Any] | None) -> str:
    """Return metadata as a prompt holds them: JSON, the same for the same metadata in any order."""
    return json.dumps(dict(metadata or {}), ensure_ascii=False, sort_keys=True, default=str)


def question_row(text: str, metadata: Mapping[str, Any] | None = None) -> Row:
    """Return the row of a text that is to be decided on, as prepared rows lie."""
    return {TEXT_KEY: text, METADATA_KEY: metadata_text(metadata)}


def label_of(row: Row, *, output_key: str) -> str:
    """Return the label of a row: that in its column `label`, else the decision of its answer, else `null`."""
    told = row.get(LABEL_KEY)
    if isinstance(told, str | int | float):
        return str(told)
    try:
        answer = json.loads(str(row.get(output_key, ""))) if LABEL_KEY not in row else None
    except (ValueError, RecursionError):
        return NO_LABEL
    decided = answer.get("decision") if isinstance(answer, dict) else None
    return decided if isinstance(decided, str) else NO_LABEL


def system_prompt(options: Sequence[str]) -> str:
    """Return a system message that asks for such answers, where no other is told."""
    named = ", ".join(options)
    return (
        f"Decide which label fits the text: {named}. Answer with one JSON object and nothing else:\n"
        f"{answer_json(options[0] if options else 'LABEL', rationale='why, in one sentence')}\n"
        "Where the text does not allow a decision, answer:\n"
        f"{answer_json(None, rationale='what is lacking')}"
    )
