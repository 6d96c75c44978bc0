"""Names of evaluation tasks: those of this package, `file.py@task`, and `package/task`."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.errors import SpecError

__all__ = ["TASKS", "TaskName", "parse_task"]

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "acs": "persons of the American Community Survey, asked a yes or no whose probability is scored, or a number",
        "capitalization": "words in lower case, answered with a capital letter",
        "rows": "any data set of rows with a question and an answer",
        "structured": "texts to decide on, answered with a label in JSON or with an abstention",
        "synthetic_twins": "pairs of twins told by their traits: are they identical, and how sure is that",
    }
)
"""Tasks of this package: folder in `tasks/` to a caption."""


class TaskName(NamedTuple):
    """A task as a design names it."""

    name: str
    """Name of the task function."""
    file: str | None = None
    """Python file that defines it; None for a task of a package."""
    package: str | None = None
    """Another package that registers it with inspect-ai; None for a task of this one."""

    @property
    def foreign(self) -> bool:
        """Return whether it is a task of somebody else, which may bring data and scorers of its own."""
        return self.file is not None or self.package is not None


def parse_task(text: str) -> TaskName:
    """Return the task that `name`, `file.py@name` or `package/name` refers to; reads no file.

    Raises:
        SpecError: no task of this package has that name, or the form is another.
    """
    file, at, name = text.rpartition("@")
    if not at:
        package, slash, name = text.partition("/")
        if slash and package.isidentifier() and name.isidentifier():
            return TaskName(name, package=package)
        return _packaged(text)
    if PurePath(file).suffix != ".py" or not name.isidentifier():
        raise SpecError(f"task `{text}` is not of the form `file.py@name`", hint=_hint(text))
    return TaskName(name, file)


def _packaged(name: str) -> TaskName:
    if name in TASKS:
        return TaskName(name)
    raise SpecError(f"unknown task `{name}`; tasks are {', '.join(f'`{known}`' for known in TASKS)}", hint=_hint(name))


def _hint(name: str) -> str:
    near = get_close_matches(name, TASKS, n=1)
    own = "name a task of yours as `file.py@name`"
    return f"write `{near[0]}`, or {own}" if near else f"use `rows`, which evaluates any rows, or {own}"
