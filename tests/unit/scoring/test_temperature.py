"""Temperature: the likeliest one, and none where the data has no opinion."""

import numpy as np
import pytest

from cruijff_kit.errors import ResultError
from cruijff_kit.scoring.temperature import fit_temperature, option_probabilities
from tests.drawn import drawn_answers


@pytest.mark.parametrize("temperature", (0.5, 1.0, 2.0))
def test_the_temperature_that_was_hidden_is_found(temperature: float) -> None:
    logits, labels = drawn_answers(20_000, seed=5)
    found = fit_temperature(logprobs=logits * temperature, labels=labels)
    assert found.value == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_makes_the_answers_likelier() -> None:
    logits, labels = drawn_answers(300, seed=6)
    logits *= 1.7

    def likelihood(temperature: float) -> float:
        rows = option_probabilities(logits, temperature=temperature)
        return float(np.log(rows[np.arange(300), labels]).sum())

    best = fit_temperature(logprobs=logits, labels=labels).value or 0.0
    assert likelihood(best) > max(likelihood(best * 1.001), likelihood(best / 1.001))


def test_hugely_negative_log_probabilities_are_probability_zero() -> None:
    assert option_probabilities([[-5_000.0, -1.0]]).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    "logprobs,labels,said",
    (
        ([[0.0, -2.0], [-3.0, -1.0]], [0, 1], "the colder the better"),
        ([[0.0, -2.0], [-3.0, -1.0]], [1, 0], "no temperature helps"),
        (np.empty((0, 2)), [], "there are no samples"),
    ),
)
def test_a_temperature_without_a_best_value_has_a_reason(logprobs: np.ndarray, labels: list[int], said: str) -> None:
    found = fit_temperature(logprobs=logprobs, labels=labels)
    assert found.value is None
    assert said in found.reason


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ResultError, match="do not belong together"):
        fit_temperature(logprobs=[[0.0, -1.0]], labels=[0, 1])
