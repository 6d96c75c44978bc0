"""The predecessor's configuration and labels as text: every key by its dotted name, and where it stands.

A key that is not written has the predecessor's default. Two groups ask for something unless
told otherwise, `abstention_loss` and `calibration_monitoring`: left out whole they are off.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.plain_values import is_number
from cruijff_kit.data.yaml_text import Marks, YamlPath, dotted, load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.schema.config_keys import ALIASES, MODEL_BLOCKS, ConfigKey

__all__ = ["ConfigText", "key_of", "malformed", "read_config"]

_ASKING = ("abstention_loss", "calibration_monitoring")
_MODELS = "model_options"


class ConfigText(NamedTuple):
    """What a file says."""

    values: Mapping[str, Any]
    """Every key by its dotted name, at its default where the file does not say."""
    said: Mapping[str, YamlPath]
    """Keys that are written, with their path in the file."""
    marks: Marks
    """Where everything stands."""
    problems: tuple[Problem, ...]
    """Keys that nobody knows."""

    def place(self, name: str) -> str:
        """Return file and line of a key."""
        return self.marks.place(self.said.get(name, ()))


def read_config(text: str, *, name: str, table: Mapping[str, ConfigKey]) -> ConfigText:
    """Return the keys of a file. Forms of values are not looked at: a key that asks for nothing may hold anything.

    Args:
        text: YAML.
        name: file name, for messages.
        table: the keys there are.

    Raises:
        SpecError: the text is not plain YAML.
    """
    document = load_yaml(text, name=name)
    reader = _Reader(table, document.marks)
    if isinstance(document.value, dict):
        reader.walk(document.value)
    elif document.value is not None:
        reader.report((), f"`{name}` does not hold `key: value` lines", hint=f"write `{next(iter(table))}: …`, for one")
    values = {**dict(_defaults(table, reader.values)), **reader.values}
    return ConfigText(values, reader.said, document.marks, tuple(reader.problems))


def key_of(name: str, table: Mapping[str, ConfigKey]) -> ConfigKey:
    """Return the key of a dotted name, that of any model by its place."""
    # Names of models may hold points.
    return table[f"{_MODELS}.<m>.{name.rpartition('.')[2]}" if name.startswith(f"{_MODELS}.") else name]


def malformed(key: ConfigKey, value: Any) -> str:
    """Return what form a value should have; empty where it has it."""
    if value is None and key.kind.endswith("?"):
        return ""
    words, fits = _FORMS[key.kind.removesuffix("?")]
    return "" if fits(value) else words


def _defaults(table: Mapping[str, ConfigKey], said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, key in table.items():
        group, _, last = name.rpartition(".")
        if not name.startswith(f"{_MODELS}."):
            silent = last == "enabled" and group in _ASKING and not any(each.startswith(f"{group}.") for each in said)
            yield name, False if silent else key.default
    if "selected_model" in table:
        chosen = said.get("selected_model", table["selected_model"].default)
        block = dict(MODEL_BLOCKS.get(chosen if isinstance(chosen, str) else "", {}))
        if f"{_MODELS}.{chosen}.model_id" in said:
            block["tokenizer_id"] = said[f"{_MODELS}.{chosen}.model_id"]
        yield from ((f"{_MODELS}.{chosen}.{part}", value) for part, value in block.items())


class _Reader:
    """Flattens a document, noting what is wrong."""

    def __init__(self, table: Mapping[str, ConfigKey], marks: Marks) -> None:
        self._table, self._marks = table, marks
        self.values: dict[str, Any] = {}
        self.said: dict[str, YamlPath] = {}
        self.problems: list[Problem] = []

    def walk(self, value: Mapping[str, Any], path: YamlPath = ()) -> None:
        """Take every key below a path."""
        for part, inner in value.items():
            self._take((*path, part), inner)

    def report(self, path: YamlPath, fact: str, *, hint: str) -> None:
        """Note a problem at its line."""
        self.problems.append(Problem(fact, dotted(path), self._marks.place(path), hint))

    def _take(self, path: YamlPath, inner: Any) -> None:
        name = _renamed(".".join(map(str, path)))
        general = ".".join(map(str, (_MODELS, "<m>", *path[2:]))) if path[0] == _MODELS and len(path) > 1 else name
        if general in self._table:
            if name in self.said:
                first = dotted(self.said[name])
                self.report(path, f"`{dotted(path)}` and `{first}` are one key", hint="keep one of them")
            self.values[name], self.said[name] = inner, path
        elif any(each.startswith(f"{general}.") for each in (*self._table, *ALIASES)) or general == _MODELS:
            if isinstance(inner, dict):
                self.walk(inner, path)
            elif inner is not None:
                self.report(path, f"`{dotted(path)}` is a group of keys", hint="write them below it, indented")
        else:
            self._unknown(path, general)

    def _unknown(self, path: YamlPath, general: str) -> None:
        group, _, last = general.rpartition(".")
        beside = {each.removeprefix(f"{group}.").partition(".")[0] for each in self._table if _within(each, group)}
        near = get_close_matches(last, sorted(beside), n=1) or get_close_matches(general, list(self._table), n=1)
        elsewhere = [each for each in self._table if each.rpartition(".")[2] == last]
        told = near or elsewhere[:1]
        known = ", ".join(f"`{each}`" for each in sorted(beside))
        hint = f"write `{told[0]}`, or remove it" if told else f"remove it; known here are {known}"
        self.report(path, f"`{dotted(path)}` is no key of this form", hint=hint)


def _within(name: str, group: str) -> bool:
    return not group or name.startswith(f"{group}.")


def _renamed(name: str) -> str:
    for old, new in ALIASES.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


def _is_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) and each.strip() for each in value)


_FORMS: Mapping[str, tuple[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "truth": ("`true` or `false`", lambda value: isinstance(value, bool)),
        "integer": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
        "number": ("a number", is_number),
        "text": ("a text", lambda value: isinstance(value, str)),
        "words": ("a list of texts", _is_words),
        "rows": ("a list", lambda value: isinstance(value, list | tuple)),
        "schema": ("JSON, or keys with their types", lambda value: value is None or isinstance(value, str | dict)),
    }
)
"""Kinds of values: in words, and whether a value is of it."""
