"""A model asked for structured answers: all of them JSON, labels scored token by token where the decision stands."""

import json
import sys
from collections.abc import Sequence
from itertools import count
from math import exp, fsum
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cruijff_kit.data.labels import decision_ids
from cruijff_kit.data.structured import question_row
from cruijff_kit.data.tokens import encode_prompt
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.runtime.classifying import Asker, load_asker
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.answer import AnswerForm, Question, RawAnswer, Thresholds
from cruijff_kit.schema.prediction import Completion, PromptIds
from cruijff_kit.scoring.json_decision import read_decision
from cruijff_kit.scoring.settling import settle
from tests.random_model import random_adapter, random_base
from tests.served import served_model

LABELS = ("HIGH_RISK", "LOW_RISK", "HIGH")
QUESTIONS = tuple(Question(text=f"text {number} é", metadata={"n": number}) for number in range(24))
SYSTEM = "Decide."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    torch.set_num_threads(1)
    base = random_base(tmp_path_factory.mktemp("classifying") / "base")
    return base, random_adapter(tmp_path_factory.mktemp("classifying") / "adapter", base)


def asker(folders: tuple[str, str], *, bare: bool = True, **form: Any) -> Asker:
    base, adapter = folders
    served = served_model(base, adapter=None if bare else adapter, system_prompt=SYSTEM)
    told = AnswerForm.model_validate({"options": LABELS, "max_tokens": 100, "batch_size": 8, **form})
    ticks = count()
    return load_asker(served, told, clock=lambda: next(ticks))


def settled(raw: RawAnswer) -> Any:
    return settle(Question(text="x"), raw, options=LABELS, thresholds=Thresholds(default_threshold=0), model_id="tiny")


@pytest.fixture(scope="module")
def held(folders: tuple[str, str]) -> list[RawAnswer]:
    return asker(folders).ask(QUESTIONS)


def test_held_to_its_form_a_model_of_random_weights_says_json_each_time(held: list[RawAnswer]) -> None:
    assert len({raw.text for raw in held}) > 5
    for raw in held:
        assert list(json.loads(raw.text)) == ["decision", "rationale", "abstain"]
        found, answer = read_decision(raw.text), settled(raw)
        assert found.valid
        likeliest = max((*raw.logprobs, raw.abstain_logprob or 0.0))
        assert found.abstain == (likeliest == raw.abstain_logprob)
        if not found.abstain:
            assert (answer.decision, answer.probs[answer.decision]) == (found.decision, answer.max_prob)
        assert raw.latency_ms > 0


def test_left_to_itself_the_same_model_abstains_with_reasons_and_its_labels_are_scored_the_same(
    folders: tuple[str, str], held: list[RawAnswer]
) -> None:
    free = asker(folders, constrained=False).ask(QUESTIONS)
    for raw, other in zip(free, held, strict=True):
        answer = settled(raw)
        assert (answer.abstain, answer.decision) == (True, None)
        assert answer.reason
        assert raw.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_a_label_is_as_likely_as_its_tokens_together_behind_prompt_and_lead(folders: tuple[str, str]) -> None:
    asked = asker(folders, bare=False)
    (raw,) = asked.ask(QUESTIONS[:1])
    model = asked._model
    ids = decision_ids(LABELS, tokenizer=model.tokenizer)
    prompt = encode_prompt(
        question_row(QUESTIONS[0].text, QUESTIONS[0].metadata), encoding=asked._encoding, tokenizer=model.tokenizer
    )
    for at, expected in enumerate((*raw.logprobs, raw.abstain_logprob)):
        text = (*prompt, *ids.lead, *ids.decisions[at])
        steps = model.read(text, count=1, adapter=folders[1])[-len(ids.decisions[at]) :]
        assert fsum(step.logprob for step in steps) == pytest.approx(expected, abs=1e-3)
    assert 0 < fsum(exp(each) for each in raw.logprobs) <= 1


def test_neighbours_in_a_batch_change_no_answer(folders: tuple[str, str], held: list[RawAnswer]) -> None:
    alone = asker(folders, batch_size=1).ask(QUESTIONS[:6])
    assert [raw.text for raw in alone] == [raw.text for raw in held[:6]]


def test_what_cannot_be_asked_has_its_reason_and_stops_no_other(
    folders: tuple[str, str], held: list[RawAnswer]
) -> None:
    long, huge = Question(text="x" * 5000), Question(text="y" * 10_000_000)
    blank = Question(problem="the line is blank")
    asked = (QUESTIONS[0], long, huge, blank, QUESTIONS[1])
    first, *refused, last = asker(folders).ask(asked)
    assert (first.text, last.text) == (held[0].text, held[1].text)
    told = [raw.problem for raw in refused]
    assert "exceed the model's 256 positions" in told[0]
    assert told[1:] == ["the text has 10,000,000 letters, and the model reads 256 tokens", "the line is blank"]


class Cramped(ResidentModel):
    """A model whose memory does not do for more than some tokens of one prompt."""

    most = 90

    def complete(self, prompts: Sequence[PromptIds], *told: Any, **named: Any) -> list[Completion]:
        if max(map(len, prompts)) > self.most:
            raise PlanError("a prompt alone exceeds the memory", hint="shorten it")
        return super().complete(prompts, *told, **named)


def test_what_memory_does_not_do_for_stops_no_other_of_its_batch(
    folders: tuple[str, str], held: list[RawAnswer]
) -> None:
    asked = asker(folders)
    asked._model = Cramped(folders[0])
    first, long, last = asked.ask([QUESTIONS[0], Question(text="x" * 70), QUESTIONS[1]])
    assert (first.text, last.text) == (held[0].text, held[1].text)
    assert long.problem == "a prompt alone exceeds the memory"


def test_no_text_is_too_odd_to_be_put_or_told_why_not(folders: tuple[str, str]) -> None:
    asked = asker(folders)

    @given(st.text(max_size=300), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
    def put(text: str, metadata: dict[str, str]) -> None:
        prompt = asked._prompt(Question(text=text, metadata=metadata))
        assert prompt
        assert isinstance(prompt, str) or len(prompt) < 256

    put()


def test_without_the_library_answers_are_free_and_it_is_said(
    folders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance.hf", None)
    asked = asker(folders)
    assert not asked.constrained
    assert "needs `llguidance" in asked.notes[0]
    assert all(raw.logprobs for raw in asked.ask(QUESTIONS[:2]))


def test_without_labels_there_are_no_probabilities_and_it_is_said(folders: tuple[str, str]) -> None:
    asked = asker(folders, options=())
    (raw,) = asked.ask(QUESTIONS[:1])
    assert (raw.logprobs, raw.abstain_logprob) == ((), None)
    assert "no labels are named" in asked.notes[0]


def test_answers_too_short_and_templates_of_other_columns_are_refused(folders: tuple[str, str]) -> None:
    with pytest.raises(PlanError, match=r"answers have 20 tokens at most, and a structured one takes up to \d+"):
        asker(folders, max_tokens=20)
    with pytest.raises(SpecError, match=r"asks for `\{passage\}`"):
        asker(folders, prompt="{text} {passage}")
    with pytest.raises(PlanError, match="cannot be told apart"):
        asker(folders, options=("a", "a"))


def test_the_base_of_an_adapter_is_found_to_fit_before_anything_is_asked(folders: tuple[str, str]) -> None:
    bare, tuned = asker(folders).ask(QUESTIONS[:4]), asker(folders, bare=False).ask(QUESTIONS[:4])
    assert [raw.logprobs for raw in bare] != [raw.logprobs for raw in tuned]
