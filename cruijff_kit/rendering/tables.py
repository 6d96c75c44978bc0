"""Parquet bytes of results and predictions, and back; equal tables give equal bytes."""

from collections.abc import Sequence
from io import BytesIO
from operator import attrgetter
from types import ModuleType

from pydantic import ValidationError

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultRow, ResultTable

__all__ = ["predictions_parquet", "read_predictions", "results_parquet"]

_RESULTS = {
    "run": "string",
    "type": "string",
    "model": "string",
    "factors": "levels",
    "seed": "int64",
    "task": "string",
    "epoch": "int64",
    "metric": "string",
    "value": "float64",
    "n": "int64",
    "successes": "int64",
    "reason": "string",
    "source": "string",
    "source_sha256": "string",
}
_PREDICTIONS = {
    "sample_id": "string",
    "run": "string",
    "epoch": "int64",
    "task": "string",
    "split": "string",
    "groups": "levels",
    "target": "string",
    "options": "strings",
    "option_logprobs": "floats",
    "option_mass": "float64",
    "prediction": "string",
    "correct": "bool",
    "confidence": "float64",
    "abstain": "bool",
    "parse_ok": "bool",
    "number": "float64",
    "rationale": "string",
    "reason": "string",
    "error": "string",
    "completion": "string",
    "prompt_token_sha256": "string",
    "checkpoint_sha256": "string",
    "source": "string",
}


def results_parquet(table: ResultTable) -> bytes:
    """Return one row per run, task, epoch and metric; factor levels as text in a map."""
    return _parquet(table.rows, _RESULTS)


def predictions_parquet(predictions: Sequence[Prediction]) -> bytes:
    """Return one row per sample and evaluated model."""
    return _parquet(predictions, _PREDICTIONS)


def read_predictions(content: bytes, *, name: str) -> tuple[Prediction, ...]:
    """Return the records that `predictions_parquet` wrote.

    Args:
        content: bytes of the file.
        name: its path, for messages.

    Raises:
        ResultError: the file is damaged, or not one of predictions.
        SiteError: the extra that reads tables is not installed.
    """
    pa = _pyarrow()
    from pyarrow import parquet

    try:
        rows = parquet.read_table(BytesIO(content)).to_pylist(maps_as_pydicts="strict")
        return tuple(Prediction.model_validate(row) for row in rows)
    except (pa.ArrowException, OSError, TypeError, ValidationError) as err:
        said = str(err).splitlines()[0]
        raise ResultError(f"`{name}` holds no predictions: {said}", hint="`ck collect` writes it again") from err


def _parquet(rows: Sequence[ResultRow | Prediction], columns: dict[str, str]) -> bytes:
    pa = _pyarrow()
    from pyarrow import parquet

    types = {
        "string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(),
        "levels": pa.map_(pa.string(), pa.string()), "strings": pa.list_(pa.string()), "floats": pa.list_(pa.float64()),
    }  # fmt: skip
    cells = {name: list(map(attrgetter(name), rows)) for name in columns}
    for name in (name for name, kind in columns.items() if kind == "levels"):
        cells[name] = [[(factor, str(level)) for factor, level in each.items()] for each in cells[name]]
    arrays = [pa.array(cells[name], type=types[kind]) for name, kind in columns.items()]
    buffer = BytesIO()
    parquet.write_table(pa.table(arrays, names=list(columns)), buffer, compression="zstd")
    return buffer.getvalue()


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError as err:
        hint = "pip install 'cruijff-kit[report]'"
        raise SiteError("result tables need `pyarrow`, which is not installed", hint=hint) from err
    return pyarrow
