"""What tests of a submitted experiment stand on; each says itself what its `exp` is."""

import pytest

from cruijff_kit.workflow.standing import read_status
from tests.submitted import Submitted


@pytest.fixture
def run(exp: Submitted) -> str:
    """Return the first run's id."""
    return read_status(world=exp.world).steps[0].run_id
