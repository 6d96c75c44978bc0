"""Prompt templates: the one function that puts columns into braces."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from cruijff_kit.errors import Problem, SpecError

__all__ = ["asks", "braced", "fill_template", "placeholders"]

_MARK = re.compile("\ue000(\\d+)\ue001")
_BRACES = re.compile(r"(?P<open>\{\{)|(?P<close>\}\})|\{(?P<field>[^\W\d][\w.-]*)\}")


def placeholders(template: str) -> tuple[str, ...]:
    """Return the column names a template asks for, in order, each once."""
    found = (match["field"] for match in _BRACES.finditer(template))
    return tuple(dict.fromkeys(name for name in found if name))


def asks(template: str, *, input_key: str = "input") -> bool:
    """Return whether a template has a place for the question: `{input}`, or its column by its own name."""
    return not {"input", input_key}.isdisjoint(placeholders(template))


def fill_template(template: str, columns: Mapping[str, str]) -> str:
    """Return the template with each `{column}` replaced by its value.

    `{{` is a literal `{`, and the `}}` that closes it a literal `}`. Braces around
    anything but a name stay as they are, so JSON in a template needs no escapes.
    Values are never read as templates themselves.

    Raises:
        SpecError: the template names columns that do not exist.
    """
    unknown = [name for name in placeholders(template) if name not in columns]
    if unknown:
        raise SpecError(
            "the prompt template asks for columns that the rows do not have",
            problems=[_unknown_column(name, columns) for name in unknown],
        )
    open_escapes = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal open_escapes
        if match["field"]:
            return columns[match["field"]]
        if match["open"]:
            open_escapes += 1
            return "{"
        # A `}}` that closes no `{{` is the end of nested JSON and stays as it is.
        if open_escapes == 0:
            return "}}"
        open_escapes -= 1
        return "}"

    return _BRACES.sub(replacement, template)


def braced(template: str) -> Iterator[tuple[str, str]]:
    """Yield a template's pieces in order: text and no name, or no text and the name of a field."""
    names: dict[str, str] = {}
    marked = fill_template(template, {name: _marked(name, names) for name in placeholders(template)})
    for at, piece in enumerate(_MARK.split(marked)):
        if piece:
            yield ("", names[piece]) if at % 2 else (piece, "")


def _marked(name: str, names: dict[str, str]) -> str:
    """Return a mark that stands for a field: characters of private use, which no template holds."""
    key = str(len(names))
    names[key] = name
    return f"\ue000{key}\ue001"


def _unknown_column(name: str, columns: Mapping[str, str]) -> Problem:
    known = ", ".join(f"`{column}`" for column in columns) or "none"
    near = get_close_matches(name, list(columns), n=1)
    remedy = (
        f"write `{{{near[0]}}}`" if near else f"name one of the columns, or write `{{{{{name}}}}}` for plain braces"
    )
    return Problem(f"unknown column `{name}`; the rows have {known}", path="controls.prompt", hint=remedy)
