"""The table of what must hold: read from `requirements.yaml`, and shown to people as `docs/requirements.md`.

Write the page anew with `python -m tests.requirements`.
"""

from pathlib import Path
from typing import NamedTuple

import yaml

__all__ = ["PAGE", "Requirement", "page", "read_requirements"]

PAGE = Path(__file__).parents[1] / "docs" / "requirements.md"
"""The table as people read it."""

_TABLE = Path(__file__).with_name("requirements.yaml")
_HEAD = """\
# What must hold, and the tests that show it

Earlier systems of this kind lost settings on the way, trained what they did not evaluate, doubled jobs and let a model
write down figures. {count} requirements keep us from it. Those called `R` are of experiments, `U` of uncertainty and
`Q` of the quick path and MLX. Tests lie below `tests/`. This page is rendered from `tests/requirements.yaml`.
"""


class Requirement(NamedTuple):
    """One thing that must hold."""

    theme: str
    """What it has in common with others."""
    id: str
    """Its name: a letter and numbers."""
    holds: str
    """What must hold."""
    tests: tuple[str, ...]
    """Tests that show it, each by its file below `tests/` and its function; none where it is refused."""
    refused: str | None
    """Why it is not done, where it is not."""


def read_requirements() -> tuple[Requirement, ...]:
    """Return every row of the table."""
    themes = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return tuple(
        Requirement(theme["theme"], row["id"], row["holds"], tuple(row.get("tests", ())), row.get("refused"))
        for theme in themes
        for row in theme["rows"]
    )


def page() -> str:
    """Return the table as people read it."""
    rows = read_requirements()
    parts = [_HEAD.format(count=len(rows))]
    for theme in dict.fromkeys(row.theme for row in rows):
        head = ("", f"## {theme}", "", "| | what must hold | shown by |", "|---|---|---|")
        parts += [f"{line}\n" for line in (*head, *(_line(row) for row in rows if row.theme == theme))]
    return "".join(parts)


def _line(row: Requirement) -> str:
    shown = f"refused: {row.refused}" if row.refused else "<br>".join(f"`{test}`" for test in row.tests)
    return f"| {row.id} | {row.holds} | {shown} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
