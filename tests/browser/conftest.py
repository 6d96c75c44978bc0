"""A real Chromium for every test of this folder."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a headless Chromium."""
    program = find_chromium()
    assert program is not None, "there is no Chromium: make pages installs it where it can"
    with sync_playwright() as playwright:
        # Root may start none in a sandbox, and containers mostly have none.
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
