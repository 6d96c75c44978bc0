"""How an audit log begins and ends, read without reading what lies between."""

import os
from typing import NamedTuple

from cruijff_kit.adapters.audit_heads import LOG_ID
from cruijff_kit.adapters.audit_lines import fields_of, hash_of
from cruijff_kit.errors import ResultError
from cruijff_kit.schema.audit import Anchor

__all__ = ["LogEnd", "end_of"]

_BLOCK = 1 << 13


class LogEnd(NamedTuple):
    """The first and the last line of a log, and what follows the last."""

    log_id: str | None = None
    """Random id in the first record; None where there is none."""
    line: bytes | None = None
    """The last whole line, without its newline."""
    offset: int = 0
    """Where the next line goes."""
    torn: bytes = b""
    """What lies there already: the start of a line that was never finished."""

    @property
    def last(self) -> Anchor | None:
        """Return the last line's position and hash; None where there is no whole line.

        Raises:
            ResultError: the line is not a record.
        """
        if self.line is None:
            return None
        seq = (fields_of(self.line) or {}).get("seq")
        if not isinstance(seq, int):
            raise ResultError(
                "the last line of the audit log is not a record, so nothing can follow it",
                hint="`ck audit verify` names what was changed; restore the log from a copy",
            )
        return Anchor(seq=seq, sha256=hash_of(self.line))


def end_of(log: int, size: int) -> LogEnd:
    """Return how the first `size` bytes of an open log begin and end."""
    data, start, step = b"", size, _BLOCK
    while start > 0 and data.count(b"\n") < 2:
        step, start = 2 * step, max(start - step, 0)
        data = os.pread(log, size - start - len(data), start) + data
    whole, newline, torn = data.rpartition(b"\n")
    line = whole.rpartition(b"\n")[2] if newline else None
    return LogEnd(_log_id(log, size) if newline else None, line, size - len(torn), torn)


def _log_id(log: int, size: int) -> str | None:
    first, step = b"", _BLOCK
    while b"\n" not in first and len(first) < size:
        first, step = first + os.pread(log, step, len(first)), 2 * step
    outputs = (fields_of(first.partition(b"\n")[0]) or {}).get("outputs")
    log_id = outputs.get("log_id") if isinstance(outputs, dict) else None
    return log_id if isinstance(log_id, str) and LOG_ID.fullmatch(log_id) else None
