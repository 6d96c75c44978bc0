"""A real Chromium: where it lies, and how it comes here unasked.

python -m tests.browser.chromium [--install]     says what is missing and exits with 1, or installs it
"""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.slurm.packages import NotInstalled, fetch, refuse_machine

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["NAMES", "find_chromium", "started"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""Programs that are one."""

_PACKAGE = "chromium"


def find_chromium() -> str | None:
    """Return the program; the variable CHROMIUM names another. None where there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next((found for name in NAMES if (found := shutil.which(name))), None)


@contextlib.contextmanager
def started(program: str) -> Iterator["Browser"]:
    """Yield the program, started without a window."""
    # Whoever only asks for the program has no need of it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root may start none in a sandbox, and containers mostly have none.
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.chromium", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install the package where the program is missing")
    install = parser.parse_args().install
    if find_chromium() is None and install:
        try:
            print(f"chromium: installing the package {_PACKAGE}, once", flush=True)  # noqa: T201 -- for whoever waits
            refuse_machine()
            fetch(_PACKAGE)
        except NotInstalled as err:
            print(f"chromium: {err}", file=sys.stderr)  # noqa: T201 -- it is why nothing runs
    if find_chromium() is not None:
        return 0
    hint = f"apt-get install -y --no-install-recommends {_PACKAGE}, or set CHROMIUM to the program"
    print(f"there is no Chromium here\nhint: {hint}", file=sys.stderr)  # noqa: T201 -- it is why nothing runs
    return 1


if __name__ == "__main__":
    sys.exit(_main())
