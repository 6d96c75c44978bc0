"""Client nouns: the assistants that can use the server, and how each is told of it."""

from typing import Any, Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["ClientFile", "ClientLevel", "ClientName", "ClientWriting", "ServerEntry"]

ClientName = Literal["claude", "codex", "cursor", "gemini", "vscode"]
"""Claude Code, Codex CLI, Cursor, Gemini CLI, VS Code."""
ClientLevel = Literal["project", "user"]
"""`project`: the client's file in the project; `user`: its file for all your projects."""


class ServerEntry(Noun):
    """How a client starts the server."""

    command: str
    """Absolute path of the program."""
    args: tuple[str, ...]
    """Its arguments."""
    env: dict[str, str] = {}
    """Variables it is given beside those the client passes on."""
    passed_on: tuple[str, ...] = ()
    """Names of variables it needs as they are at its start."""


class ClientFile(Noun):
    """A client's configuration file as it lies on disk."""

    path: str
    """Where it lies, or would, links followed."""
    text: str | None
    """What it says; None where there is none."""


class ClientWriting(Noun):
    """What became of a client's configuration."""

    client: ClientName
    """Whose it is."""
    path: str
    """The file."""
    entry: dict[str, Any]
    """What the client is told of the server."""
    shown: str
    """The same in the file's format, as it would stand alone."""
    diff: str
    """Unified diff from what lay there; empty where nothing changes."""
    written: bool
    """Whether it was written."""
