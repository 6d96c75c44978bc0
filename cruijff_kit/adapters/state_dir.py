"""Where a user's state, cache and configuration lie on this machine."""

import os
from pathlib import Path

__all__ = ["cache_dir", "config_dir", "state_dir"]


def state_dir() -> Path:
    """Return the directory of audit heads, locks and the local queue.

    `CRUIJFF_STATE_DIR`, else `XDG_STATE_HOME`, else `~/.local/state`; it may not exist yet.
    """
    return _chosen("CRUIJFF_STATE_DIR", "XDG_STATE_HOME", fallback=".local/state")


def cache_dir() -> Path:
    """Return the directory of what can be made again: tiny models.

    `CRUIJFF_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`; it may not exist yet.
    """
    return _chosen("CRUIJFF_CACHE_DIR", "XDG_CACHE_HOME", fallback=".cache")


def config_dir() -> Path:
    """Return the directory of the user's own `site.yaml`.

    `XDG_CONFIG_HOME`, else `~/.config`; it may not exist yet.
    """
    return _base("XDG_CONFIG_HOME", ".config")


def _chosen(own: str, base: str, *, fallback: str) -> Path:
    path = os.environ.get(own)
    return Path(path).expanduser().absolute() if path else _base(base, fallback)


def _base(variable: str, fallback: str) -> Path:
    # The XDG specification asks that a relative path be ignored.
    path = Path(os.environ.get(variable, ""))
    return (path if path.is_absolute() else Path.home() / fallback) / "cruijff-kit"
