"""Where a user's state, cache and configuration lie on this machine."""

from pathlib import Path

from cruijff_kit.runtime.user_folders import base_folder, cache_dir, own_folder

__all__ = ["cache_dir", "config_dir", "state_dir"]


def state_dir() -> Path:
    """Return the directory of audit heads, locks and the local queue.

    `CRUIJFF_STATE_DIR`, else `XDG_STATE_HOME`, else `~/.local/state`; it may not exist yet.
    """
    return own_folder("CRUIJFF_STATE_DIR", "XDG_STATE_HOME", fallback=".local/state")


def config_dir() -> Path:
    """Return the directory of the user's own `site.yaml`.

    `XDG_CONFIG_HOME`, else `~/.config`; it may not exist yet.
    """
    return base_folder("XDG_CONFIG_HOME", ".config")
