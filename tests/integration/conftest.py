"""What tests of trainings stand on; a test that needs another base makes its own."""

from pathlib import Path

import pytest

from tests.training_runs import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base model of random weights, made once; tests only read it."""
    return random_base(tmp_path_factory.mktemp("base"))
