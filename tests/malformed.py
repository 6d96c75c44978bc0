"""Answers and inputs as they should not be, by the thousand: the same for the same seed."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from cruijff_kit.data.structured import answer_json

__all__ = ["malformed_answers", "malformed_lines"]

_JUNK = '{}[]":,\\ \n\t\x00\x07é\u2028😀\ud800truefalsenull0123456789eE+-.'


def malformed_answers(count: int, *, seed: int, labels: tuple[str, ...]) -> Iterator[str]:
    """Yield answers none of which decides for a label in the form asked for."""
    dice = Random(seed)
    for _ in range(count):
        label = dice.choice(labels)
        yield dice.choice(_ANSWERS)(dice, label)


def malformed_lines(count: int, *, seed: int) -> Iterator[bytes]:
    """Yield lines of input, without line ends in them, none of which holds a text that can be asked."""
    dice = Random(seed)
    for _ in range(count):
        yield dice.choice(_LINES)(dice).replace(b"\n", b"").replace(b"\r", b"")


def _junk(dice: Random, most: int = 60) -> str:
    return "".join(dice.choice(_JUNK) for _ in range(dice.randrange(most)))


def _cut(dice: Random, label: str) -> str:
    whole = answer_json(label, rationale="because")
    return whole[: dice.randrange(len(whole))]


def _changed(dice: Random, label: str) -> str:
    """Return the object with one key lacking or of another type; a decision that is no label."""
    value: dict[str, Any] = {"decision": label, "rationale": "because", "abstain": False}
    key = dice.choice(list(value))
    if dice.random() < 0.3:
        del value[key]
    else:
        value[key] = dice.choice([7, [label], {"a": label}, 1.5, f"{label} or another", None, ""])
        if key == "rationale" and isinstance(value[key], str):
            value[key] = None
        if key == "abstain" and value[key] is None:
            value[key] = "no"
    return json.dumps(value)


_ANSWERS: tuple[Callable[[Random, str], str], ...] = (
    lambda dice, label: _junk(dice),
    _cut,
    _changed,
    lambda dice, label: label,
    lambda dice, label: answer_json(None, rationale=_junk(dice, 10).replace("\ud800", "")),
    lambda dice, label: answer_json(label, rationale="x").replace('"abstain": false', '"abstain": False'),
    lambda dice, label: answer_json(label, rationale="x")[:-1] + f', "decision": "{label}"}}',
    lambda dice, label: answer_json(label, rationale="x") + answer_json(label, rationale="y"),
    lambda dice, label: "[" * dice.randrange(1, 3000) + "{" * 3000 + "}",
    lambda dice, label: '{"decision": "' + "9" * dice.randrange(5000) + '", "rationale": "", "abstain": false}',
    lambda dice, label: '{"decision": ' + "9" * 5000 + ', "rationale": "", "abstain": false}',
    lambda dice, label: '{"decision": "\\ud800", "rationale": "", "abstain": false}',
)

_LINES: tuple[Callable[[Random], bytes], ...] = (
    lambda dice: b"{" + _junk(dice).encode("utf-8", "replace"),
    lambda dice: bytes(dice.randrange(256) for _ in range(dice.randrange(80))) + b"\xff",
    lambda dice: b" " * dice.randrange(9),
    lambda dice: json.dumps(dice.choice([None, True, 7, 1e300, "text", ["a"], []])).encode(),
    lambda dice: json.dumps({"text": dice.choice([None, 7, [], {}, True, "", " \t"])}).encode(),
    lambda dice: json.dumps({"words": "no text", "id": dice.randrange(9)}).encode(),
    lambda dice: json.dumps({"text": "a", "metadata": dice.choice(["[1", "7", [1], 7, "[]"])}).encode(),
    lambda dice: b'{"text": "\\ud83d"}',
    lambda dice: b'{"text": "' + b"x" * 60_000 + b'"}',
    lambda dice: b"[" * dice.randrange(2000, 200_000),
    lambda dice: b'{"text": "a", "metadata": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
    lambda dice: b'{"text": ' + b"9" * 6000 + b"}",
)
