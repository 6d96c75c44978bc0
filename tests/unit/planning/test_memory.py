"""Peak memory: which term follows from which dimension, and which moment is the highest."""

import pytest

from cruijff_kit.planning.memory import training_memory
from cruijff_kit.planning.shapes import Shape, adapted_layers
from cruijff_kit.planning.training_pass import Work
from cruijff_kit.schema.estimate import MemoryParts

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SHAPE = Shape(512, 512, 128, 64, 1376, 16, 1000, 45_000_000, SEVEN)
WORK = Work(rank=16, tokens=2048, supervised=512, rows=4)


def parts(**changes: object) -> MemoryParts:
    return training_memory(SHAPE, WORK._replace(**changes))


def test_a_block_keeps_what_its_modules_save() -> None:
    # Two normalisations and the input of each adapted group; query, repeated key and value, output; four of the MLP.
    elements = 4 * 512 + 4 * 512 + 4 * 1376 + 7 * 16
    roots_and_heads = 2 + 512 // 64
    assert parts().activations == 16 * 2048 * 4 * (elements + roots_and_heads)


def test_weights_and_moments_are_of_the_arithmetic_asked_for() -> None:
    single, half = parts(), parts(dtype="bf16")
    assert single.weights == 4 * 45_000_000
    assert (half.weights, half.optimizer) == (single.weights // 2, single.optimizer // 2)
    assert single.optimizer == 2 * single.adapter


def test_twice_the_tokens_keep_twice_the_activations() -> None:
    assert parts(tokens=4096).activations == 2 * parts().activations


def test_checkpointing_keeps_a_block_s_input_and_computes_one_block_again() -> None:
    again = parts(checkpointing=True)
    assert again.activations == 17 * 2048 * 512 * 4
    assert again.working > parts().working
    assert again.total < parts().total / 2


def test_a_gradient_stands_at_the_peak_only_where_a_pass_went_before() -> None:
    assert parts().gradients == 0
    assert parts(accumulation=4).gradients == parts().adapter


def test_a_large_rank_over_few_tokens_is_highest_when_the_backward_pass_ends() -> None:
    end = parts(rank=512, tokens=8, supervised=8)
    assert end.gradients == end.adapter
    assert end.logits == 0


def test_logits_are_held_a_slice_at_a_time() -> None:
    wide = training_memory(SHAPE._replace(vocabulary=2**17), WORK._replace(supervised=2048))
    assert wide.logits == 2**25 * 4 + 2 * 2048 * 512 * 4


@pytest.mark.parametrize(
    "changes",
    ({"dora": True}, {"dropout": True}, {"packed": True}, {"rank": 64}, {"supervised": 2048}, {"accumulation": 2}),
)
def test_what_keeps_more_needs_more(changes: dict[str, object]) -> None:
    assert parts(**changes).total > parts().total


@pytest.mark.parametrize("changes", ({"targets": ("q_proj", "v_proj")}, {"quantized": True}, {"sharded": 2}))
def test_what_keeps_less_needs_less(changes: dict[str, object]) -> None:
    assert parts(**changes).total < parts().total


def test_one_head_of_keys_is_repeated_without_a_copy() -> None:
    several, one = (training_memory(SHAPE._replace(keys=keys), WORK) for keys in (128, 64))
    assert several.activations - one.activations == 16 * 2048 * 4 * 2 * (512 - 64)


def test_layers_that_an_architecture_joins_are_as_wide_as_their_parts() -> None:
    joined = SHAPE._replace(names=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"))
    assert joined.block == SHAPE.block
    assert joined.linear("query_key_value") == (512, 512 + 2 * 128)
    assert adapted_layers(joined, ("dense", "lm_head")) == ("dense",)
