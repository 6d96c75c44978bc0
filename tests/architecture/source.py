"""The project's own source, each file read and parsed once a session."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["CORE", "FACES", "PRODUCT", "PURE", "ROOT", "Function", "Source", "functions", "sources"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
FACES = ("cruijff_kit/cli", "cruijff_kit/ui", "mcp_server")
"""Folders that talk to people and programs."""
PURE = tuple(f"cruijff_kit/{name}" for name in ("planning", "rendering", "data", "scoring", "analysis", "schema"))
"""Folders that compute and touch nothing."""
CORE = ("cruijff_kit", "mcp_server", "tasks", "sanity_checks")
"""Folders with the tight file limit."""
PRODUCT = (*CORE, "recipes")
"""Everything that is shipped, by its real folder."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
"""A function or method, plain or asynchronous."""


class Source(NamedTuple):
    """One Python file."""

    path: str
    """Path relative to the checkout, POSIX."""
    text: str
    """Its text."""
    tree: ast.Module
    """Its syntax tree."""

    def at(self, node: ast.AST) -> str:
        """Return `file:line` of a node, as editors open it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    @property
    def stem(self) -> str:
        """Return the file's name without `.py`."""
        return Path(self.path).stem


@cache
def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def sources(*folders: str) -> Iterator[Source]:
    """Yield the Python files below folders of the checkout, links not followed."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield _source(path)


def functions(source: Source) -> Iterator[Function]:
    """Yield every function and method of a file, nested ones too."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
