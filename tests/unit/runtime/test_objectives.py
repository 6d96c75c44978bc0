"""Losses: what minimises each of them, by the very functions that train, in double precision."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cruijff_kit.data.loss_facts import loss_warnings
from cruijff_kit.runtime.objectives import (
    gambler_loss,
    harm_weighted_loss,
    smoothed_answer_loss,
    token_loss,
)
from cruijff_kit.schema.losses import LossControls, LossOptions

Loss = Callable[[Tensor, Tensor], Tensor]


def minimiser(loss: Loss, chances: list[float], *, outputs: int | None = None) -> Tensor:
    """Return the probabilities whose expected loss is least, the answers drawn with these chances.

    Args:
        loss: of logits or log-probabilities (answers, outputs) and the right one of each.
        chances: how often each answer is right.
        outputs: what the model can say; as many as there are answers where absent.
    """
    right, size = torch.tensor(chances, dtype=torch.float64), outputs or len(chances)
    starts = [torch.zeros(size), *(1.5 * each for each in torch.eye(size)[[0, -1]])]
    found = [_descended(loss, right, start.double()) for start in starts]
    return min(found, key=lambda each: each[0])[1]


def _descended(loss: Loss, right: Tensor, start: Tensor) -> tuple[float, Tensor]:
    """Return the expected loss at a minimum, and the probabilities there."""
    logits = start.clone().requires_grad_()
    strict: dict[str, Any] = {"tolerance_grad": 1e-12, "tolerance_change": 1e-15, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS([logits], max_iter=500, **strict)

    def expected() -> Tensor:
        optimizer.zero_grad()
        said = logits.log_softmax(-1).expand(len(right), -1)
        value = (right * loss(said, torch.arange(len(right)))).sum()
        value.backward()
        return value

    optimizer.step(expected)
    return expected().item(), logits.detach().softmax(-1)


def told(**options: float) -> LossOptions:
    return LossOptions.model_validate(options)


@pytest.mark.parametrize("chances", ([0.6, 0.4], [0.9, 0.1], [0.5, 0.3, 0.2]))
def test_cross_entropy_is_proper_its_minimiser_is_the_truth(chances: list[float]) -> None:
    assert minimiser(token_loss("ce", told()), chances).tolist() == pytest.approx(chances, abs=1e-6)


@pytest.mark.parametrize("truth,said", ((0.6, 0.5), (0.7, 0.539), (0.8, 0.7), (0.9, 0.886)))
def test_the_first_systems_abstention_loss_is_not_proper_and_says_what_its_warning_says(
    truth: float, said: float
) -> None:
    found = minimiser(token_loss("abstain_seed", told()), [truth, 1 - truth])[0].item()
    assert found == pytest.approx(said, abs=6e-4)
    (warning,) = loss_warnings(LossControls(loss="abstain_seed"))
    assert f"{said:.3f}" in warning


@pytest.mark.parametrize("gamma", (1.0, 2.0, 3.0))
@pytest.mark.parametrize("chances", ([0.7, 0.3], [0.9, 0.1], [0.6, 0.3, 0.1]))
def test_what_minimises_focal_loss_gives_the_truth_by_its_own_formula(gamma: float, chances: list[float]) -> None:
    """Charoenphakdee et al., CVPR (2021): the truth is proportional to q / ((1-q)^g - g (1-q)^(g-1) q ln q)."""
    said = minimiser(token_loss("focal", told(gamma=gamma)), chances)
    assert said.max() < max(chances) - 0.01
    parts = said / ((1 - said) ** gamma - gamma * (1 - said) ** (gamma - 1) * said * said.log())
    assert (parts / parts.sum()).tolist() == pytest.approx(chances, abs=1e-5)


def test_one_temperature_brings_focal_probabilities_back_to_the_truth() -> None:
    truths = [0.55, 0.6, 0.7, 0.8, 0.9]
    said = torch.tensor([minimiser(token_loss("focal", told(gamma=2.0)), [p, 1 - p])[0].item() for p in truths])
    odds, right = said.logit(), torch.tensor(truths)
    grid = torch.linspace(0.2, 2.0, 1801)[:, None]
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        odds / grid, right.expand(len(grid), -1), reduction="none"
    ).sum(1)
    temperature = grid[losses.argmin()].item()
    assert temperature < 0.8
    assert (torch.sigmoid(odds / temperature) - right).abs().max() < 0.02 < (said - right).abs().max()


@pytest.mark.parametrize("payoff", (1.2, 1.5, 1.9))
@pytest.mark.parametrize("best", (0.55, 0.7, 0.8, 0.95))
def test_the_gamblers_optimum_bets_as_theory_says_and_abstains_below_one_over_the_payoff(
    payoff: float, best: float
) -> None:
    """T. Cover, J. Thomas, Elements of Information Theory, section 6.2: bets of cash kept back at even odds."""
    chances, abstain = [best, 1 - best], 2
    loss: Loss = lambda said, true: gambler_loss(said, true, payoff=payoff, abstain=abstain)  # noqa: E731  # one line is what it is
    found = minimiser(loss, chances, outputs=3).tolist()
    kept = 1.0 if best <= 1 / payoff else (1 - best) / (1 - 1 / payoff)
    bet = [max(0.0, best - kept / payoff), 0.0]
    assert found == pytest.approx([*bet, kept], abs=2e-3)


def test_an_example_that_is_an_abstention_teaches_to_abstain() -> None:
    said = torch.tensor([[-1.0, -2.0, -0.7]])
    assert gambler_loss(said, torch.tensor([2]), payoff=1.5, abstain=2).item() == pytest.approx(0.7)


def test_harm_weights_tilt_the_minimiser_by_the_weights_and_critical_errors_cost_what_they_say() -> None:
    chances, weights, nothing = [0.5, 0.3, 0.2], torch.tensor([1.0, 5.0, 10.0]).double(), torch.zeros(3, 3).double()

    def weighed(costs: Tensor) -> Loss:
        return lambda said, true: harm_weighted_loss(said, true, weights=weights, costs=costs)

    tilted = weights * torch.tensor(chances)
    found = minimiser(weighed(nothing), chances)
    assert found.tolist() == pytest.approx((tilted / tilted.sum()).tolist(), abs=1e-6)
    costly = nothing.clone()
    costly[2, 0] = 100.0
    spared = minimiser(weighed(costly), chances)
    assert spared[0] < 0.5 * found[0]
    said = torch.tensor([[0.2, 0.3, 0.5]]).double().log()
    one = harm_weighted_loss(said, torch.tensor([2]), weights=weights, costs=costly)
    assert one.item() == pytest.approx(-10 * math.log(0.5) + 100 * 0.2)


def test_smoothing_over_options_gives_the_smoothed_truth() -> None:
    loss: Loss = lambda said, true: smoothed_answer_loss(said, true, smoothing=0.3)  # noqa: E731  # one line is what it is
    assert minimiser(loss, [0.9, 0.1]).tolist() == pytest.approx([0.7 * 0.9 + 0.15, 0.7 * 0.1 + 0.15], abs=1e-6)
    smoothed = token_loss("label_smoothing", told(smoothing=0.3))
    assert minimiser(smoothed, [0.9, 0.1]).tolist() == pytest.approx([0.78, 0.22], abs=1e-6)
