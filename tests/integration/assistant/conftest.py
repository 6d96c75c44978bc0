from pathlib import Path

import pytest

from tests.mcp_bench import Bench
from tests.random_model import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a small random base model, made once."""
    return random_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def bench(tmp_path: Path, base: str) -> Bench:
    """Return an empty project with a model."""
    root = tmp_path / "project"
    root.mkdir()
    return Bench(root, base)
