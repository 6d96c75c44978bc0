"""Guides: whatever tokens a model prefers, the answer is one whole JSON object within its tokens."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cruijff_kit.data.labels import decision_ids
from cruijff_kit.data.structured import answer_head, answer_json
from cruijff_kit.runtime.json_guides import JsonGuides
from tests.tokenizer_families import piece_family
from tests.tokenizer_zoo import byte_level, merging

LABELS = ("HIGH_RISK", "LOW_RISK", 'a "quoted" one')
Choice = Callable[[NDArray[np.intp], JsonGuides], int]


def merged() -> Any:
    return merging([answer_json(label, rationale="it is \\ so, and é 😀") for label in (*LABELS, None)] * 2)


def pieces() -> Any:
    return piece_family(None, bos="<s>", eos="</s>", blank_first=True)


@pytest.fixture(scope="module", params=(byte_level, merged, pieces))
def guides(request: pytest.FixtureRequest) -> JsonGuides:
    tokenizer = request.param()
    return JsonGuides(tokenizer, decision_ids(LABELS, tokenizer=tokenizer))


def written(guides: JsonGuides, choose: Choice, *, most: int, logprobs: tuple[float, ...]) -> str:
    """Return an answer all of whose tokens a choice made among those allowed."""
    guide, given = guides.guide(), list(guides.ids.lead)
    guide.begin(logprobs)
    for left in range(most, 0, -1):
        given.append(choose(guide.allowed(left), guides))
        guide.take(given[-1])
        if guide.finished:
            break
    return guides.bytes.decode_bytes(given).decode("utf-8").strip()


def _begins_letters(allowed: NDArray[np.intp], guides: JsonGuides) -> int:
    """Prefer what leaves a letter or an escape begun."""
    for token in allowed[::-1]:
        content = guides.bytes.decode_bytes([int(token)])
        if content[-1:] >= b"\xc0" or content.endswith(b"\\"):
            return int(token)
    return int(allowed[-1])


@pytest.mark.parametrize("room", (0, 1, 2, 3, 5, 8, 30))
@pytest.mark.parametrize("decided", range(len(LABELS) + 1))
def test_any_choice_of_tokens_makes_json_with_the_likeliest_decision(
    guides: JsonGuides, room: int, decided: int
) -> None:
    logprobs = tuple(-1.0 if at == decided else -5.0 for at in range(len(LABELS) + 1))
    dice = Random(room)
    choices: tuple[Choice, ...] = (
        lambda allowed, _: int(dice.choice(allowed)),
        lambda allowed, _: int(allowed[0]),
        lambda allowed, _: int(allowed[-1]),
        _begins_letters,
    )
    for choose in choices:
        text = written(guides, choose, most=guides.least + room, logprobs=logprobs)
        answer = json.loads(text)
        assert list(answer) == ["decision", "rationale", "abstain"]
        assert answer["decision"] == (*LABELS, None)[decided]
        assert answer["abstain"] == (decided == len(LABELS))


def test_an_end_that_a_token_of_the_model_begins_is_gone_on_with(guides: JsonGuides) -> None:
    quote = guides.bytes.greedy_tokenize('"')[0]

    def ends(allowed: NDArray[np.intp], _: JsonGuides) -> int:
        return quote if quote in allowed else int(allowed[0])

    text = written(guides, ends, most=200, logprobs=(-1.0, -2.0, -3.0, -4.0))
    assert text == answer_json("HIGH_RISK")


def test_a_guide_that_begins_again_forgets_what_was_given(guides: JsonGuides) -> None:
    guide = guides.guide()
    for decided in (0, 1):
        guide.begin(tuple(-float(at != decided) for at in range(len(LABELS) + 1)))
        given = list(guides.ids.lead)
        for left in range(guides.least, guides.least - len(guides.ids.head(decided)), -1):
            (token,) = guide.allowed(left)
            given.append(int(token))
            guide.take(int(token))
        assert guides.bytes.decode_bytes(given).decode().strip() == answer_head(LABELS[decided])
