"""Several words in one option."""

__all__ = ["listed"]


def listed(text: str) -> tuple[str, ...]:
    """Return the words between commas; blanks around them do not count, and nothing is no word."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
