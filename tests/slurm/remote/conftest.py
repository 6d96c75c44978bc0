"""What tests of a login host stand on; each file says itself what a login there has, as its `shared_login`."""

import pytest

from tests.slurm.remote.login import Login


@pytest.fixture
def login(shared_login: Login, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Return the login of a test file, as it was at first."""
    monkeypatch.setenv("CRUIJFF_SSH_CONFIG", str(shared_login.config))
    shared_login.restore()
    return shared_login
