"""Where a user's cache and the like lie on this machine: the same here as on a node."""

import os
from pathlib import Path

__all__ = ["base_folder", "cache_dir", "own_folder"]


def cache_dir() -> Path:
    """Return the directory of what can be made again: tiny models, what was found before.

    `CRUIJFF_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`; it may not exist yet.
    """
    return own_folder("CRUIJFF_CACHE_DIR", "XDG_CACHE_HOME", fallback=".cache")


def own_folder(own: str, base: str, *, fallback: str) -> Path:
    """Return the directory that a variable of ours names, else one of ours below a base directory."""
    path = os.environ.get(own)
    return Path(path).expanduser().absolute() if path else base_folder(base, fallback)


def base_folder(variable: str, fallback: str) -> Path:
    """Return our directory below a base directory of the XDG specification."""
    # The specification asks that a relative path be ignored.
    path = Path(os.environ.get(variable, ""))
    return (path if path.is_absolute() else Path.home() / fallback) / "cruijff-kit"
