"""Evaluation logs, read through inspect-ai's own interface."""

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from pydantic import ValidationError

from cruijff_kit.adapters.log_archive import read_header, read_log
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.prediction_records import NOTHING_SHA256, UNPLANNED, Subject, raw_record
from cruijff_kit.schema.imported import Foreign, ForeignLog
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import EvalLogRecord
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.answers import parse_answer

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.scorer import Score

__all__ = ["InspectLogs"]

# Values by which scorers say right or wrong; no answer and half an answer are not right.
_VERDICTS: Mapping[Any, bool] = {"C": True, "I": False, "N": False, "P": False, 1: True, 0: False}


class InspectLogs:
    """Reads finished `.eval` logs; imports inspect-ai on first use."""

    def read(self, path: Path, *, about: Foreign | None = None) -> EvalLogRecord:
        """Read one log and hash it; a torn or foreign file is a record with status `unreadable`.

        Args:
            path: the log.
            about: whose samples it holds, where the log itself does not say.

        Raises:
            SiteError: the extra that reads logs is not installed, or the file is missing.
        """
        content = _content(path)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            log = read_log(content)
            predictions = tuple(_predictions(log, about))
            verdicts, values = _verdicts(log.samples or [])
        except _damages() as err:
            return EvalLogRecord(path=str(path), sha256=sha256, status="unreadable", samples=0, error=_said(err))
        return EvalLogRecord(
            path=str(path),
            sha256=sha256,
            status=log.status,
            samples=len(log.samples or []),
            metrics=_metrics(log),
            predictions=predictions,
            verdicts=verdicts,
            values=values,
            error=log.error.message if log.error else "",
        )

    def look(self, path: Path) -> ForeignLog:
        """Return what a log of any maker says of itself, and its hash; a torn file has status `unreadable`.

        Raises:
            SiteError: the extra that reads logs is not installed, or the file is missing.
        """
        content = _content(path)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            log = read_header(content)
        except _damages() as err:
            return ForeignLog(sha256=sha256, status="unreadable", error=_said(err))
        told = log.eval
        return ForeignLog(
            sha256=sha256,
            status=log.status,
            task=told.task,
            model=told.model,
            data=told.dataset.location or "",
            samples=told.dataset.samples or 0,
            scorers=tuple(dict.fromkeys(score.name for score in (log.results.scores if log.results else []))),
            task_args=_plain(told.task_args),
            model_args=_plain(told.model_args),
            metadata=_plain(told.metadata or {}),
            generation=log.plan.config.model_dump(mode="json", exclude_none=True) if log.plan else {},
            packages=dict(told.packages),
            created=str(told.created),
            error=log.error.message if log.error else "",
        )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that JSON has; others as text."""
    return {
        str(key): value if isinstance(value, str | int | float | bool | None) else str(value)
        for key, value in values.items()
    }


def _said(err: Exception) -> str:
    return f"{type(err).__name__}: {err}".splitlines()[0]


def _damages() -> tuple[type[Exception], ...]:
    """Return what a damaged archive makes inspect's reader raise."""
    # pydantic's and json's errors are ValueErrors.
    # A damaged flag says that a member is encrypted, or packed in an unknown way: both are RuntimeErrors.
    known = (BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError, zlib.error)
    try:
        from zstandard import ZstdError
    except ImportError:
        return known
    return (*known, ZstdError)


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


def _in_order(samples: "Sequence[EvalSample]") -> "list[EvalSample]":
    return sorted(samples, key=lambda sample: (sample.epoch, str(sample.id)))


def _predictions(log: "EvalLog", given: Foreign | None) -> Iterator[Prediction]:
    """Yield one record per sample: what our scorers left, or what the sample itself says."""
    ordered = _in_order(log.samples or [])
    carried = [_carried(sample) for sample in ordered]
    about = _subject(log, next((each for each in carried if each is not None), None), given=given)
    if about is None:
        if any(sample.scores for sample in ordered):
            raise ValueError("it says neither run nor task; the log was not written by an evaluation of this package")
        return
    whose = {name: getattr(about, name) for name in ("run", "epoch", "task", "split", "checkpoint_sha256")}
    for sample, own in zip(ordered, carried, strict=True):
        if own is None:
            yield _told(sample, about)
        else:
            yield own.model_copy(update=whose) if own.run == UNPLANNED.run else own


def _subject(log: "EvalLog", sibling: Prediction | None, *, given: Foreign | None) -> Subject | None:
    """Return what a log evaluates: as it was given, by its own metadata, or by what a sample of it carries."""
    if given is not None and sibling is None:
        # What another system wrote of itself means something else, even under our names.
        return Subject.model_validate(given.model_dump())
    said = log.eval.metadata or {}
    if "run" in said:
        return Subject(
            run=said["run"],
            epoch=said["epoch"],
            task=said["task"],
            split=said["split"],
            groups=tuple(said.get("groups", sibling.groups if sibling else ())),
            checkpoint_sha256=said["checkpoint_sha256"],
        )
    if sibling is None:
        return None
    return Subject(
        run=sibling.run,
        epoch=sibling.epoch,
        task=sibling.task,
        split=sibling.split,
        groups=tuple(sibling.groups),
        checkpoint_sha256=sibling.checkpoint_sha256,
    )


def _carried(sample: "EvalSample") -> Prediction | None:
    for score in (sample.scores or {}).values():
        # Other scorers may leave something of that name.
        if score.metadata and isinstance(score.metadata.get("prediction"), dict):
            try:
                return Prediction.model_validate(score.metadata["prediction"])
            except ValidationError as err:
                raise ValueError(f"sample `{sample.id}` carries a damaged prediction: {first_fault(err)}") from err
    return None


def _told(sample: "EvalSample", about: Subject) -> Prediction:
    """Return the record of a sample that other scorers judged, or of one that has no answer."""
    from inspect_ai.model import ModelOutput

    target = sample.target if isinstance(sample.target, str) else "\n".join(sample.target)
    # Repeats of one sample are samples of their own.
    name = str(sample.id) if sample.epoch == 1 else f"{sample.id}#{sample.epoch}"
    raw = raw_record(
        about,
        sample.output or ModelOutput(),
        sample_id=name,
        target=target,
        metadata=sample.metadata,
        rules=ScoringRules(),
    )
    if sample.error or not sample.scores:
        error = sample.error.message if sample.error else "the sample was not scored"
        changes = {"parse_ok": False, "error": error, "prompt_token_sha256": NOTHING_SHA256, "confidence": None}
        return raw.model_copy(update=changes)
    first = next(iter(sample.scores.values()))
    answer = first.answer if first.answer is not None else parse_answer(raw.completion)
    read = answer is not None and first.value != "N"
    changes = {
        "prediction": answer if read else None,
        "correct": _VERDICTS.get(first.value) if isinstance(first.value, str | int | float) else None,
        "parse_ok": read,
        "reason": "" if read else first.explanation or "its scorer found no answer",
    }
    return raw.model_copy(update=changes)


def _verdicts(
    samples: "Sequence[EvalSample]",
) -> tuple[dict[str, tuple[bool | None, ...]], dict[str, tuple[float | None, ...]]]:
    """Return each scorer's verdicts in the order of the samples, or its numbers where it says no right or wrong."""
    ordered = [_flat(sample.scores or {}) for sample in _in_order(samples)]
    verdicts, values = {}, {}
    for name in dict.fromkeys(name for each in ordered for name in each):
        given = [each.get(name) for each in ordered]
        if all(value is None or value in _VERDICTS for value in given):
            verdicts[name] = tuple(None if value is None else _VERDICTS[value] for value in given)
        else:
            values[name] = tuple(_number(value) for value in given)
    return verdicts, values


def _flat(scores: "Mapping[str, Score]") -> dict[str, Any]:
    """Return each value by its scorer's name; a scorer of several values gives `<scorer>.<key>`."""
    found: dict[str, Any] = {}
    for name, score in scores.items():
        if isinstance(score.value, Mapping):
            found |= {f"{name}.{key}": value for key, value in score.value.items()}
        else:
            found[name] = None if isinstance(score.value, list) else score.value
    return found


def _number(value: Any) -> float | None:
    number = _VERDICTS.get(value, value)
    usable = isinstance(number, bool | int | float) and isfinite(number)
    return float(number) if usable else None
