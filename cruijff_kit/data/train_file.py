"""Configuration files and profiles of `ck train`: our own keys, or those of the original's two forms."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from cruijff_kit.data.plain_values import as_written
from cruijff_kit.data.setup_text import SCHEDULES
from cruijff_kit.data.yaml_text import Marks, YamlPath, dotted, load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.schema.train_keys import TRAIN_KEYS
from cruijff_kit.schema.train_terms import PLACES, TERMS, Term

__all__ = ["TrainFile", "read_profile", "read_train_file"]

_SECTIONS = frozenset(name.partition(".")[0] for name in TERMS if "." in name)


class TrainFile(NamedTuple):
    """What one file says."""

    values: dict[str, Any]
    """Value of each key that was written; those of `PLACES` too."""
    places: dict[str, str]
    """Key to `file:line` where it stands."""
    problems: tuple[Problem, ...]
    """All that cannot be taken."""


class _Said(NamedTuple):
    key: str
    value: Any
    path: YamlPath


def read_train_file(text: str, *, name: str) -> TrainFile:
    """Return what a configuration says, each key by the name it has here.

    Raises:
        SpecError: the text is not plain YAML.
    """
    return _read(text, name=name, extra=PLACES)


def read_profile(text: str, *, name: str) -> TrainFile:
    """Return what a profile says: our own keys alone, and no model, data or output.

    Raises:
        SpecError: the text is not plain YAML.
    """
    return _read(text, name=name, extra=())


def _read(text: str, *, name: str, extra: tuple[str, ...]) -> TrainFile:
    document = load_yaml(text, name=name)
    marks = document.marks
    if not isinstance(document.value, dict):
        fact = "the file is empty" if document.value is None else "the file does not hold `key: value` lines"
        return TrainFile({}, {}, (Problem(fact, place=name, hint="write `epochs: 3`, for one"),))
    found: dict[str, _Said] = {}
    problems: list[Problem] = []
    for each in _told(document.value, marks, extra=extra):
        if isinstance(each, Problem):
            problems.append(each)
        elif each.key in found and found[each.key].value != each.value:
            first = found[each.key]
            fact = f"`{dotted(each.path)}` and `{dotted(first.path)}` both say `{each.key}`, and differ"
            problems.append(Problem(fact, dotted(each.path), marks.place(each.path), "keep one of them"))
        else:
            found[each.key] = each
    places = {key: marks.place(said.path) for key, said in found.items()}
    return TrainFile({key: said.value for key, said in found.items()}, places, tuple(problems))


def _told(document: Mapping[str, Any], marks: Marks, *, extra: tuple[str, ...]) -> Iterator[_Said | Problem]:
    for name, value in document.items():
        if isinstance(value, dict) and name in _SECTIONS and extra:
            for key, inner in value.items():
                yield from _translated(f"{name}.{key}", inner, path=(name, key), marks=marks)
        elif name in TRAIN_KEYS or name in extra:
            yield from _own(name, value, path=(name,), marks=marks)
        elif name in TERMS and extra:
            yield from _translated(name, value, path=(name,), marks=marks)
        else:
            yield _unknown(name, path=(name,), known=(*TRAIN_KEYS, *extra), marks=marks)


def _own(key: str, value: Any, *, path: YamlPath, marks: Marks) -> Iterator[_Said | Problem]:
    if isinstance(value, dict):
        hint = f"write `{key}:` and its value, or the original's section with keys of its own"
        yield Problem(f"`{key}` holds a section, not a value", dotted(path), marks.place(path), hint)
        return
    if key in PLACES and not isinstance(value, str | None):
        fact = f"`{as_written(value)}` is no name and no path"
        yield Problem(fact, dotted(path), marks.place(path), f'write it in quotes if it is: `{key}: "2026"`')
        return
    value = SCHEDULES.get(value, value) if key == "lr_scheduler" and isinstance(value, str) else value
    yield _Said(key, value, path)


def _translated(name: str, value: Any, *, path: YamlPath, marks: Marks) -> Iterator[_Said | Problem]:
    """Yield what a key of the original is here; nothing where it says what happens anyway."""
    term = TERMS.get(name)
    if term is None:
        yield _unknown(name, path=path, known=tuple(TERMS), marks=marks)
    elif term.key is not None and not term.values:
        # What the original's files leave null was not said.
        yield from _own(term.key, value, path=path, marks=marks) if value is not None else ()
    elif not _is_among(value, term):
        fact = f"`{name}: {as_written(value)}` cannot be done" if term.values else f"`{name}` is not taken"
        yield Problem(fact, dotted(path), marks.place(path), term.hint or _choices(term))
    elif term.key is not None and term.values[value] is not None:
        yield _Said(term.key, term.values[value], path)


def _is_among(value: Any, term: Term) -> bool:
    """Return whether a value is one of a term's; a truth value is no number here."""
    if isinstance(value, list | dict):
        return False
    return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in term.values)


def _choices(term: Term) -> str:
    return f"one of {', '.join(f'`{as_written(value)}`' for value in term.values)}"


def _unknown(name: str, *, path: YamlPath, known: tuple[str, ...], marks: Marks) -> Problem:
    near = get_close_matches(name, known, n=1)
    hint = (
        f"did you mean `{near[0]}`?" if near else f"remove it; keys are {', '.join(f'`{key}`' for key in known[:6])}…"
    )
    return Problem(f"unknown key `{name}`", dotted(path), marks.place(path), hint)
