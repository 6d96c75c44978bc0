"""Text of a file that a user named, or in words why it cannot be read."""

from pathlib import Path

from cruijff_kit.errors import SpecError

__all__ = ["user_text"]


def user_text(place: Path, *, name: str, hint: str) -> str:
    """Return the text of a file.

    Args:
        place: where it lies.
        name: how the user called it.
        hint: what to name instead.

    Raises:
        SpecError: it is not there, may not be read, or is not UTF-8.
    """
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        fact = (getattr(err, "strerror", None) or "it is not UTF-8").lower()
        raise SpecError(f"`{name}` cannot be read: {fact}", hint=hint) from err
