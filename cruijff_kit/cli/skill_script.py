"""Worked examples of skills, read as a script of tool calls or of commands."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Call", "filled", "read_calls", "read_commands"]

_FENCE = re.compile(
    r"^```json tool=(?P<tool>\w+)(?P<optional> optional)?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_SHELL = re.compile(r"^```bash\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{(?P<name>[a-z_]+)(?::(?P<path>[^}]+))?\}")


class Call(NamedTuple):
    """One tool call of a worked example."""

    tool: str
    """Tool name."""
    arguments: dict[str, Any]
    """Arguments as written, variables unfilled."""
    optional: bool
    """Whether it is off the straight path: a retry, a cancellation."""
    skill: Path
    """Folder of the skill; files it names start there."""


def read_calls(skill: Path) -> list[Call]:
    """Return the calls of a skill's worked examples, in the order written."""
    text = (skill / "SKILL.md").read_text(encoding="utf-8")
    return [
        Call(match["tool"], json.loads(match["body"]), match["optional"] is not None, skill)
        for match in _FENCE.finditer(text)
    ]


def read_commands(skill: Path) -> list[list[str]]:
    """Return the commands of a skill's worked examples, in the order written, one a line and split into words."""
    text = (skill / "SKILL.md").read_text(encoding="utf-8")
    lines = [line for match in _SHELL.finditer(text) for line in match["body"].splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def filled(value: Any, variables: Mapping[str, str], skill: Path) -> Any:
    """Return a value with `${name}` replaced, and `${file:PATH}` by that file's filled text."""
    if isinstance(value, dict):
        return {key: filled(each, variables, skill) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, variables, skill) for each in value]
    if not isinstance(value, str):
        return value

    def text_of(match: re.Match[str]) -> str:
        if match["name"] == "file":
            return filled((skill / match["path"]).read_text(encoding="utf-8"), variables, skill)
        return variables[match["name"]]

    return _VARIABLE.sub(text_of, value)
