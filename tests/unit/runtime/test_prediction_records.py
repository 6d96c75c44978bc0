"""Records from recorded outputs: options of our provider, of a first token, and none at all."""

from math import exp, inf, log
from typing import Any

import pytest
from inspect_ai.model import Logprob, Logprobs, ModelOutput, TopLogprob

from cruijff_kit.runtime.prediction_records import UNPLANNED, option_scores, raw_record
from cruijff_kit.schema.scoring_rules import ScoringRules

RULES = ScoringRules(options=("no", "yes"))


def output(metadata: dict[str, Any] | None = None, likeliest: dict[str, float] | None = None) -> ModelOutput:
    found = ModelOutput.from_content("m", "yes")
    found.metadata = metadata
    if likeliest:
        top = [TopLogprob(token=token, logprob=log(share)) for token, share in likeliest.items()]
        found.choices[0].logprobs = Logprobs(content=[Logprob(token="yes", logprob=-0.5, top_logprobs=top)])
    return found


def test_the_provider_s_options_are_taken_in_the_design_s_order() -> None:
    said = {"options": ["yes", "no"], "option_logprobs": [log(0.6), log(0.2)], "option_mass": 0.8}
    found = option_scores(output(said), RULES)
    assert found.logprobs == pytest.approx((log(0.2), log(0.6)))
    assert found.mass == pytest.approx(0.8)


def test_spellings_with_and_without_a_space_are_added_up() -> None:
    found = option_scores(output(None, {"yes": 0.3, " yes": 0.2, "\u0120no": 0.1, "\u2581no": 0.05}), RULES)
    assert [exp(each) for each in found.logprobs] == pytest.approx([0.15, 0.5])
    assert found.mass == pytest.approx(0.65)


def test_a_missing_option_is_said_and_none_is_made_up() -> None:
    found = option_scores(output(None, {"yes": 0.9, "Yes": 0.05}), RULES)
    assert (found.logprobs, found.mass) == ((), None)
    assert found.reason == "`no` not among the first token's 2 likeliest: `yes`, `Yes`"


@pytest.mark.parametrize("given", (None, {}, {"options": ["yes"], "option_logprobs": [-1.0]}))
def test_no_options_at_all_have_a_reason(given: dict[str, Any] | None) -> None:
    found = option_scores(output(given), RULES)
    assert found.logprobs == ()
    assert found.reason


def test_an_impossible_option_is_unscored() -> None:
    found = option_scores(output({"options": ["no", "yes"], "option_logprobs": [-inf, -0.1]}), RULES)
    assert (found.logprobs, found.reason) == ((), "no log-probability of `no`")


def test_a_record_holds_what_the_output_says() -> None:
    said = {"options": ["no", "yes"], "option_logprobs": [-2.0, -1.0], "prompt_token_sha256": "ab" * 32}
    whose = UNPLANNED.model_copy(update={"groups": ("site",)})
    found = raw_record(whose, output(said, {"yes": 0.6}), sample_id="1", target="no", metadata={"site": 3}, rules=RULES)
    assert (found.options, found.option_logprobs, found.groups) == (("no", "yes"), (-2.0, -1.0), {"site": "3"})
    assert (found.prompt_token_sha256, found.completion) == ("ab" * 32, "yes")
    assert found.confidence == pytest.approx(exp(-0.5))
