"""What every test stands on: no real home, no network, no surprises from the shell."""

import functools
import os
import re
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.settings import Setup

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

HOSTILE_NAMES = ("with space", "single'quote", 'double"quote', "semi;colon && echo no", "new\nline", "ünï—cödé")
"""Folder names that break whoever quotes carelessly."""


# What a test file names decides which environments it is for: `make latest` runs those that stand on libraries which
# move, and leaves out those that need torchtune, whose last release has made its peace with older ones; `make mlx` runs
# those that need MLX, whose newer libraries torchtune does not bear.
MARKS = {
    "torchtune": re.compile(
        r"cruijff_kit\.recipes(?:\.| import .*)lora_|runtime\.(?:tune_lora|lean_llama|llama)\b|import torchtune"
        # Benches of ours that train by such a recipe.
        r"|tests\.(?:many_runs|memory_cells|probe_recipe|setup_bench)\b"
    ),
    "mlx": re.compile(r"^\s*(?:from|import) mlx|runtime\.mlx_|recipes(?:\.| import .*)mlx_lora", re.MULTILINE),
    "libraries": re.compile(
        r"^\s*(?:from|import) (?:torch|transformers|peft|inspect_ai|mcp|safetensors|tokenizers|wandb)\b"
        r"|cruijff_kit\.(?:runtime|recipes|tasks|mcp_server)\b|pytest_plugins",
        re.MULTILINE,
    ),
}


@functools.cache
def marks_of(path: Path) -> frozenset[str]:
    """Return the marks a test file gets from what it names."""
    text = path.read_text(encoding="utf-8")
    return frozenset(name for name, pattern in MARKS.items() if pattern.search(text))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave alone, where torchtune or MLX is not, what is not for such an environment: it need not be importable."""
    if not (collection_path.name.startswith("test_") and collection_path.suffix == ".py"):
        return None
    marks = marks_of(collection_path)
    if "mlx" in marks and find_spec("mlx") is None:
        return True
    if find_spec("torchtune") is not None:
        return None
    return True if "torchtune" in marks or "libraries" not in marks else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what their files name, and turn the protocol library's deprecations into errors.

    Naming that class in pyproject.toml would import the library, seconds of it, for every test there is.
    """
    for item in items:
        for name in marks_of(item.path):
            item.add_marker(name)
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


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Cluster]:
    """Yield a real Slurm that all tests of this process share; it keeps no accounts."""
    with running_cluster(Setup()) as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Yield the shared Slurm, which this process's commands talk to; no job of the test is left."""
    for name, value in slurm_cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield slurm_cluster
    slurm_cluster.clear()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Give back the signals that a job run in this process took over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=HOSTILE_NAMES)
def hostile_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder whose name a careless shell line would trip over."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder
