"""A real Chromium, started once a file."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import find_chromium, started

# This file is read in environments without it too, where no test of this folder is.
if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Yield a headless Chromium."""
    program = find_chromium()
    assert program is not None, "there is no Chromium: make pages installs it where it can"
    with started(program) as found:
        yield found
