"""Turns: a conversation as rows spell it, read into roles and contents."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

__all__ = ["MESSAGES", "Turn", "question_turns", "read_turns", "sound_turns", "turn_facts"]

Turn = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""

MESSAGES = "messages"
"""Column of the conversation in rows of type `chat`."""

_ROLES = MappingProxyType(
    {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
)
# What would change the meaning of a turn, and that nothing here heeds.
_UNHEEDED = ("tool_calls", "tool_call_id", "function_call", "weight", "train")


def read_turns(value: Any) -> list[Turn]:
    """Return the turns of a conversation: `role` and `content`, or ShareGPT's `from` and `value`.

    Raises:
        ValueError: it is none; the message is the first fact.
    """
    fact = next(turn_facts(value), None)
    if fact is not None:
        raise ValueError(fact)
    return sound_turns(value)


def sound_turns(value: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Return the turns of a conversation that has no facts against it."""
    return [_turn(each) for each in value]


def question_turns(value: Any) -> Sequence[Any]:
    """Return a conversation's turns before its last answer, as they are spelled; all where there is none."""
    turns = value if isinstance(value, list) else [value]
    last = max((at for at, turn in enumerate(turns) if _role(turn) == "assistant"), default=len(turns))
    return turns[:last]


def turn_facts(value: Any) -> Iterator[str]:
    """Yield what keeps a value from being a conversation that ends with an answer."""
    if not isinstance(value, list) or not value:
        yield f"it holds {'no turns' if value == [] else 'no list of turns'}"
        return
    malformed = [fact for at, turn in enumerate(value) for fact in _malformed(turn, at)]
    yield from malformed or _disordered([_turn(turn) for turn in value])


def _malformed(turn: Any, at: int) -> Iterator[str]:
    role = _role(turn)
    if not isinstance(turn, Mapping) or role is None:
        named = isinstance(turn, Mapping) and isinstance(turn.get("role", turn.get("from")), str)
        fact = "a role other than" if named else "no `role` (or `from`) of"
        yield f"turn {at} has {fact} `system`, `user` or `assistant`"
    elif not isinstance(_content(turn), str):
        yield f"turn {at} has no text in `content` (or `value`)"
    elif heedless := [name for name in _UNHEEDED if turn.get(name) is not None]:
        yield f"turn {at} has `{heedless[0]}`, which would not be heeded"


def _disordered(turns: Sequence[Turn]) -> Iterator[str]:
    roles = [turn["role"] for turn in turns]
    if "system" in roles[1:]:
        yield f"turn {roles.index('system', 1)} is the system's; only the first may be"
    if roles[-1] != "assistant":
        yield f"the last turn is the {roles[-1]}'s, so it is no answer"
    for at, role in enumerate(roles):
        if role == "assistant" and (at == 0 or roles[at - 1] != "user"):
            yield f"turn {at} is the assistant's and follows no question of the user's"
        if role == "assistant" and not turns[at]["content"].strip():
            yield f"turn {at} is an empty answer, so there is nothing to learn"


def _turn(turn: Mapping[str, Any]) -> Turn:
    return {"role": str(_role(turn)), "content": str(_content(turn))}


def _role(turn: Any) -> str | None:
    if not isinstance(turn, Mapping):
        return None
    return _ROLES.get(str(turn.get("role", turn.get("from"))))


def _content(turn: Mapping[str, Any]) -> Any:
    return turn.get("content", turn.get("value"))
