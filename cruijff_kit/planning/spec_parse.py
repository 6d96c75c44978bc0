"""From plain data to a design: every problem at once, in the user's words, with its place."""

import copy
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import Marks, YamlPath, dotted
from cruijff_kit.errors import Problem
from cruijff_kit.planning.spec_keys import field_at, key_help, remedy_for
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Parsed", "parse_spec", "placed"]

_STAND_INS = {"name": "unnamed", "question": "not asked yet", "created": "2000-01-01"}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_KINDS = {
    "bool": "`true` or `false`",
    "dict": "a mapping of keys to values",
    "float": "a number",
    "int": "a whole number",
    "list": "a list, such as `[a, b]`",
    "model": "a mapping of keys to values",
    "string": "text",
    "tuple": "a list, such as `[a, b]`",
}
# What a field that holds one of several nouns says of a value that is none of them.
_TAGGED = frozenset({"union_tag_not_found", "model_attributes_type"})
_DESIGNS = ("grid", "fractional", "latin_hypercube", "search")
_PATTERNS = {
    "^[A-Za-z0-9]": "letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first",
    r"^\d{4}-": "a date such as `2026-11-20`",
    r"^(?:\d{1,3}-)?": "a time such as `1-12:00:00` or `00:30:00`, seconds included",
    r"^[1-9]\d*[KMGT]": "a size such as `80G`",
    "^[0-9a-f]{64}": "64 hexadecimal digits",
    "^[A-Za-z0-9_&|": "node features without spaces or quotes",
}


class Parsed(NamedTuple):
    """A design read from plain data."""

    spec: ExperimentSpec | None
    """The design; where there are problems, what remains of it without them."""
    problems: tuple[Problem, ...]
    """All that is wrong with its form."""


def parse_spec(value: Any, marks: Marks) -> Parsed:
    """Return a design and everything that is wrong with its form.

    Where keys are wrong, the rest is still made into a design, defaults in their
    stead, so that later checks can name their problems in the same answer.
    """
    if not isinstance(value, dict):
        fact = "the design is empty" if value is None else "the design is not a mapping of keys to values"
        return Parsed(None, (Problem(fact, place=marks.name, hint="start with `name:`; see `ck schema`"),))
    try:
        spec = ExperimentSpec.model_validate(value)
    except ValidationError as err:
        found = _told(err, value)
        problems = [problem for problem, _ in found]
        spec = _salvaged(value, [path for _, path in found])
    else:
        problems = []
    problems += _truths(value, ())
    return Parsed(spec, tuple(placed(problems, marks)))


def placed(problems: Iterable[Problem], marks: Marks) -> list[Problem]:
    """Return problems in the order of their lines, each once, with `file:line`."""
    lines = {dotted(path): line for path, line in marks.lines.items()}
    once = {(each.path, each.message): each for each in problems}.values()
    found = [each if each.place else each._replace(place=_place(each.path, lines, name=marks.name)) for each in once]
    return sorted(found, key=lambda each: _line(each.place))


def _place(path: str, lines: dict[str, int], *, name: str) -> str:
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return f"{name}:{lines.get(path, 1)}"


def _line(place: str) -> tuple[str, int]:
    name, _, line = place.rpartition(":")
    return (name, int(line)) if line.isdigit() else (place, 0)


def _told(err: ValidationError, value: Any) -> list[tuple[Problem, YamlPath]]:
    """Translate pydantic's errors, one a key: of several readings of a value the one that got furthest."""
    by_path: dict[YamlPath, list[Any]] = {}
    for found in err.errors():
        by_path.setdefault(_real_path(found, value), []).append(found)
    paths = [path for path in by_path if not any(_below(other, path) for other in by_path)]
    told = [(_problem(path, by_path[path]), path) for path in paths]
    # A misspelt key is one mistake, though its right spelling is missing too.
    meant = {(path[:-1], problem.hint) for problem, path in told}
    return [(each, path) for each, path in told if (path[:-1], f"write `{''.join(map(str, path[-1:]))}`") not in meant]


def _below(path: YamlPath, above: YamlPath) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _real_path(found: Any, value: Any) -> YamlPath:
    """Return the location without the names of union members that pydantic puts into it."""
    path: list[str | int] = []
    for part in found["loc"]:
        if _holds(value, part):
            path.append(part)
            value = value[part]
    if found["type"] == "missing":
        path.append(found["loc"][-1])
    return tuple(path)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _problem(path: YamlPath, found: Sequence[Any]) -> Problem:
    # Of several readings the one that was begun tells more than those that were never meant.
    first = next((each for each in found if each["type"] in {"value_error", "union_tag_invalid"}), found[0])
    where, kind, meaning = dotted(path), first["type"], key_help(path)
    if kind == "missing":
        return Problem(f"`{path[-1]}` is missing", where, hint=f"add `{path[-1]}:`. {meaning}")
    if kind == "extra_forbidden":
        return Problem(f"unknown key `{path[-1]}`", where, hint=remedy_for(path))
    if kind == "value_error":
        return Problem(str(first["ctx"]["error"]), where, hint=meaning or "see `ck schema`")
    if kind in {"too_short", "string_too_short"}:
        return Problem(f"`{path[-1]}` is empty", where, hint=f"fill it in. {meaning}")
    if kind == "union_tag_invalid":
        tag = first["ctx"]["tag"]
        near = get_close_matches(tag, _DESIGNS, n=1, cutoff=0.0)
        return Problem(f"unknown kind `{tag}`; kinds are `{'`, `'.join(_DESIGNS)}`", where, hint=f"write `{near[0]}`")
    fact = f"{_shown(first['input'])} is not allowed; it must be {_expected(found)}"
    return Problem(fact, where, hint=_hint(path, first))


def _hint(path: YamlPath, found: Any) -> str:
    value, meaning = found["input"], key_help(path)
    near = get_close_matches(str(value), _literals([found]), n=1, cutoff=0.5)
    if near:
        return f"write `{near[0]}`"
    if found["type"] in {"tuple_type", "list_type"} and not isinstance(value, dict):
        return f"write `{path[-1]}: [{value}]`"
    if found["type"] == "string_type" and not isinstance(value, dict | list):
        return f'put it in quotes: "{value}". {meaning}'
    return f"mend the value. {meaning}" if meaning else "see `ck schema`"


def _expected(found: Sequence[Any]) -> str:
    """Return what was allowed, all readings of the value joined by `or`."""
    return " or ".join(dict.fromkeys(_one_expected(each) for each in found))


def _one_expected(found: Any) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]}"
    if kind == "literal_error":
        return " or ".join(f"`{name}`" for name in _literals([found]))
    if kind == "string_pattern_mismatch":
        known = (text for start, text in _PATTERNS.items() if context["pattern"].startswith(start))
        return next(known, f"text that matches `{context['pattern']}`")
    if kind == "int_from_float":
        return "a whole number"
    if kind in _TAGGED:
        return f"a mapping with `kind: {'`, `kind: '.join(_DESIGNS)}`"
    return str(_KINDS.get(kind.split("_")[0], found["msg"].lower()))


def _literals(found: Sequence[Any]) -> list[str]:
    texts = [each.get("ctx", {}).get("expected", "") for each in found if each["type"] == "literal_error"]
    return [name.strip("' ") for text in texts for name in text.replace(" or ", ", ").split(", ")]


def _shown(value: Any) -> str:
    text = "nothing" if value is None or value == "" else f"`{value}`"
    if isinstance(value, dict | list):
        text = "a list" if isinstance(value, list) else "a mapping"
    return text if len(text) <= 80 else f"{text[:76]}…`"


def _salvaged(value: dict[str, Any], wrong: Sequence[YamlPath]) -> ExperimentSpec | None:
    """Return the design without its wrong keys, or None where too little remains."""
    rest = copy.deepcopy(value)
    for path in sorted(wrong, key=lambda each: tuple(map(str, each)), reverse=True):
        _remove(rest, path)
    try:
        return ExperimentSpec.model_validate({**_STAND_INS, **rest})
    except ValidationError:
        return None


def _remove(value: Any, path: YamlPath) -> None:
    for part in path[:-1]:
        if not _holds(value, part):
            return
        value = value[part]
    if path and _holds(value, path[-1]):
        del value[path[-1]]


def _truths(value: Any, path: YamlPath) -> list[Problem]:
    """Return a problem for each truth value that would be taken for a number."""
    if isinstance(value, dict):
        return [problem for key, item in value.items() for problem in _truths(item, (*path, key))]
    if isinstance(value, list):
        return [problem for at, item in enumerate(value) for problem in _truths(item, (*path, at))]
    if not isinstance(value, bool):
        return []
    field = field_at(path) or field_at(path[:-1])
    kinds = str(field.annotation) if field else "bool"
    if "bool" in kinds or not ("int" in kinds or "float" in kinds):
        return []
    word = str(value).lower()
    return [Problem(f"`{word}` is not a number", dotted(path), hint=f"write a number. {key_help(path)}")]
