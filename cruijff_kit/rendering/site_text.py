"""Site files as text: settings put into one, and whatever else it says kept as it is."""

import re
from collections.abc import Mapping
from typing import Any

from cruijff_kit.data.yaml_text import dump_yaml

__all__ = ["with_settings"]

_HEAD = "# Settings of this machine; `ck site show` tells each with its source, `ck site check` tries them.\n"
_KEY = re.compile(r"""["']?([A-Za-z_]\w*)["']?\s*:""")


def with_settings(text: str | None, settings: Mapping[str, Any]) -> str:
    """Return a site file with some of its keys set; other lines and comments stay where they are.

    A key that the file has is replaced with all that stands below it; a new one is added at the end.
    """
    blocks = _blocks(text) if text is not None else {"": _HEAD}
    for key, value in settings.items():
        before, after = blocks.get(key), dump_yaml({key: value})
        # Comments and empty lines at the end of a block belong to what follows.
        blocks[key] = after if before is None else after + _trailing(before)
    return "".join(block if not block or block.endswith("\n") else f"{block}\n" for block in blocks.values())


def _blocks(text: str) -> dict[str, str]:
    """Return the lines before the first key, under the empty name, and those of each key."""
    found, key = {"": ""}, ""
    for line in text.splitlines(keepends=True):
        match = _KEY.match(line)
        key = match[1] if match else key
        found[key] = found.get(key, "") + line
    return found


def _trailing(block: str) -> str:
    lines = block.splitlines(keepends=True)
    kept: list[str] = []
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
        kept.insert(0, lines.pop())
    return "".join(kept)
