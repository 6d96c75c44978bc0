"""Lessons in `findings.md`: blocks that code writes and finds again among people's prose."""

import re
from collections.abc import Iterator

from pydantic import ValidationError

from cruijff_kit.schema.lesson import Evidence, Lesson

__all__ = ["parse_lessons", "prose_around", "render_lesson"]

# One line each, so that no text can pass for the next part of a block.
_BLOCK = re.compile(
    r"^### Lesson (?P<ts>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) \((?P<by>human|assistant|job|tool)\)\n\n"
    r"> (?P<text>[^\n]+)\n\n"
    r"(?P<evidence>(?:- `\{[^`\n]*\}`\n)+)",
    re.MULTILINE,
)
_EVIDENCE = re.compile(r"- `(\{[^`\n]*\})`\n")


def render_lesson(lesson: Lesson) -> str:
    """Return a lesson as the block that `parse_lessons` finds again."""
    head = lesson.model_dump(mode="json")
    lines = (each.model_dump_json(exclude_none=True).replace("`", r"\u0060") for each in lesson.evidence)
    evidence = "".join(f"- `{line}`\n" for line in lines)
    return f"### Lesson {head['ts']} ({lesson.by})\n\n> {lesson.text}\n\n{evidence}"


def parse_lessons(text: str) -> tuple[Lesson, ...]:
    """Return the lessons of a `findings.md` in its order; what people wrote around them is passed over."""
    return tuple(_lessons(text.replace("\r\n", "\n") + "\n"))


def prose_around(text: str) -> str:
    """Return what people wrote around the lessons of a `findings.md`, every line in its place."""
    whole = text.replace("\r\n", "\n") + "\n"
    kept = {id(block): block for block in _BLOCK.finditer(whole) if next(_lessons(block.group()), None) is not None}
    for block in kept.values():
        blank = "\n" * block.group().count("\n")
        whole = f"{whole[: block.start()]}{blank.ljust(len(block.group()))}{whole[block.end() :]}"
    return whole


def _lessons(text: str) -> Iterator[Lesson]:
    for block in _BLOCK.finditer(text):
        try:
            evidence = [Evidence.model_validate_json(line) for line in _EVIDENCE.findall(block["evidence"])]
            yield Lesson.model_validate({**block.groupdict(), "evidence": evidence})
        except ValidationError:
            # A block that somebody edited is prose again.
            continue
