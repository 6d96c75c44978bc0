"""What a job printed: where its first error stands, and which lines fall in a stretch of time."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

__all__ = ["find_error", "moment", "within"]

_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(
    r"\b(?:error|fatal|exception|killed|segmentation fault|out of memory|oom[-_ ]kill\w*)\b"
    r"|\b(?:no space left|cannot allocate)\b"
    r"|\b(?-i:[A-Z]\w*(?:Error|Exception))\b",
    re.IGNORECASE,
)
# What says that there was none.
_HARMLESS = re.compile(r"\b(?:no|0|without|zero) errors?\b|\berrors?[=:] ?0\b", re.IGNORECASE)
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")
_STAMP = re.compile(r"^\W{0,2}(?:(?P<date>\d{4}-\d\d-\d\d)[T ])?(?P<time>\d\d:\d\d:\d\d)(?!\d)", re.ASCII)
_AGO = re.compile(r"(?P<count>[0-9]{1,6}) ?(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def find_error(lines: Sequence[str], *, before: int = 5, after: int = 25) -> tuple[int, int] | None:
    """Return where the first error of a log stands with its context, as a half-open range; None where there is none.

    A Python traceback is taken whole, those chained to it too; of any other error the lines around it.

    Args:
        lines: the log.
        before: lines kept ahead of the error.
        after: lines kept from the error on; a traceback may take more.
    """
    for index, line in enumerate(lines):
        if line.endswith(_TRACEBACK):
            return max(0, index - before), max(_end_of_traceback(lines, index), min(len(lines), index + after))
        if _ERROR.search(line) and not _HARMLESS.search(line):
            return max(0, index - before), min(len(lines), index + after)
    return None


def moment(text: str, now: datetime) -> datetime:
    """Return the moment that a user names: `14:05`, `2026-11-27 14:05:10` (both UTC), or `10m` for ten minutes ago.

    Raises:
        ValueError: it is none of these.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now - timedelta(**{_UNITS[ago["unit"]]: int(ago["count"])})
    if re.fullmatch(r"\d\d:\d\d(?::\d\d)?", text.strip(), re.ASCII):
        named = datetime.combine(now.date(), time.fromisoformat(text.strip()), tzinfo=UTC)
        # Just after midnight `23:50` means yesterday's.
        return named if named <= now + timedelta(hours=1) else named - timedelta(days=1)
    told = datetime.fromisoformat(text.strip())
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def within(
    lines: Sequence[str], *, since: datetime | None, until: datetime | None, ended: datetime
) -> list[str] | None:
    """Return the lines of a stretch of time; None where no line tells its time.

    A line without a time belongs to the last one that told its own. A time without a date
    is of the day on which the log ended, or of the days before it, as the clock runs.

    Args:
        lines: the log.
        since: earliest moment, or None.
        until: latest moment, or None.
        ended: when the log was last written to, at most.
    """
    stamps = list(_stamps(lines, ended))
    if not any(stamps):
        return None
    kept = []
    for line, stamp in zip(lines, stamps, strict=True):
        early = since is not None and (stamp is None or stamp < since)
        late = until is not None and stamp is not None and stamp > until
        if not early and not late:
            kept.append(line)
    return kept


def _stamps(lines: Sequence[str], ended: datetime) -> Iterator[datetime | None]:
    """Yield the moment each line was written at, None before the first that is known."""
    day, later, known = ended.date(), None, dict[int, datetime]()
    # Read from the end: there the day is known, and each step back over midnight is one day less.
    for index in range(len(lines) - 1, -1, -1):
        found = _STAMP.match(lines[index])
        if not found:
            continue
        try:
            clock = time.fromisoformat(found["time"])
            day = date.fromisoformat(found["date"]) if found["date"] else day
        except ValueError:
            continue
        stamp = datetime.combine(day, clock, tzinfo=UTC)
        if not found["date"] and stamp > (later or ended):
            day -= timedelta(days=1)
            stamp -= timedelta(days=1)
        known[index] = later = stamp
    last = None
    for index in range(len(lines)):
        last = known.get(index, last)
        yield last


def _end_of_traceback(lines: Sequence[str], start: int) -> int:
    """Return the line after a traceback and those chained to it."""
    index = start + 1
    while index < len(lines):
        if lines[index].startswith((" ", "\t")) or not lines[index].strip():
            index += 1
            continue
        # The first line that is not indented names the exception; a chained one goes on.
        following = next((line for line in lines[index + 1 : index + 4] if line.strip()), "")
        if following.startswith(_CHAINED) or following.endswith(_TRACEBACK):
            index += lines[index + 1 :].index(following) + 2
            continue
        if lines[index].startswith(_CHAINED) or lines[index].endswith(_TRACEBACK):
            index += 1
            continue
        return index + 1
    return len(lines)
