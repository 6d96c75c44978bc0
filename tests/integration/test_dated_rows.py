"""Rows of a table with dates, which no JSON holds: written as text where that is fine, refused where it is not."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.dataset_report import TermSwap
from cruijff_kit.workflow.conversion import convert_data
from cruijff_kit.workflow.swap_terms import swap_data
from tests.fakes.designed import world_at


@pytest.fixture
def dated(tmp_path: Path) -> World:
    """Return an experiment that has a table with a column of dates."""
    table = pa.table({"input": ["he asked", "a tree"], "output": ["a", "b"], "day": [date(2026, 1, 2)] * 2})
    pq.write_table(table, tmp_path / "days.parquet")
    return world_at(tmp_path)


@pytest.mark.parametrize("target", ("data/days.json", "data/days.jsonl"))
def test_a_conversion_that_would_change_dates_is_refused(target: str, dated: World) -> None:
    with pytest.raises(SpecError, match="rows of split `train` would read back otherwise than they are"):
        convert_data("days.parquet", target, world=dated)
    assert not (dated.store.root / target).exists()


def test_terms_are_swapped_in_rows_with_dates(dated: World) -> None:
    asked = TermSwap(terms=("gender",), split="train")
    assert swap_data("days.parquet", "twins.json", asked=asked, world=dated).swapped == 1
    (row,) = json.loads((dated.store.root / "twins.json").read_text(encoding="utf-8"))["swapped"]
    assert (row["input"], row["day"], row["pair"]) == ("she asked", "2026-01-02", "train-0")
