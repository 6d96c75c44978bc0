"""What tests of a submitted experiment stand on; each says itself what its `exp` is."""

from pathlib import Path

import pytest

from cruijff_kit.workflow.standing import read_status
from tests.submitted import Submitted, scaffolded_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two runs that train and are evaluated, and a control: five jobs."""
    root = tmp_path_factory.mktemp("template") / "parity"
    return scaffolded_template(root, factors={"lora_rank": [4, 16]}, controls={"seeds": [1]})


@pytest.fixture
def run(exp: Submitted) -> str:
    """Return the first run's id."""
    return read_status(world=exp.world).steps[0].run_id
