"""The loss without kept logits is cross-entropy, and so is its gradient."""

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from cruijff_kit.runtime import losses
from cruijff_kit.runtime.losses import linear_cross_entropy


@pytest.mark.parametrize("at_once", (1, 700, 2**25))
def test_loss_and_gradient_are_those_of_cross_entropy(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "LOGITS_AT_ONCE", at_once)
    torch.manual_seed(0)
    hidden = torch.randn(23, 16, requires_grad=True)
    weight, labels = torch.randn(100, 16), torch.randint(100, (23,))
    plain = cross_entropy(linear(hidden, weight), labels, reduction="sum")
    expected = torch.autograd.grad(plain * 0.5, hidden)[0]
    loss = linear_cross_entropy(hidden, labels, weight=weight)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss * 0.5, hidden)[0], expected, atol=1e-5, rtol=1e-5)


def test_no_supervised_token_is_no_loss() -> None:
    hidden = torch.empty(0, 16, requires_grad=True)
    loss = linear_cross_entropy(hidden, torch.empty(0, dtype=torch.long), weight=torch.randn(100, 16))
    loss.backward()
    assert loss.item() == 0
