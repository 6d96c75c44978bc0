"""What is decided: a label that is likely enough, else an abstention with its reason, whatever a model said."""

from math import log

import pytest

from cruijff_kit.data.structured import answer_json
from cruijff_kit.schema.answer import Answer, Question, RawAnswer, Thresholds
from cruijff_kit.scoring.settling import goes_on, settle
from tests.malformed import malformed_answers

LABELS = ("HIGH_RISK", "LOW_RISK")
ASKED = Question(text="x", id="7", line=3)


def settled(text: str, chance: float = 0.9, **thresholds: float) -> Answer:
    raw = RawAnswer(text=text, logprobs=(log(chance / 2), log((1 - chance) / 2)), abstain_logprob=log(0.25))
    return settle(ASKED, raw, options=LABELS, thresholds=Thresholds(**thresholds), model_id="m")


def test_a_thousand_malformed_answers_are_abstentions_each_with_its_reason() -> None:
    reasons = set()
    for text in malformed_answers(1000, seed=1, labels=LABELS):
        answer = settled(text)
        assert (answer.abstain, answer.decision) == (True, None)
        assert answer.reason
        assert (answer.raw_output, answer.probs["HIGH_RISK"]) == (text, pytest.approx(0.9))
        reasons.add(answer.reason.split("`")[0])
    assert len(reasons) > 8


def test_a_decision_stands_from_the_threshold_on_with_its_probabilities() -> None:
    answer = settled(answer_json("HIGH_RISK", rationale="so"), 0.8)
    assert (answer.decision, answer.rationale, answer.abstain, answer.reason) == ("HIGH_RISK", "so", False, "")
    assert (answer.id, answer.line, answer.model_id, answer.cost_cents) == ("7", 3, "m", None)
    assert (answer.max_prob, answer.mass) == (pytest.approx(0.8), pytest.approx(0.5))
    assert answer.abstain_prob == pytest.approx(0.25)
    below = settled(answer_json("HIGH_RISK"), 0.6)
    assert below.reason == "`HIGH_RISK` has probability 0.600, below the threshold 0.7"
    assert settled(answer_json("HIGH_RISK"), 0.6, default_threshold=0).decision == "HIGH_RISK"


def test_it_is_the_probability_of_the_decision_that_counts_not_the_greatest() -> None:
    answer = settled(answer_json("LOW_RISK"), 0.9)
    assert (answer.decision, answer.max_prob) == (None, pytest.approx(0.9))
    assert "`LOW_RISK` has probability 0.100" in answer.reason


def test_a_model_leaves_to_the_next_what_it_is_not_sure_of_or_abstains_on() -> None:
    limits = Thresholds()
    assert goes_on(settled(answer_json(None)), thresholds=limits)
    assert goes_on(settled(answer_json("HIGH_RISK"), 0.8), thresholds=limits)
    assert not goes_on(settled(answer_json("HIGH_RISK"), 0.9), thresholds=limits)


def test_a_cascade_may_not_decide_what_the_last_model_may_not() -> None:
    with pytest.raises(ValueError, match="below `default_threshold`"):
        Thresholds(default_threshold=0.9, cascade_threshold=0.8)
