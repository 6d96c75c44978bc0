"""What every test stands on: no real home, no network, no surprises from the shell."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

HOSTILE_NAMES = ("with space", "single'quote", 'double"quote', "semi;colon && echo no", "new\nline", "ünï—cödé")
"""Folder names that break whoever quotes carelessly."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Turn the protocol library's deprecations into errors, where a test has loaded it.

    Naming the class in pyproject.toml would import the library, seconds of it, for every test there is.
    """
    if "mcp" in sys.modules:
        for item in items:
            item.add_marker(pytest.mark.filterwarnings("error::mcp.MCPDeprecationWarning"))


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that all tests of this run share, in every process."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return shared / "cache"


@pytest.fixture(autouse=True)
def _own_surroundings(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, session_cache: Path
) -> None:
    for name in os.environ:
        if name.startswith(("CRUIJFF_", "SLURM_", "WANDB_", "INSPECT_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home", numbered=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(home / "state"))
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(session_cache))
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(params=HOSTILE_NAMES)
def hostile_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder whose name a careless shell line would trip over."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder
