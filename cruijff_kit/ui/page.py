"""The script behind every look at a page; what it is to show stands in its one argument."""

import sys

from cruijff_kit.schema.pages import Opening
from cruijff_kit.ui.shell import show_pages

__all__: list[str] = []

if __name__ == "__main__":
    show_pages(Opening.model_validate_json(sys.argv[1]))
