"""From rows to batches."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.batches import batches
from cruijff_kit.runtime.training_rows import encode_rows, read_splits, steps_of_epoch, subset
from cruijff_kit.schema.config import DatasetConfig
from tests.tokenizer_zoo import byte_level

ROWS = [{"input": str(number)} for number in range(10)]


def test_batches_are_padded_on_the_right_and_labels_predict_the_next_token() -> None:
    rows = [Encoded((1, 2, 3), (IGNORE, 2, 3), 1), Encoded((4, 5), (IGNORE, 5), 1), Encoded((6, 7), (IGNORE, 7), 1)]
    first, last = batches(rows, size=2, packed=False)
    assert first.ids.tolist() == [[1, 2, 3], [4, 5, 0]]
    assert first.labels.tolist() == [[2, 3, IGNORE], [5, IGNORE, IGNORE]]
    assert (first.tokens, first.supervised) == (5, 3)
    assert last.ids.tolist() == [[6, 7]]


@pytest.mark.parametrize(
    "rows, batch_size, accumulation, limit, steps",
    (
        (16, 4, 1, None, 4),
        (17, 4, 1, None, 5),
        (17, 4, 2, None, 3),
        (17, 8, 1, None, 3),
        (1, 4, 4, None, 1),
        (17, 4, 1, 2, 2),
        (4, 4, 1, 9, 1),
    ),
)
def test_an_epoch_has_a_step_for_each_window_of_rows(
    rows: int, batch_size: int, accumulation: int, limit: int | None, steps: int
) -> None:
    assert steps_of_epoch(rows, batch_size=batch_size, accumulation=accumulation, limit=limit) == steps


def test_a_subset_is_random_and_fixed_by_the_seed() -> None:
    chosen = subset(ROWS, 4, seed=1)
    assert chosen == subset(ROWS, 4, seed=1)
    assert chosen != subset(ROWS, 4, seed=2)
    assert chosen != ROWS[:4]
    assert subset(ROWS, None, seed=1) == ROWS


def test_a_subset_larger_than_the_split_is_refused() -> None:
    with pytest.raises(SpecError, match="`training_samples` is `11`, and the split has `10` rows"):
        subset(ROWS, 11, seed=1)


def config_of(path: Path, **changes: Any) -> DatasetConfig:
    settings = {"dataset_type": "text_completion", "prompt": "{input}", "system_prompt": "", "max_seq_len": 64}
    return DatasetConfig(path=str(path), sha256="0" * 64, template_date="26 Jul 2024", **{**settings, **changes})


def test_splits_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    rows = [{**row, "output": "x"} for row in ROWS]
    path.write_text(json.dumps({"train": rows, "test": rows[:2]}), encoding="utf-8")
    assert read_splits(config_of(path), "test", "train") == [rows[:2], rows]
    with pytest.raises(SpecError, match="no rows in split `validation`; it has `train`, `test`"):
        read_splits(config_of(path), "train", "validation")


def test_a_job_renames_columns_as_its_configuration_says(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"question": "a", "gold": "b"}\n', encoding="utf-8")
    config = config_of(path, columns=(("input", "question"), ("output", "gold")))
    assert read_splits(config, "train") == [[{"input": "a", "output": "b"}]]


@pytest.mark.parametrize(
    "text, fact",
    (
        ("[1]", "the row is a number, not an object"),
        ("1", "neither an object of splits"),
        ("{", "ends before its JSON does"),
    ),
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, fact: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=fact):
        read_splits(config_of(path), "train")


def test_every_bad_row_is_counted_and_twenty_are_listed() -> None:
    rows = [{"input": "x", "output": "y"}, *({"input": "x"} for _ in range(30))]
    with pytest.raises(SpecError, match="30 of 31 rows of split `train`") as refusal:
        encode_rows(
            rows, split="train", encoding=Encoding(dataset_type="text_completion"), tokenizer=byte_level(template=None)
        )
    assert [problem.place for problem in refusal.value.problems] == [f"train[{at}]" for at in range(1, 21)]
