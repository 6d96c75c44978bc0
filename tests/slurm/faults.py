"""The table of what Slurm does: read from `faults.yaml`, and shown to people as `docs/slurm-faults.md`.

Write the page anew with `python -m tests.slurm.faults`.
"""

from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ["PAGE", "Behaviour", "Shown", "page", "read_behaviours"]

PAGE = Path(__file__).parents[2] / "docs" / "slurm-faults.md"
"""The table as people read it."""

_TABLE = Path(__file__).with_name("faults.yaml")
_HEAD = """\
# What Slurm does, and what we make of it

{count} behaviours: {told}.

- *Real*: a real Slurm does it, in the test that is named.
- *Staged*: a real Slurm, behind one of its commands that was made to misbehave.
- *Recorded*: text recorded from a real Slurm or taken from its manual, or a scheduler in memory.

In none of them is a verdict wrong or a job submitted twice. This page is rendered from `tests/slurm/faults.yaml`.
"""


class Shown(StrEnum):
    """How a test makes it happen."""

    REAL = "real"
    """A real Slurm does it."""
    STAGED = "staged"
    """A real Slurm, behind a command of its own that was made to misbehave."""
    RECORDED = "recorded"
    """What was recorded from a real Slurm or stands in its manual, or a scheduler in memory."""


class Behaviour(NamedTuple):
    """One thing that Slurm, a machine or a person does."""

    theme: str
    """What it has in common with others."""
    happens: str
    """What happens."""
    expected: str
    """What we make of it."""
    test: str
    """The test that shows it, as pytest names it; without a parameter, all its cases."""
    shown: Shown
    """How it is made to happen."""


def read_behaviours() -> tuple[Behaviour, ...]:
    """Return every row of the table, its test named in full."""
    themes = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return tuple(_behaviour(theme, row) for theme in themes for row in theme["rows"])


def page() -> str:
    """Return the table as people read it."""
    rows = read_behaviours()
    told = ", ".join(f"{sum(row.shown is shown for row in rows)} {shown}" for shown in Shown)
    parts = [_HEAD.format(count=len(rows), told=told)]
    for theme in dict.fromkeys(row.theme for row in rows):
        head = ("", f"## {theme}", "", "| what happens | what we make of it | shown | test |", "|---|---|---|---|")
        parts += [f"{line}\n" for line in (*head, *(_line(row) for row in rows if row.theme == theme))]
    return "".join(parts)


def _behaviour(theme: dict[str, Any], row: dict[str, str]) -> Behaviour:
    test = row["test"] if "::" in row["test"] else f"{theme['tests']}::{row['test']}"
    return Behaviour(theme["theme"], row["happens"], row["expected"], test, Shown(row.get("shown", Shown.REAL)))


def _line(row: Behaviour) -> str:
    path, _, name = row.test.partition("::")
    return f"| {row.happens} | {row.expected} | {row.shown} | `{Path(path).name}::{name}` |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
