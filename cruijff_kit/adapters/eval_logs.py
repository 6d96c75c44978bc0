"""Evaluation logs, read through inspect-ai's own interface."""

import hashlib
import zlib
from collections.abc import Sequence
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from pydantic import ValidationError

from cruijff_kit.errors import SiteError
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.scorer import Score

__all__ = ["InspectLogs"]

# What a report never reads, and what makes logs large.
_UNREAD = {"attachments", "events", "messages", "store"}

# A sample that failed before its prompt was made has the hash of no ids.
_NO_IDS = hashlib.sha256(b"").hexdigest()


class InspectLogs:
    """Reads finished `.eval` logs; imports inspect-ai on first use."""

    def read(self, path: Path) -> EvalLogRecord:
        """Read one log and hash it; a torn or foreign file is a record with status `unreadable`.

        Raises:
            SiteError: the extra that reads logs is not installed, or the file is missing.
        """
        content = _content(path)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            log = _load(content)
            predictions, verdicts = _samples(log.samples or [])
        except _damages() as err:
            said = f"{type(err).__name__}: {err}".splitlines()[0]
            return EvalLogRecord(path=str(path), sha256=sha256, status="unreadable", samples=0, error=said)
        return EvalLogRecord(
            path=str(path),
            sha256=sha256,
            status=log.status,
            samples=len(log.samples or []),
            metrics=_metrics(log),
            predictions=predictions,
            verdicts=verdicts,
            error=log.error.message if log.error else "",
        )


def _damages() -> tuple[type[Exception], ...]:
    """Return what a damaged archive makes inspect's reader raise."""
    # pydantic's and json's errors are ValueErrors.
    known = (BadZipFile, EOFError, KeyError, NotImplementedError, OSError, ValueError, zlib.error)
    try:
        from zstandard import ZstdError
    except ImportError:
        return known
    return (*known, ZstdError)


def _load(content: bytes) -> "EvalLog":
    """Read from memory: what is read is what was hashed, and ten times as fast as from a path."""
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as err:
        hint = "pip install 'cruijff-kit[eval]'"
        raise SiteError("evaluation logs need `inspect-ai`, which is not installed", hint=hint) from err
    return read_eval_log(BytesIO(content), format="eval", exclude_fields=_UNREAD)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise SiteError(f"evaluation log `{path}` cannot be opened: {err.strerror}") from err


def _metrics(log: "EvalLog") -> dict[str, dict[str, float]]:
    scores = log.results.scores if log.results else []
    return {
        score.name: {name: float(metric.value) for name, metric in score.metrics.items() if isfinite(metric.value)}
        for score in scores
    }


def _samples(
    samples: "Sequence[EvalSample]",
) -> tuple[tuple[Prediction, ...], dict[str, tuple[bool | None, ...]]]:
    """Return one record per sample, and each scorer's verdicts in the same order."""
    ordered = sorted(samples, key=lambda sample: (sample.epoch, str(sample.id)))
    carried = [_carried(sample) for sample in ordered]
    sibling = next((each for each in carried if each is not None), None)
    if sibling is None:
        if any(sample.scores for sample in samples):
            raise ValueError("no score carries a `prediction`; the log was not written by this package's tasks")
        return (), {}
    pairs = zip(carried, ordered, strict=True)
    predictions = tuple(each or _failed(sample, sibling) for each, sample in pairs)
    names = dict.fromkeys(name for sample in ordered for name in sample.scores or {})
    verdicts = {name: tuple(_verdict((sample.scores or {}).get(name)) for sample in ordered) for name in names}
    return predictions, verdicts


def _carried(sample: "EvalSample") -> Prediction | None:
    for score in (sample.scores or {}).values():
        if score.metadata and "prediction" in score.metadata:
            try:
                return Prediction.model_validate(score.metadata["prediction"])
            except ValidationError as err:
                first = err.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise ValueError(f"sample `{sample.id}` carries a damaged prediction: {where}: {first['msg']}") from err
    return None


def _failed(sample: "EvalSample", sibling: Prediction) -> Prediction:
    """Return the record of a sample that has no answer, so that denominators keep it."""
    target = sample.target if isinstance(sample.target, str) else "\n".join(sample.target)
    return Prediction(
        sample_id=str(sample.id),
        run=sibling.run,
        epoch=sibling.epoch,
        task=sibling.task,
        split=sibling.split,
        groups={name: str(sample.metadata[name]) for name in sibling.groups if name in sample.metadata},
        target=target,
        prediction=None,
        parse_ok=False,
        error=sample.error.message if sample.error else "the sample was not scored",
        completion=sample.output.completion if sample.output else "",
        prompt_token_sha256=_NO_IDS,
        checkpoint_sha256=sibling.checkpoint_sha256,
    )


def _verdict(score: "Score | None") -> bool | None:
    if score is None:
        return None
    return score.value in {"C", 1} if isinstance(score.value, (str, bool, int, float)) else None
