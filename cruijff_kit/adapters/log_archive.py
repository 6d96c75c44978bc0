"""The archive that an evaluation log is, read from memory: its header, and of each sample what anybody looks at."""

from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from pydantic import BaseModel, ValidationError

from cruijff_kit.errors import SiteError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

__all__ = ["read_header", "read_log"]


class _Looked(BaseModel):
    """The parts of a sample that are looked at, as they stand in its file; `score` is what old logs call `scores`."""

    id: Any = None
    epoch: Any = None
    target: Any = None
    metadata: Any = None
    output: Any = None
    score: Any = None
    scores: Any = None
    error: Any = None


def read_log(content: bytes) -> "EvalLog":
    """Return a log without what no figure comes from: inputs, messages, events, stores and attachments.

    Conversations and events are nearly all of a log, and to check them is nearly all the time that reading it takes.
    A log that is laid out otherwise than samples of today is read whole, by inspect-ai's own reader.

    Args:
        content: its bytes: what is read is what was hashed.

    Raises:
        SiteError: the extra that reads logs is not installed.
        Exception: what a damaged archive makes its readers raise.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as err:
        raise _lacking() from err
    try:
        samples = _samples(content)
    except ValidationError:
        samples = []
    if not samples:
        return read_eval_log(BytesIO(content), format="eval")
    log = read_header(content)
    log.samples = samples
    return log


def read_header(content: bytes) -> "EvalLog":
    """Return a log without its samples.

    Raises:
        SiteError: the extra that reads logs is not installed.
        Exception: what a damaged archive makes its readers raise.
    """
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_async
    except ImportError as err:
        raise _lacking() from err
    # What is read from memory waits for nothing, and an event loop for each log takes longer than reading its header.
    reading = read_eval_log_async(BytesIO(content), header_only=True, format="eval")
    try:
        reading.send(None)
    except StopIteration as ended:
        return ended.value
    reading.close()
    return read_eval_log(BytesIO(content), header_only=True, format="eval")


def _samples(content: bytes) -> "list[EvalSample]":
    with ZipFile(BytesIO(content)) as archive:
        # A sample that was written again stands there twice; by its name it's the later one.
        names = [name for name in dict.fromkeys(archive.namelist()) if name.startswith("samples/")]
        return [_sample(archive.read(name)) for name in names if name.endswith(".json")]


def _sample(content: bytes) -> "EvalSample":
    from inspect_ai.log import EvalSample

    looked = _Looked.model_validate_json(content)
    return EvalSample.model_validate({"input": "", **{name: getattr(looked, name) for name in looked.model_fields_set}})


def _lacking() -> SiteError:
    hint = "pip install 'cruijff-kit[eval]'"
    return SiteError("evaluation logs need `inspect-ai`, which is not installed", hint=hint)
