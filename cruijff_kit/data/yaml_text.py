"""YAML as this project reads and writes it: plain data, with places, without surprises.

Reading takes mappings, lists and scalars alone: no tags, anchors or aliases, and
no key twice. Scalars follow the core schema of YAML 1.2 (`1e-3` is a number; a date,
`yes` and `12:30:00` are text). Writing quotes whatever a reader of either YAML
version could take for something else, and gives the same text on every machine.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from cruijff_kit.errors import Problem, SpecError

__all__ = ["Marks", "YamlPath", "YamlText", "dotted", "dump_yaml", "load_yaml"]

YamlPath = tuple[str | int, ...]
"""Keys and list positions from the root of a document."""

_MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 32
_MAX_DIGITS = 300
_FLOW_WIDTH = 100
_COLLECTIONS = (dict, list, tuple)

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

# Plain in block and in flow style, whatever stands around it.
_PLAIN = re.compile(r"[A-Za-z_/][\w./@%+=~^()$;!?'<>&*|-]*(?: [\w./@%+=~^()$;!?'<>&*|-]+)*", re.ASCII)
# What readers of YAML 1.1 take for a truth value.
_RESERVED = frozenset({"yes", "no", "on", "off", "true", "false", "null"})
_ESCAPED = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dotted(path: YamlPath) -> str:
    """Return a path as people write it, such as `models[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


class Marks(NamedTuple):
    """Where each key and list item of a document stands."""

    name: str
    """Name of the file or text, as shown to people."""
    lines: Mapping[YamlPath, int]
    """Line of each key and item, counted from 1."""

    def place(self, path: YamlPath) -> str:
        """Return `name:line` of a path, or of its nearest ancestor."""
        for end in range(len(path), -1, -1):
            line = self.lines.get(path[:end])
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


class YamlText(NamedTuple):
    """A document read: its value and where each part of it stands."""

    value: Any
    """Mappings, lists, strings, numbers, truth values and None."""
    marks: Marks
    """Places of keys and items."""


def load_yaml(text: str, *, name: str, first_line: int = 1) -> YamlText:
    """Read one YAML document of plain data, with the place of every key.

    Args:
        text: the document, at most a million characters.
        name: file name shown in problems.
        first_line: line of the file at which the text starts.

    Raises:
        SpecError: the syntax is wrong, or tags, anchors, aliases or repeated keys are used.
    """
    if len(text) > _MAX_CHARACTERS:
        raise SpecError(f"`{name}` has {len(text)} characters; at most {_MAX_CHARACTERS} are read")
    reader = _Reader(name, first_line)
    try:
        value = reader.document(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as err:
        raise SpecError(f"`{name}` is not valid YAML", problems=[_syntax_problem(err, reader)]) from err
    except RecursionError as err:
        raise SpecError(f"`{name}` is not valid YAML: it opens mapping in mapping without end") from err
    except UnicodeEncodeError as err:
        line = text.count("\n", 0, err.start) + first_line
        problem = Problem("half of a surrogate pair", place=f"{name}:{line}", hint="write the character itself")
        raise SpecError(f"`{name}` holds what is no character", problems=[problem]) from err
    if reader.problems:
        raise SpecError(f"`{name}` holds what is not plain YAML", problems=reader.problems)
    return YamlText(value, Marks(name, reader.lines))


def _syntax_problem(err: yaml.YAMLError, reader: "_Reader") -> Problem:
    mark = getattr(err, "problem_mark", None) or getattr(err, "context_mark", None)
    fact = getattr(err, "problem", None) or str(err).splitlines()[0]
    place = reader.place(mark) if mark else reader.name
    return Problem(str(fact), place=place, hint="mend the line, or the one before it; strings with `: ` need quotes")


class _Reader:
    """Builds a value from parser events, noting lines and problems."""

    def __init__(self, name: str, first_line: int) -> None:
        self.name = name
        self.first_line = first_line
        self.lines: dict[YamlPath, int] = {}
        self.problems: list[Problem] = []

    def place(self, mark: Any) -> str:
        return f"{self.name}:{mark.line + self.first_line}"

    def document(self, events: Iterator[Any]) -> Any:
        value, documents = None, 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report(event, (), fact="a second document starts here", hint="keep one document a file")
            elif not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
                value = self._node(event, events, path=())
        return value

    def _report(self, event: Any, path: YamlPath, *, fact: str, hint: str) -> None:
        self.problems.append(Problem(fact, dotted(path), self.place(event.start_mark), hint))

    def _node(self, event: Any, events: Iterator[Any], *, path: YamlPath) -> Any:
        self.lines.setdefault(path, event.start_mark.line + self.first_line)
        if len(path) > _MAX_DEPTH:
            problem = Problem(f"nested deeper than {_MAX_DEPTH} levels", place=self.place(event.start_mark))
            raise SpecError(f"`{self.name}` is not a design", problems=[problem])
        self._refuse_extras(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(event, path) if isinstance(event, yaml.ScalarEvent) else None

    def _refuse_extras(self, event: Any, path: YamlPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._report(event, path, fact=f"alias `*{event.anchor}` is not allowed", hint="write the value out")
            return
        if event.anchor:
            self._report(event, path, fact=f"anchor `&{event.anchor}` is not allowed", hint="write the value out")
        if event.tag:
            self._report(event, path, fact=f"tag `{event.tag}` is not allowed", hint="remove it; text goes in quotes")

    def _sequence(self, events: Iterator[Any], path: YamlPath) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, path=(*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: YamlPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, path=path)
            where = (*path, key)
            if key in found:
                first = self.lines[where]
                fact = f"key `{key}` is written twice, first on line {first}"
                self._report(event, where, fact=fact, hint="keep one of them")
            self.lines.setdefault(where, event.start_mark.line + self.first_line)
            found[key] = self._node(next(events), events, path=where)
        return found

    def _key(self, event: Any, events: Iterator[Any], *, path: YamlPath) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event, path)
            return str(event.value)
        self._node(event, events, path=path)
        self._report(event, path, fact="a key must be text", hint="quote the key; braces in a value need quotes too")
        return ""

    def _scalar(self, event: Any, path: YamlPath) -> Any:
        if not event.implicit[0]:
            return event.value
        if len(event.value) > _MAX_DIGITS and _INTEGER.fullmatch(event.value):
            self._report(event, path, fact=f"a number of {len(event.value)} digits", hint="quote it if it is text")
            return None
        return _resolve(event.value)


def _resolve(text: str) -> Any:
    """Return the value of a plain scalar under the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text, 10 if text.lstrip("+-").isdigit() else 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special:
        return float("nan") if special[1] is None else float(f"{special[1]}inf")
    return text


def dump_yaml(value: Any) -> str:
    """Write plain data as YAML; `load_yaml` gives the same value back.

    Keys keep their order. Lists of scalars that fit a line are written in brackets,
    text of several lines as a block, everything else in block style.

    Raises:
        TypeError: the value holds something else than plain data with text keys.
    """
    lines: list[str] = []
    if isinstance(value, _COLLECTIONS) and value:
        lines += _block(value, "")
    else:
        lines.append(_inline(value, ""))
    return "\n".join(lines) + "\n"


def _block(value: Any, indent: str) -> list[str]:
    """Return the lines of a mapping or list that is not empty."""
    lines: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key `{key!r}` is not text")
            lines += _entry(f"{indent}{_string(key)}:", item, indent=indent)
        return lines
    for item in value:
        lines += _item(item, indent)
    return lines


def _entry(head: str, item: Any, *, indent: str) -> list[str]:
    if not isinstance(item, _COLLECTIONS) or not item:
        return [f"{head} {_inline(item, indent)}"]
    flow = None if isinstance(item, dict) else _flow(item)
    if flow is not None and len(head) + len(flow) < _FLOW_WIDTH:
        return [f"{head} {flow}"]
    return [head, *_block(item, f"{indent}  ")]


def _item(item: Any, indent: str) -> list[str]:
    if not isinstance(item, _COLLECTIONS) or not item:
        return [f"{indent}- {_inline(item, indent)}"]
    first, *rest = _block(item, f"{indent}  ")
    return [f"{indent}- {first[len(indent) + 2 :]}", *rest]


def _flow(items: list[Any] | tuple[Any, ...]) -> str | None:
    """Return a list of scalars in brackets; None where it holds anything else."""
    if any(isinstance(item, _COLLECTIONS) for item in items):
        return None
    return f"[{', '.join(_scalar(item) for item in items)}]"


def _inline(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return _literal(value, f"{indent}  ") if "\n" in value and _fits_block(value) else _string(value)
    if isinstance(value, _COLLECTIONS):
        return "{}" if isinstance(value, dict) else "[]"
    return _scalar(value)


def _fits_block(text: str) -> bool:
    """Return whether a literal block keeps every character of a text."""
    lines = text.removesuffix("\n").split("\n")
    edges = lines[0].startswith((" ", "\t")) or not lines[0] or not lines[-1]
    return not edges and not any(line != line.rstrip() or _ESCAPED.search(line) for line in lines)


def _literal(text: str, indent: str) -> str:
    body = "\n".join(f"{indent}{line}" if line else "" for line in text.removesuffix("\n").split("\n"))
    return f"|\n{body}" if text.endswith("\n") else f"|-\n{body}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    raise TypeError(f"`{type(value).__name__}` is not plain data")


def _float(value: float) -> str:
    text = repr(value)
    if text in {"inf", "-inf", "nan"}:
        return text.replace("inf", ".inf").replace("nan", ".nan")
    # YAML 1.1 wants a point in a number that has an exponent.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


@lru_cache(maxsize=4096)
def _string(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
