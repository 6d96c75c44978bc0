"""What is left of a user's quota, as the file systems' own programs tell it."""

import re
from collections.abc import Sequence

__all__ = ["left_by_lustre", "left_by_quota"]

_NUMBER = re.compile(r"\d+")


def left_by_quota(answer: str, *, device: str) -> int | None:
    """Return the bytes left by `quota -wp` on a device; None where it tells of no limit there."""
    for line in answer.splitlines():
        words = line.split()
        if words[:1] == [device]:
            return _left(words[1:4])
    return None


def left_by_lustre(answer: str) -> int | None:
    """Return the bytes left by `lfs quota -q -u USER PATH`; None where it tells of no limit."""
    words = answer.split()
    return _left(words[1:4])


def _left(words: Sequence[str]) -> int | None:
    """Return what used, soft and hard limit in KiB leave; a star marks a limit that is passed."""
    numbers = [int(match[0]) for word in words if (match := _NUMBER.match(word.strip("[]*")))]
    if len(numbers) < 3:
        return None
    used, soft, hard = numbers
    limits = [limit for limit in (soft, hard) if limit]
    return max(0, min(limits) - used) * 1024 if limits else None
