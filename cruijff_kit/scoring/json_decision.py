"""A decision asked for as JSON: what was decided and why, or why there is none."""

import json
from typing import Any, NamedTuple

__all__ = ["JsonDecision", "read_decision"]

_KEYS = ("decision", "rationale", "abstain")


class JsonDecision(NamedTuple):
    """What an answer decides; whatever is not as asked is an abstention with its reason."""

    decision: str | None
    """The decision; None where the model abstained or gave none that can be read."""
    rationale: str | None
    """Why, in the model's words."""
    abstain: bool
    """Whether nothing was decided."""
    valid: bool
    """Whether the answer was as asked."""
    reason: str = ""
    """Why nothing was decided."""


def read_decision(completion: str) -> JsonDecision:
    """Read `{"decision": text, "rationale": text, "abstain": true or false}` out of an answer.

    What stands before the first `{` and after the last `}` is passed over. With
    `abstain` true the decision may be null. Never raises.
    """
    first, last = completion.find("{"), completion.rfind("}")
    if not 0 <= first < last:
        return _invalid("the answer holds no JSON object")
    try:
        found = json.loads(completion[first : last + 1], object_pairs_hook=_once)
    except RecursionError:
        return _invalid("the JSON is nested too deeply")
    except ValueError as err:
        return _invalid(f"the JSON cannot be read: {str(err)[:120]}")
    return _checked(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError("a key is there twice")
    return named


def _checked(found: dict[str, Any]) -> JsonDecision:
    missing = [key for key in _KEYS if key not in found]
    if missing:
        return _invalid(f"the JSON lacks {', '.join(f'`{key}`' for key in missing)}")
    abstain, rationale, decision = found["abstain"], found["rationale"], found["decision"]
    if not isinstance(abstain, bool):
        return _invalid("`abstain` is neither `true` nor `false`")
    if not isinstance(rationale, str) or not _writable(rationale):
        return _invalid("`rationale` is no text")
    if abstain:
        return JsonDecision(None, rationale, abstain=True, valid=True, reason="the model abstained")
    if not isinstance(decision, str) or not decision.strip() or not _writable(decision):
        return _invalid("`decision` is no text", rationale)
    return JsonDecision(decision.strip(), rationale, abstain=False, valid=True)


def _invalid(reason: str, rationale: str | None = None) -> JsonDecision:
    return JsonDecision(None, rationale, abstain=True, valid=False, reason=reason)


def _writable(text: str) -> bool:
    """Return whether a text can be written down: JSON can escape half a character."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
