"""Advice on a training: each line that can be crossed, and the batch that fits."""

from typing import Any

import pytest

from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.planning.train_advice import fit_of, recommendations, train_warnings
from cruijff_kit.planning.train_layers import TrainLayer, lay_over, with_machine
from tests.fakes.model_hub import model_facts

SHAPE = shape_of(model_facts())


def values(**changes: Any) -> dict[str, Any]:
    found = with_machine(lay_over("start", TrainLayer("flag", changes)), cpus=1, gpus=0)
    return {name: each.value for name, each in found.items()}


def warned(model: str = "org/base", *, local: bool = False, **changes: Any) -> list[str]:
    return list(train_warnings(values(**changes), model=model, local=local))


@pytest.mark.parametrize(
    "changes,word",
    (
        ({"lora_rank": 65}, "`lora_rank` 65"),
        ({"lora_alpha": 40.0}, "`lora_alpha` / `lora_rank`"),
        ({"lora_dropout": 0.4}, "`lora_dropout`"),
        ({"lr": 2e-3}, "above 0.001"),
        ({"lr": 1e-7}, "below 1e-06"),
        ({"batch_size": 5, "gradient_accumulation_steps": 7}, "35 rows"),
        ({"batch_size": 9}, "without accumulation"),
        ({"quantization": "nf4", "lora_rank": 40}, "4 bits"),
        ({"max_seq_len": 5000}, "`max_seq_len`"),
        ({"val_split": 0.4}, "`val_split`"),
    ),
)
def test_what_is_unusual_is_told_once_and_what_is_usual_is_not(changes: dict[str, Any], word: str) -> None:
    (warning,) = warned(**changes)
    assert word in warning
    assert warned() == []


def test_a_value_on_the_line_is_not_over_it() -> None:
    edge = {
        "lora_rank": 64,
        "lora_alpha": 256.0,
        "lora_dropout": 0.3,
        "lr": 1e-3,
        "max_seq_len": 4096,
        "val_split": 0.3,
    }
    assert warned(**edge, batch_size=8, gradient_accumulation_steps=4) == []


def test_a_directory_may_be_called_anything_and_a_repository_may_not() -> None:
    assert warned("/a path/with blanks", local=True) == []
    assert "no `owner/name`" in warned("/a path/with blanks")[0]


def test_what_might_do_better_is_recommended() -> None:
    told = list(recommendations(values(lora_rank=4, batch_size=1, epochs=6)))
    assert [each.split("`")[1] if each.startswith("`") else each.split()[0] for each in told] == [
        "lora_rank",
        "one",
        "6",
    ]
    assert list(recommendations(values())) == []


@pytest.mark.parametrize("rows", (1, 3, 17, 200))
def test_the_largest_batch_fits_and_one_row_more_does_not(rows: int) -> None:
    plain = values(batch_size=rows, max_seq_len=512)
    needed = fit_of(SHAPE, plain, memory=0).parts.total
    # Just what the step needs, as four fifths of a memory.
    found = fit_of(SHAPE, plain, memory=-(-needed * 10 // 8))
    assert found.most_rows == rows
    assert plain["batch_size"] == rows


def test_less_than_a_row_does_not_fit_and_is_said_so() -> None:
    assert fit_of(SHAPE, values(max_seq_len=512), memory=1_000_000).most_rows == 0
    assert fit_of(SHAPE, values(max_seq_len=512), memory=0).most_rows is None


def test_only_activations_logits_and_work_grow_with_the_batch() -> None:
    one, four = (fit_of(SHAPE, values(batch_size=rows, max_seq_len=128), memory=0).parts for rows in (1, 4))
    same = ("weights", "adapter", "optimizer", "gradients")
    assert [getattr(one, name) for name in same] == [getattr(four, name) for name in same]
    assert four.activations > 3 * one.activations
