"""The layers hold, and the file that draws them would notice if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(is_debug_mode=False))"
FACTS = 6
"""Contracts in pyproject.toml."""


def test_every_contract_of_the_layers_is_kept() -> None:
    result = _lint(ROOT)
    assert result.returncode == 0, result.stdout
    assert f"{FACTS} kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    "path,line,contract",
    (
        ("cruijff_kit/schema/stray.py", "import cruijff_kit.workflow", "The core flows one way"),
        ("cruijff_kit/workflow/stray.py", "import cruijff_kit.cli", "Nothing imports a face"),
        ("cruijff_kit/cli/stray.py", "import cruijff_kit.adapters", "Faces are thin"),
        ("cruijff_kit/planning/stray.py", "import subprocess", "Side effects live in"),
        ("recipes/stray.py", "import cruijff_kit.rendering", "Recipes and tasks see only"),
        ("cruijff_kit/adapters/stray.py", "import cruijff_kit.recipes", "The core names recipes"),
    ),
)
def test_a_stray_import_breaks_its_contract(tmp_path: Path, path: str, line: str, contract: str) -> None:
    skeleton = _skeleton(tmp_path)
    (skeleton / path).write_text(f"{line}\n", encoding="utf-8")
    result = _lint(skeleton)
    assert result.returncode == 1
    broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), result.stdout


def test_a_folder_that_nobody_placed_breaks_the_layers(tmp_path: Path) -> None:
    skeleton = _skeleton(tmp_path)
    (skeleton / "cruijff_kit" / "drawer").mkdir()
    (skeleton / "cruijff_kit" / "drawer" / "__init__.py").touch()
    result = _lint(skeleton)
    assert result.returncode == 1
    assert "drawer" in result.stdout


def _skeleton(folder: Path) -> Path:
    """Return a copy of the project's shape: its folders, links and layer file, no code."""
    for init in (*ROOT.glob("cruijff_kit/*/__init__.py"), ROOT / "cruijff_kit" / "__init__.py"):
        real = init.resolve().relative_to(ROOT)
        (folder / real).parent.mkdir(parents=True, exist_ok=True)
        (folder / real).touch()
    for module in ROOT.glob("cruijff_kit/*.py"):
        (folder / "cruijff_kit" / module.name).touch()
    (folder / "cruijff_kit" / "bootstrap.py").touch()
    for link in (path for path in (ROOT / "cruijff_kit").iterdir() if path.is_symlink()):
        (folder / "cruijff_kit" / link.name).symlink_to(link.readlink())
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    cache = ROOT / ".import_linter_cache" if folder == ROOT else folder / "cache"
    code = LINT.replace("is_debug_mode=False", f"is_debug_mode=False, cache_dir={str(cache)!r}")
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
