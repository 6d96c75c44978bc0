"""`python -m cruijff_kit.ui`: the server of the pages, which `ck ui` becomes."""

import sys
import webbrowser

from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.pages import Opening
from cruijff_kit.ui.launch import serve_pages

__all__: list[str] = []


def _main(opening: str, port: str, *wishes: str) -> None:
    def ready(address: str) -> None:
        sys.stdout.write(f"pages at {address}; Ctrl-C ends them\n")
        sys.stdout.flush()
        if "open" in wishes:
            webbrowser.open(address)

    try:
        serve_pages(Opening.model_validate_json(opening), port=int(port), ready=ready)
    except CruijffError as err:
        sys.stderr.write(f"error: {err}\n")
        raise SystemExit(err.exit_code) from None


if __name__ == "__main__":
    _main(*sys.argv[1:])
