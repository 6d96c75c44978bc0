import math
from collections import Counter

import pytest
import torch

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.next_token import next_tokens, uniforms

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, 1.5]])
DRAWS = [(at + 0.5) / 4000 for at in range(4000)]


def drawn(*, temperature: float = 1.0, top_p: float = 1.0) -> dict[int, float]:
    steps = next_tokens(LOGITS.expand(4000, -1), 2, draws=DRAWS, temperature=temperature, top_p=top_p)
    return {token: count / 4000 for token, count in Counter(step.token for step in steps).items()}


@pytest.mark.parametrize("temperature", (0.5, 1.0, 2.0))
def test_tokens_are_drawn_as_often_as_the_tempered_model_says(temperature: float) -> None:
    wanted = (LOGITS[0].double() / temperature).softmax(-1).tolist()
    found = drawn(temperature=temperature)
    assert [found.get(token, 0) for token in range(5)] == pytest.approx(wanted, abs=1e-3)


def test_a_nucleus_holds_the_first_tokens_that_reach_its_mass_and_no_other() -> None:
    chances = LOGITS[0].softmax(-1).tolist()
    found = drawn(top_p=chances[0] + 0.01)
    kept = chances[0] + chances[4]
    assert found == pytest.approx({0: chances[0] / kept, 4: chances[4] / kept}, abs=1e-3)


def test_the_smallest_nucleus_is_the_most_likely_token() -> None:
    assert drawn(top_p=1e-6) == {0: 1.0}


def test_probabilities_told_are_those_of_the_untempered_model() -> None:
    wanted = LOGITS[0].log_softmax(-1).tolist()
    for step in next_tokens(LOGITS.expand(9, -1), 3, draws=[at / 9 for at in range(9)], temperature=3.0):
        assert step.logprob == pytest.approx(wanted[step.token], abs=1e-6)
        assert step.ids == [0, 4, 1]
        assert step.logprobs == pytest.approx([wanted[0], wanted[4], wanted[1]], abs=1e-6)


def test_without_draws_the_most_likely_token_is_given_and_heads_the_candidates() -> None:
    (step,) = next_tokens(LOGITS, 2)
    assert (step.token, step.ids) == (0, [0, 4])
    assert step.logprob == step.logprobs[0] == pytest.approx(float(LOGITS[0].log_softmax(-1)[0]))


@pytest.mark.parametrize("bad", (math.nan, math.inf))
@pytest.mark.parametrize("draws", (None, [0.5]))
def test_logits_that_are_not_numbers_are_an_error(bad: float, draws: list[float] | None) -> None:
    with pytest.raises(ResultError, match="not numbers"):
        next_tokens(torch.tensor([[1.0, bad, 0.0]]), 1, draws=draws)


def test_draws_depend_on_prompt_and_seed_alone() -> None:
    first = uniforms((1, 2, 3), 5, seed=7)
    assert uniforms((1, 2, 3), 9, seed=7)[:5] == first
    assert len({tuple(first), tuple(uniforms((1, 2, 3), 5, seed=8)), tuple(uniforms((1, 2, 4), 5, seed=7))}) == 3
    assert all(0 <= each < 1 for each in first)


def test_draws_are_spread_evenly_over_prompts() -> None:
    found = sorted(uniforms((at,), 1, seed=0)[0] for at in range(2000))
    assert max(abs(each - at / 2000) for at, each in enumerate(found)) < 0.05
