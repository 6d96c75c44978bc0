"""Layers that keep less are equal to the plain ones, in value and in gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear, silu
from torch.nn.functional import rms_norm as plain_norm

from cruijff_kit.runtime.lean_layers import gated, lora_linear, rms_norm, rotated

SHAPE = (2, 5, 12)


def numbers(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).requires_grad_()


def assert_same(lean: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    found, expected = lean(*inputs), plain(*inputs)
    torch.testing.assert_close(found, expected)
    outer = torch.randn_like(expected)
    gradients = [torch.autograd.grad(out, inputs, outer) for out in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_a_lora_layer_is_the_base_and_its_scaled_update() -> None:
    weight = numbers(7, 12, seed=0).detach()
    assert_same(
        lambda x, down, up: lora_linear(x, weight, down=down, up=up, scale=1.5),
        lambda x, down, up: linear(x, weight) + 1.5 * linear(linear(x, down), up),
        numbers(*SHAPE, seed=1),
        numbers(3, 12, seed=2),
        numbers(7, 3, seed=3),
    )


def test_the_first_block_asks_for_no_gradient_of_its_input() -> None:
    down, up = numbers(3, 12, seed=2), numbers(7, 3, seed=3)
    out = lora_linear(numbers(*SHAPE, seed=1).detach(), numbers(7, 12, seed=0).detach(), down=down, up=up, scale=1.0)
    out.sum().backward()
    assert down.grad is not None
    assert up.grad is not None


def test_a_gate_is_silu_times_value() -> None:
    assert_same(gated, lambda gate, value: silu(gate) * value, numbers(*SHAPE, seed=1), numbers(*SHAPE, seed=2))


@pytest.mark.parametrize("size", (1.0, 1e3, 1e-3))
def test_a_norm_is_that_of_torch(size: float) -> None:
    weight = numbers(12, seed=4).detach()
    inputs = (numbers(*SHAPE, seed=1).detach() * size).requires_grad_()
    assert_same(lambda x: rms_norm(x, weight, eps=1e-5), lambda x: plain_norm(x, (12,), weight, 1e-5), inputs)


def test_a_rotation_turns_neighbours_by_the_angle_of_their_position() -> None:
    angles = torch.rand(1, 5, 1, 6)
    turns = torch.polar(torch.ones_like(angles), angles)

    def plain(heads: Tensor) -> Tensor:
        even, odd = heads[..., ::2], heads[..., 1::2]
        pairs = (even * angles.cos() - odd * angles.sin(), odd * angles.cos() + even * angles.sin())
        return torch.stack(pairs, -1).flatten(-2)

    assert_same(lambda heads: rotated(heads, turns), plain, numbers(2, 5, 3, 12, seed=1))


def test_half_precision_keeps_its_type_and_is_no_further_off_than_the_plain_form() -> None:
    inputs, weight = (numbers(*shape, seed=1).detach() for shape in (SHAPE, (7, 12)))
    down, up, scale = numbers(3, 12, seed=2).detach(), numbers(7, 3, seed=3).detach(), 1.5
    exact = linear(inputs, weight) + scale * linear(linear(inputs, down), up)
    half = [tensor.bfloat16() for tensor in (inputs, weight, down, up)]
    found = lora_linear(half[0], half[1], down=half[2], up=half[3], scale=scale)
    plain = linear(half[0], half[1]) + scale * linear(linear(half[0], half[2]), half[3])
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).norm() <= 1.1 * (plain.float() - exact).norm()
