"""Time limits in Slurm's notation, and back."""

import re

__all__ = ["notice_before", "seconds_of", "text_of"]

_MOST_NOTICE = 120
_NOTICE_SHARE = 10

_FORM = re.compile(r"(?:(?P<days>\d{1,3})-)?(?P<hours>\d{1,2}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")


def seconds_of(text: str) -> int:
    """Return the seconds of `[days-]hours:minutes:seconds`.

    Raises:
        ValueError: the text has another form.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"time limit `{text}` is not `[days-]hours:minutes:seconds`")
    parts = {name: int(value or 0) for name, value in match.groupdict().items()}
    return ((parts["days"] * 24 + parts["hours"]) * 60 + parts["minutes"]) * 60 + parts["seconds"]


def notice_before(text: str) -> int:
    """Return the seconds before a time limit at which a training is told, to make a checkpoint.

    Two minutes hold a step and a checkpoint; of a short limit a tenth is kept for them.
    """
    return min(_MOST_NOTICE, -(-seconds_of(text) // _NOTICE_SHARE))


def text_of(seconds: int) -> str:
    """Return seconds as `[days-]hh:mm:ss`, the form scripts are given."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days}-{hour:02}:{minute:02}:{second:02}" if days else f"{hour:02}:{minute:02}:{second:02}"
