from typing import get_args

import pytest
import torch

from cruijff_kit.runtime.pooling import COUNTS_PADDING, pool_hidden_states
from cruijff_kit.schema.embedding import Pool

# Two texts, of three tokens and one, in one layer of two numbers; 9 stands at padding.
RIGHT = torch.tensor([[[[1.0, 10], [2, 40], [6, 20]]], [[[5, 7], [9, 9], [9, 9]]]])
RIGHT_MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])
LEFT = torch.tensor([[[[1.0, 10], [2, 40], [6, 20]]], [[[9, 9], [9, 9], [5, 7]]]])
LEFT_MASK = torch.tensor([[1, 1, 1], [0, 0, 1]])

BY_HAND: dict[Pool, list[list[float]]] = {
    "mean_non_padding": [[3, 70 / 3], [5, 7]],
    "median": [[2, 20], [5, 7]],
    "first": [[1, 10], [5, 7]],
    "last_non_padding": [[6, 20], [5, 7]],
}


@pytest.mark.parametrize("pool", BY_HAND)
@pytest.mark.parametrize("hidden,mask", ((RIGHT, RIGHT_MASK), (LEFT, LEFT_MASK)))
def test_pools_that_leave_padding_out_give_what_a_hand_computes_on_either_side(
    pool: Pool, hidden: torch.Tensor, mask: torch.Tensor
) -> None:
    assert torch.allclose(
        pool_hidden_states(hidden, mask, pool=pool), torch.tensor(BY_HAND[pool], dtype=torch.float32)[:, None]
    )


def test_pools_that_count_padding_take_every_position_for_what_it_is() -> None:
    assert pool_hidden_states(RIGHT, RIGHT_MASK, pool="last")[1, 0].tolist() == [9, 9]
    assert pool_hidden_states(LEFT, LEFT_MASK, pool="last")[1, 0].tolist() == [5, 7]
    mean = pool_hidden_states(RIGHT, RIGHT_MASK, pool="mean")
    assert mean[1, 0].tolist() == pytest.approx([23 / 3, 25 / 3])
    assert set(BY_HAND) | COUNTS_PADDING | {"none"} == set(get_args(Pool))


def test_without_pooling_all_tokens_stay_and_padding_is_zero() -> None:
    kept = pool_hidden_states(RIGHT, RIGHT_MASK, pool="none")
    assert kept.shape == (2, 1, 3, 2)
    assert torch.equal(kept[0], RIGHT[0])
    assert kept[1, 0].tolist() == [[5, 7], [0, 0], [0, 0]]


def test_each_layer_is_pooled_by_itself_and_a_median_of_two_is_the_lower() -> None:
    hidden = torch.stack([RIGHT[:, 0], -RIGHT[:, 0]], dim=1)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert pool_hidden_states(hidden, mask, pool="median")[0].tolist() == [[1, 10], [-2, -40]]


@pytest.mark.parametrize("pool", ("mean_non_padding", "median"))
def test_a_token_that_is_no_number_is_not_taken_for_padding(pool: Pool) -> None:
    broken = RIGHT.clone()
    broken[0, 0, 1, 0] = torch.nan
    found = pool_hidden_states(broken, RIGHT_MASK, pool=pool)
    assert found[0, 0].isnan().tolist() == [True, False]
    assert not found[1].isnan().any()


def test_means_of_half_precision_states_are_taken_in_full() -> None:
    hidden = torch.full((1, 1, 1000, 1), 1.001, dtype=torch.bfloat16)
    mean = pool_hidden_states(hidden, torch.ones(1, 1000), pool="mean_non_padding")
    assert mean.dtype == torch.float32
    assert mean.item() == pytest.approx(hidden[0, 0, 0, 0].item(), abs=1e-6)
