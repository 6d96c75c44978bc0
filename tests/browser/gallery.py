"""The pictures of the README, taken in a real Chromium of what a user here would see.

python -m tests.browser.gallery [--demo DIR] [--out DIR]      the report of `make demo`, and the pages on made-up data
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import find_chromium, started
from tests.browser.serving import serving

__all__ = ["main"]

_WIDE, _PHONE = (1200, 900), (390, 844)
_PATIENCE = 60_000


def main() -> int:
    """Take every picture and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.gallery", description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="project directory of the demo")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"), help="where pictures go")
    options = parser.parse_args()
    reports = sorted(options.demo.glob("*/report/index.html"))
    program = find_chromium()
    if not reports or program is None:
        lacks = "no report below `demo/`: run `make demo`" if program else "no Chromium: run `make pages`"
        print(f"gallery: there is {lacks}", file=sys.stderr)  # noqa: T201 -- for whoever waits
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with started(program) as browser, tempfile.TemporaryDirectory() as scratch:
        _report(browser, reports[0].resolve(), options.out)
        state = {"CRUIJFF_STATE_DIR": f"{scratch}/state", "CRUIJFF_CACHE_DIR": f"{scratch}/cache"}
        with serving("ui", "--demo", state=state) as address:
            _pages(browser, address, options.out)
    return 0


def _report(browser: Browser, path: Path, out: Path) -> None:
    schemes: tuple[tuple[str, Literal["light", "dark"], tuple[int, int]], ...] = (
        ("report", "light", _WIDE), ("report-dark", "dark", _WIDE), ("report-phone", "light", _PHONE),
    )  # fmt: skip
    for name, scheme, size in schemes:
        page = _opened(browser, path.as_uri(), size=size, scheme=scheme)
        _take(page, name, out)


def _pages(browser: Browser, address: str, out: Path) -> None:
    # What a page draws last.
    drawn = {"Run": ".js-plotly-plot", "Compare": ".js-plotly-plot", "Decide": "text=Costs: the true option"}
    for name, shown in drawn.items():
        page = _opened(browser, address, size=_WIDE, scheme="light")
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=_PATIENCE)
        expect(page.get_by_text("read only, on this machine alone")).to_be_visible(timeout=_PATIENCE)
        expect(page.locator(shown).first).to_be_visible(timeout=_PATIENCE)
        _take(page, f"page-{name.lower()}", out)


def _opened(browser: Browser, url: str, *, size: tuple[int, int], scheme: Literal["light", "dark"]) -> Page:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    page.goto(url)
    return page


def _take(page: Page, name: str, out: Path) -> None:
    page.screenshot(path=out / f"{name}.png")
    page.context.close()
    print(out / f"{name}.png")  # noqa: T201 -- for whoever waits


if __name__ == "__main__":
    sys.exit(main())
