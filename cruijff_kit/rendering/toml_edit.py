"""One table of a TOML file changed in place: comments, order and line ends of all else stay."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

__all__ = ["rendered_table", "with_table"]

_HEADER = re.compile(r"\s*\[+\s*(?P<name>[^\[\]#]+?)\s*\]+\s*(?:#.*)?$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def with_table(text: str, path: tuple[str, str], *, values: Mapping[str, Any]) -> str:
    """Return a TOML text in which the table at a path of two names has these values.

    Raises:
        ValueError: the text is not TOML, or says the table in a way that cannot be changed in place.
    """
    outer, inner = path
    plain = tomllib.loads(text)
    if not isinstance(plain.get(outer, {}), dict):
        raise ValueError(f"`{outer}` is not a table")
    wanted = {**plain, outer: {**plain.get(outer, {}), inner: dict(values)}}
    table = rendered_table(path, values)
    lines = text.splitlines(keepends=True)
    old = _block(lines, path)
    if old is None:
        before = text.rstrip()
        new = f"{before}\n\n{table}" if before else table
    else:
        new = "".join([*lines[: old[0]], table, *lines[old[1] :]])
    new = new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in text else new
    if not _says(new, wanted):
        raise ValueError(f"`{outer}.{inner}` is written in a way that cannot be changed in place")
    return new


def rendered_table(path: tuple[str, str], values: Mapping[str, Any]) -> str:
    """Return a table as it stands alone."""
    rows = [f"{_key(name)} = {_value(value)}\n" for name, value in values.items()]
    return "".join([f"[{path[0]}.{_key(path[1])}]\n", *rows])


def _block(lines: list[str], path: tuple[str, str]) -> tuple[int, int] | None:
    """Return the first line of a table and the one after its last, with the tables in it that follow at once."""
    start = end = None
    for number, line in enumerate(lines):
        found = _HEADER.match(line)
        if found is None:
            continue
        names = re.sub(r"[\s\"']", "", found["name"])
        ours = names == ".".join(path) or names.startswith(".".join(path) + ".")
        if ours and start is None:
            start = number
        elif start is not None and not ours:
            end = number
            break
    if start is None:
        return None
    end = len(lines) if end is None else end
    # Blank lines and comments before the next table are that table's.
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return start, end


def _says(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, int | float):
        return repr(value)
    raise ValueError(f"`{value}` cannot be written again")


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
