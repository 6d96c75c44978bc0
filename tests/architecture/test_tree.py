"""The tree drawn in CLAUDE.md is the tree on disk, caption by caption."""

import ast
import re
from pathlib import Path

from tests.architecture.source import ROOT

LINE = re.compile(r"^(?P<indent> *)(?P<name>[\w.-]+/?)(?: {2,}(?P<caption>\S.*))?$")
NOT_DRAWN = {"__init__.py", "__pycache__", "build", "demo", "dist", "node_modules", "py.typed"}


def test_the_drawn_tree_names_every_folder_once_with_its_own_caption() -> None:
    drawn = _drawn()
    on_disk = _on_disk()
    assert sorted(drawn) == sorted(on_disk)
    assert drawn == on_disk


def _drawn() -> dict[str, str]:
    text = (ROOT / "CLAUDE.md").read_text(encoding="utf-8")
    block = text.partition("## The tree")[2].split("```")[1]
    parent, drawn = "", {}
    for line in block.strip("\n").splitlines()[1:] if block.startswith("text") else block.strip("\n").splitlines():
        found = LINE.match(line)
        assert found, f"cannot read `{line}`"
        name = found["name"].rstrip("/")
        parent = parent if found["indent"] else name
        drawn[f"{parent}/{name}" if found["indent"] else name] = found["caption"] or ""
    return drawn


def _on_disk() -> dict[str, str]:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    core = [path for path in (ROOT / "cruijff_kit").iterdir() if not path.is_symlink()]
    shown = [path for path in (*folders, *core) if path.name not in NOT_DRAWN]
    return {path.relative_to(ROOT).as_posix(): _caption(path) for path in shown}


def _caption(path: Path) -> str:
    """Return the first line of a module's docstring, or of a folder's README below its title."""
    module = path / "__init__.py" if path.is_dir() else path
    if module.is_file():
        return (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    readme = (path / "README.md").read_text(encoding="utf-8").splitlines()
    return next(line for line in readme if line and not line.startswith("#"))
