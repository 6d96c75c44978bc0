"""Notebooks run cell by cell without a notebook server: what each code cell shows, beside what is stored of it."""

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Shown", "run_cells"]


class Shown(NamedTuple):
    """One code cell."""

    source: str
    """Its code."""
    stored: str
    """What the notebook shows below it, as plain text."""
    shown: str
    """What it showed now."""


def run_cells(path: Path) -> Iterator[Shown]:
    """Run the code cells of a notebook in order, in one namespace of their own."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            yield Shown(source, "".join(_stored(cell["outputs"])), _run(source, names))


def _run(source: str, names: dict[str, Any]) -> str:
    tree, printed, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)  # the notebook is ours
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # as above
    return printed.getvalue() + ("" if value is None else repr(value))


def _stored(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for each in outputs:
        assert each["output_type"] in {"stream", "execute_result"}, each
        yield "".join(each.get("text") or each["data"]["text/plain"])
