"""Predictions written as parquet read back as they were."""

from io import BytesIO

import pyarrow as pa
import pytest
from pyarrow import parquet

from cruijff_kit.errors import ResultError
from cruijff_kit.rendering.tables import predictions_parquet, read_predictions
from tests.optioned_run import optioned_answers

RECORDS = tuple(optioned_answers("rank4-0123abcd", split="test", n=30))
BARE = RECORDS[0].model_copy(
    update={
        "epoch": None, "groups": {}, "options": (), "option_logprobs": (), "option_mass": None, "prediction": None,
        "correct": None, "confidence": None, "abstain": True, "parse_ok": False, "error": "lost", "completion": "",
    }
)  # fmt: skip


def test_predictions_read_back_as_they_were_to_the_last_bit() -> None:
    records = (*RECORDS, BARE)
    content = predictions_parquet(records)
    assert read_predictions(content, name="p.parquet") == records
    assert predictions_parquet(read_predictions(content, name="p.parquet")) == content


def _other_table() -> bytes:
    buffer = BytesIO()
    parquet.write_table(pa.table({"run": ["a"]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", (b"", b"PAR1 torn", _other_table()))
def test_a_damaged_or_foreign_file_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ResultError, match=r"`p\.parquet` holds no predictions"):
        read_predictions(content, name="p.parquet")


def test_a_file_cut_short_is_refused_by_name() -> None:
    content = predictions_parquet(RECORDS)
    with pytest.raises(ResultError, match=r"`p\.parquet` holds no predictions"):
        read_predictions(content[: len(content) // 2], name="p.parquet")
