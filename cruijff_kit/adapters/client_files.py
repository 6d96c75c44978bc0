"""Assistants' configuration files on this machine, in a project and in the home directory."""

import os
import shutil
import stat
import sys
from pathlib import Path

from cruijff_kit.adapters.own_file import write_own
from cruijff_kit.errors import SiteError
from cruijff_kit.schema.client import ClientFile, ClientLevel, ClientName

__all__ = ["DiskClientFiles"]

_IN_PROJECT: dict[ClientName, str] = {
    "claude": ".mcp.json",
    "codex": ".codex/config.toml",
    "cursor": ".cursor/mcp.json",
    "gemini": ".gemini/settings.json",
    "vscode": ".vscode/mcp.json",
}
_VARIABLES = (
    "CRUIJFF_CACHE_DIR",
    "CRUIJFF_STATE_DIR",
    "SLURM_CONF",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
)
"""Some clients start servers with few variables; without these a server would keep its record elsewhere than `ck`."""


class DiskClientFiles:
    """The files of one project and of the user."""

    def __init__(self, project: Path) -> None:
        """Keep where the project lies; nothing is read yet."""
        self._project = project

    def find(self, client: ClientName, level: ClientLevel) -> ClientFile:
        """Return a client's file as it lies on disk."""
        named = self._project / _IN_PROJECT[client] if level == "project" else _own(client)
        path = named.resolve()
        if level == "project" and not path.is_relative_to(self._project.resolve()):
            raise SiteError(f"`{named}` leads out of the project, to `{path}`", hint="remove the link")
        return ClientFile(path=str(path), text=_text(path))

    def write(self, file: ClientFile, text: str) -> None:
        """Write a file aside, flush it and rename it, with the mode that it had."""
        path = Path(file.path)

        def unchanged() -> None:
            if _text(path) != file.text:
                raise SiteError(f"`{path}` was changed meanwhile; nothing was written", hint="repeat the command")

        write_own(path, text, mode=_mode(path), check=unchanged)

    def server(self) -> tuple[str, ...]:
        """Return the command that starts the server: this interpreter, which no file of a project can add to."""
        return (sys.executable, "-P", "-m", "cruijff_kit.mcp_server.server")

    def ssh(self) -> tuple[str, ...] | None:
        """Return the user's `ssh`; `CRUIJFF_SSH_CONFIG` names a configuration to read instead of the user's."""
        found, configuration = shutil.which("ssh"), os.environ.get("CRUIJFF_SSH_CONFIG")
        if found is None:
            return None
        chosen = ("-F", str(Path(configuration).absolute())) if configuration else ()
        return (str(Path(found).absolute()), *chosen)

    def variables(self) -> dict[str, str]:
        """Return the variables set here that the server finds its files by."""
        return {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}


def _own(client: ClientName) -> Path:
    """Return where a client keeps the user's own settings."""
    home = Path.home()
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    editor = home / "Library" / "Application Support" if sys.platform == "darwin" else configured
    places: dict[ClientName, Path] = {
        "claude": Path(os.environ.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json",
        "codex": Path(os.environ.get("CODEX_HOME") or home / ".codex") / "config.toml",
        "cursor": home / ".cursor" / "mcp.json",
        "gemini": home / ".gemini" / "settings.json",
        "vscode": editor / "Code" / "User" / "mcp.json",
    }
    return places[client]


def _mode(path: Path) -> int:
    """Return the mode of a file; that of a new one where there is none that can be looked at."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o600


def _text(path: Path) -> str | None:
    """Return what a file says, its line ends as they are."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SiteError(f"`{path}` cannot be read: {err}", hint="see that it is a text file of yours") from err
