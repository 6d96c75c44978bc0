"""Evaluation logs: a reader that keeps records in memory, and a writer of real files."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cruijff_kit.schema.imported import Foreign, ForeignLog
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample

__all__ = ["FakeEvalLogs", "write_log"]


class FakeEvalLogs:
    """Returns the records it was given; anything else is unreadable, as a torn file is."""

    def __init__(self, records: Mapping[str, EvalLogRecord] | None = None) -> None:
        """Keep records by file name."""
        self._records = dict(records or {})

    def read(self, path: Path, *, about: Foreign | None = None) -> EvalLogRecord:
        """Return the record of a file's name, with the hash of the file's bytes; it says whose it is."""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        record = self._records.get(path.name)
        if record is None:
            return EvalLogRecord(
                path=str(path), sha256=sha256, status="unreadable", samples=0, error="unknown to the test"
            )
        return record.model_copy(update={"path": str(path), "sha256": sha256})

    def look(self, path: Path) -> ForeignLog:
        """Return task, model and samples of the record of a file's name."""
        record = self.read(path)
        first = record.predictions[0] if record.predictions else None
        return ForeignLog(
            sha256=record.sha256,
            status=record.status,
            task=first.task if first else "",
            model="cruijff/tiny" if first else "",
            samples=record.samples,
            scorers=tuple(record.verdicts),
            error=record.error,
        )


def write_log(
    path: Path,
    predictions: Sequence[Prediction],
    *,
    scorers: Sequence[str] = ("match",),
    status: str = "success",
    errored: Sequence[str] = (),
) -> None:
    """Write a real `.eval` log through inspect-ai's own writer.

    Args:
        path: file to write.
        predictions: one per sample; `correct` is every scorer's verdict.
        scorers: scorer names; the first one carries the predictions.
        status: the log's status.
        errored: ids of samples that end in an error instead of a score.
    """
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec, write_eval_log

    first = predictions[0]
    log = EvalLog(
        status=status,  # pyright: ignore[reportArgumentType]  # the test's word for one of its literals
        eval=EvalSpec(
            created="2026-11-20T09:05:00+00:00",
            task=first.task,
            dataset=EvalDataset(name=first.split, samples=len(predictions)),
            model="cruijff/tiny",
            config=EvalConfig(),
        ),
        samples=[_sample(each, scorers, failed=each.sample_id in errored) for each in predictions],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_eval_log(log, path, format="eval")


def _sample(each: Prediction, scorers: Sequence[str], *, failed: bool) -> "EvalSample":
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Score

    record = {"prediction": each.model_dump(mode="json")}
    value = "C" if each.correct else "I"
    scores = {name: Score(value=value, metadata=record if at == 0 else None) for at, name in enumerate(scorers)}
    return EvalSample(
        id=each.sample_id,
        epoch=1,
        input=each.target.lower(),
        target=each.target,
        metadata=dict(each.groups),
        output=ModelOutput.from_content("cruijff/tiny", each.completion),
        scores=None if failed else scores,
        error=EvalError(message="out of memory", traceback="", traceback_ansi="") if failed else None,
    )
