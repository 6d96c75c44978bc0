"""Attention over packed rows is causal attention over each of them."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from cruijff_kit.runtime.packed_attention import attend, layout


@pytest.mark.parametrize("lengths", ((5,), (3, 3, 3), (1, 9, 2, 8, 40), tuple(range(1, 30))))
@pytest.mark.parametrize("shared", (1, 2))
def test_each_row_sees_itself_alone(lengths: tuple[int, ...], shared: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(1, 4, sum(lengths), 8, requires_grad=True)
    key, value = (torch.randn(1, 4 // shared, sum(lengths), 8) for _ in range(2))
    found = attend(query, key, value=value, rows=layout(lengths, device=torch.device("cpu")))
    parts = zip(*(tensor.split(lengths, dim=2) for tensor in (query, key, value)), strict=True)
    alone = [scaled_dot_product_attention(*part, is_causal=True, enable_gqa=True) for part in parts]
    torch.testing.assert_close(found, torch.cat(alone, dim=2), atol=1e-6, rtol=1e-5)
    found.square().sum().backward()
    assert query.grad is not None
    assert query.grad.isfinite().all()
