"""The small base model, made once for all tests and kept by the hash of its recipe."""

import shutil
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub

__all__ = ["fresh_project", "tiny_base"]


@pytest.fixture(scope="session")
def tiny_base(pytestconfig: pytest.Config, session_cache: Path) -> Path:
    """Return the directory of the demo's base model; the session's cache holds it too."""
    # pytest keeps this folder between runs, so an unchanged recipe is trained once.
    kept = pytestconfig.cache.mkdir("cruijff")
    folder = Path(LocalHub(cache=kept).make_tiny().path)
    link = session_cache / "models" / folder.name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        try:
            link.symlink_to(folder, target_is_directory=True)
        except FileExistsError:
            # Another worker was faster, and its link says the same.
            return folder
    return folder


@pytest.fixture
def fresh_project(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty project of a new user, for whom the small model was made before."""
    # A copy: what an assistant names may not lead out of the user's folders by a link.
    shutil.copytree(tiny_base, tmp_path / "cache" / "models" / tiny_base.name)
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    return root
