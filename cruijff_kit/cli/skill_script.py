"""Worked examples of skills and documents, read as a script of tool calls and commands."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = [
    "Call",
    "Command",
    "filled",
    "read_calls",
    "read_commands",
    "read_document",
    "read_files",
    "read_questions",
    "read_steps",
]

_FENCE = re.compile(
    r"^```(?:json tool=(?P<tool>\w+)(?: each=(?P<each>\S+))?"
    r"|bash(?: set=(?P<set>[a-z_]+):(?P<key>[a-z_]+))?(?: typed=(?P<typed>\w+))?(?P<shared> shared)?"
    r"|text (?P<told>shows|asks))(?P<optional> optional)?\n"
    r"(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"^```\w+ file=(?P<name>\S+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_ASKED = re.compile(r"^## Ask, never assume$(?P<section>.*?)(?=^## )", re.MULTILINE | re.DOTALL)
_QUESTION = re.compile(r"^\d+\. (?:\*\*(?P<words>[^*]+)\*\*)?", re.MULTILINE)
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
    shows: str = ""
    """What the text quotes of its answer."""
    asks: str = ""
    """What the text quotes of the question put to the user."""


class Command(NamedTuple):
    """One `ck` command of a worked example, run in the project's directory."""

    words: tuple[str, ...]
    """Its words, `ck` first, variables unfilled."""
    variable: str
    """Variable that keeps a part of what it prints; empty where none does."""
    key: str
    """Which part: a key of the JSON object that it prints."""
    optional: bool
    """Whether it is off the straight path."""
    skill: Path
    """Folder of the skill; files it names start there."""
    shows: str = ""
    """What the text quotes of what it prints."""
    asks: str = ""
    """What the text quotes of its question."""
    typed: str = ""
    """What is typed when it asks."""
    shared: bool = False
    """Whether it is run by whoever reads, with an assistant or without."""


def read_steps(skill: Path) -> list[Call | Command]:
    """Return the calls and commands of a skill's worked examples, in the order written.

    A call with `each=FILE` is made once for each entry of that list, which completes its arguments.
    """
    return read_document(skill / "SKILL.md", folder=skill)


def read_document(path: Path, *, folder: Path) -> list[Call | Command]:
    """Return the calls and commands of a document in the order written, each with what is quoted below it.

    Args:
        path: the Markdown file.
        folder: where the files lie that its steps name.
    """
    steps: list[Call | Command] = []
    for match in _FENCE.finditer(path.read_text(encoding="utf-8")):
        if match["told"]:
            steps[-1] = steps[-1]._replace(**{match["told"]: match["body"]})
        else:
            steps += _calls(match, folder) if match["tool"] else _commands(match, folder)
    return steps


def read_files(path: Path) -> dict[str, str]:
    """Return the files that a document has its reader save, by name."""
    return {match["name"]: match["body"] for match in _FILE.finditer(path.read_text(encoding="utf-8"))}


def _calls(match: re.Match[str], folder: Path) -> Iterator[Call]:
    arguments = json.loads(match["body"])
    entries = yaml.safe_load((folder / match["each"]).read_text(encoding="utf-8")) if match["each"] else [{}]
    for entry in entries:
        yield Call(match["tool"], {**arguments, **entry}, match["optional"] is not None, folder)


def _commands(match: re.Match[str], folder: Path) -> Iterator[Command]:
    for line in match["body"].replace("\\\n", " ").splitlines():
        words = tuple(shlex.split(line, comments=True))
        if words:
            yield Command(
                words,
                match["set"] or "",
                match["key"] or "",
                match["optional"] is not None,
                folder,
                typed=match["typed"] or "",
                shared=match["shared"] is not None,
            )


def read_calls(skill: Path) -> list[Call]:
    """Return the tool calls of a skill's worked examples, in the order written."""
    return [step for step in read_steps(skill) if isinstance(step, Call)]


def read_commands(skill: Path) -> list[Command]:
    """Return the commands of a skill's worked examples, in the order written."""
    return [step for step in read_steps(skill) if isinstance(step, Command)]


def read_questions(skill: Path) -> list[str]:
    """Return the questions a skill asks, the bold words of its list; an item without any is empty."""
    section = _ASKED.search((skill / "SKILL.md").read_text(encoding="utf-8"))
    return [match["words"] or "" for match in _QUESTION.finditer(section["section"])] if section else []


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
