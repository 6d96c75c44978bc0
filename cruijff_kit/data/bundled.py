"""Bundled data: the example data sets that come with the package, and where each lies."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cruijff_kit.data.example_rows import EXAMPLES
from cruijff_kit.data.items import ItemForm
from cruijff_kit.errors import SpecError

__all__ = ["BundledData", "bundled", "bundled_path"]


class BundledData(NamedTuple):
    """One data set that comes with the package."""

    name: str
    """Name it goes by."""
    family: str
    """What it is an example of."""
    format: ItemForm
    """Form of its rows."""
    path: Path
    """Absolute path of its file: one JSON object of splits."""
    rows: Mapping[str, int]
    """Rows by split."""
    told: str
    """What a model learns from it, in a line."""
    licence: str = "CC0-1.0"
    """What may be done with it."""


_FOLDER = Path(__file__).parent / "examples"
_ROWS: Mapping[str, tuple[ItemForm, int, int, int]] = MappingProxyType(
    {
        "capitalization": ("messages", 800, 100, 200),
        "general_conversation": ("messages", 120, 15, 15),
        "simple_instructions": ("instruction", 160, 20, 20),
        "table_questions_chat": ("messages", 200, 25, 25),
        "table_questions_text": ("text", 200, 25, 25),
    }
)


def bundled() -> tuple[BundledData, ...]:
    """Return every data set that comes with the package, in order of name."""
    return tuple(
        BundledData(
            name=name,
            family=EXAMPLES[name].family,
            format=form,
            path=_FOLDER / f"{name}.json",
            rows=MappingProxyType({"train": train, "validation": validation, "test": test}),
            told=EXAMPLES[name].told,
        )
        for name, (form, train, validation, test) in _ROWS.items()
    )


def bundled_path(name: str) -> Path:
    """Return the file of a bundled data set.

    Raises:
        SpecError: there is none of that name.
    """
    found = {each.name: each.path for each in bundled()}
    if name not in found:
        near = get_close_matches(name, found, n=1)
        hint = f"write `{near[0]}`" if near else "name one of them"
        raise SpecError(
            f"no data set `{name}` is bundled; there are {', '.join(f'`{each}`' for each in found)}", hint=hint
        )
    return found[name]
