"""Untrusted text: what jobs print, made safe to show to people and models."""

import re

__all__ = ["clean_line", "clean_text"]

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_LIMIT = 2_000


def clean_line(line: str) -> str:
    """Return a line without escapes, control, bidi and tag characters, at most 2,000 long.

    A progress bar that rewrites its line keeps its last state only.
    """
    shown = line.rstrip("\r\n").rsplit("\r", 1)[-1]
    visible = _INVISIBLE.sub("", _ESCAPES.sub("", shown))
    return visible if len(visible) <= _LIMIT else f"{visible[:_LIMIT]}… ({len(visible)} characters)"


def clean_text(text: str) -> str:
    """Return a text of any length without escapes, control, bidi and tag characters; its lines and tabs stay."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", _ESCAPES.sub("", text))
