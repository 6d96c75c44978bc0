"""`ft`: the original's command, as another name for ours."""

import sys
from collections.abc import Sequence
from typing import Any

from cruijff_kit.cli.main import main as ck

__all__ = ["RENAMED", "main"]

RENAMED = {"dataset": "data"}
"""Commands of the original that are called otherwise here."""


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run `ck` with the command line of `ft`: `ft dataset …` is `ck data …`, all others are called alike."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    at = _command(args)
    if at is not None:
        args[at] = RENAMED.get(args[at], args[at])
    return ck(args)


def _command(args: Sequence[str]) -> int | None:
    """Return where the command stands: behind options of `ck` itself and their values."""
    skip = False
    for at, word in enumerate(args):
        if skip:
            skip = False
        elif word in {"-C", "--experiment", "--site"}:
            skip = True
        elif not word.startswith("-"):
            return at
    return None


if __name__ == "__main__":
    main()
