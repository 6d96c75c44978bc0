"""What an offline run of Weights & Biases holds, read from its file."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["LocalRun", "local_run"]

_HEAD, _BLOCK, _RECORD = 7, 32_768, 7


class LocalRun(NamedTuple):
    """One run as its file tells it."""

    run: Any
    """The run's own record: id, name, project, group, tags."""
    config: dict[str, Any]
    """The configuration it was begun with."""
    history: list[dict[str, Any]]
    """Every step logged, in order."""
    exit_code: int | None
    """Exit code it finished with; None where it never did."""


def local_run(output: Path) -> LocalRun:
    """Return the latest run below an output directory."""
    # Its messages are made when the module is loaded, so no checker knows their names.
    record_form = getattr(import_module("wandb.proto.wandb_internal_pb2"), "Record")  # noqa: B009 - see above
    (file,) = (output / "logs" / "wandb" / "latest-run").glob("*.wandb")
    records = [record_form.FromString(data) for data in _records(file.read_bytes())]
    run = next(record.run for record in records if record.HasField("run"))
    return LocalRun(
        run,
        {item.key: json.loads(item.value_json) for item in run.config.update},
        [_items(record.history) for record in records if record.HasField("history")],
        next((record.exit.exit_code for record in records if record.HasField("exit")), None),
    )


def _items(history: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in history.item}


def _records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log file: blocks of pieces, each with checksum, length and kind."""
    assert content.startswith(b":W&B")
    at, whole = _HEAD, b""
    while at + _RECORD <= len(content):
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        if _BLOCK - at % _BLOCK < _RECORD:
            at += _BLOCK - at % _BLOCK
            continue
        whole += content[at + _RECORD : at + _RECORD + length]
        at += _RECORD + length
        if kind in (1, 4):
            yield whole
            whole = b""
