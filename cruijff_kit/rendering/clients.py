"""What each assistant's configuration says of the server, and how it is put into the file."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from cruijff_kit.rendering.json_edit import parse_json, with_member
from cruijff_kit.rendering.toml_edit import rendered_table, with_table
from cruijff_kit.schema.client import ClientName, ServerEntry

__all__ = ["SERVER", "entry_of", "merged", "standing_alone", "workspace_of"]

SERVER = "cruijff"
"""Name of the server in every client; the skills rely on it."""

_REACHED_BY = {"args", "bearer_token_env_var", "command", "cwd", "env", "env_vars", "headers", "httpUrl", "type", "url"}
"""Keys that say how a server is reached; what else a user has set, such as a time limit, stays."""


class _Format(NamedTuple):
    """How one client writes its servers."""

    key: str = "mcpServers"
    """Name of the object or table that holds them."""
    comments: bool = False
    """Whether its JSON may hold comments."""
    toml: bool = False
    """Whether it is TOML."""
    typed: bool = False
    """Whether an entry names its transport."""
    workspace: str = ""
    """What stands for the open project in the user's own file; empty where the client starts servers in it."""


_FORMATS: dict[ClientName, _Format] = {
    "claude": _Format(),
    "codex": _Format(key="mcp_servers", toml=True),
    "cursor": _Format(comments=True, workspace="${workspaceFolder}"),
    "gemini": _Format(comments=True),
    "vscode": _Format(key="servers", comments=True, typed=True, workspace="${workspaceFolder}"),
}
"""Client to its format."""


def workspace_of(client: ClientName) -> str:
    """Return what stands for the open project in a client's own file; empty where servers start in it."""
    return _FORMATS[client].workspace


def entry_of(client: ClientName, server: ServerEntry) -> dict[str, Any]:
    """Return what a client's configuration says of the server."""
    entry: dict[str, Any] = {"type": "stdio"} if _FORMATS[client].typed else {}
    entry |= {"command": server.command, "args": list(server.args)}
    if server.env:
        entry["env"] = dict(server.env)
    if server.passed_on and _FORMATS[client].toml:
        entry["env_vars"] = list(server.passed_on)
    return entry


def merged(client: ClientName, text: str | None, *, entry: Mapping[str, Any]) -> str:
    """Return a client's file with the server in it; the text itself where it says so already.

    Raises:
        ValueError: the file cannot be parsed, or is not laid out as the client lays it out.
    """
    form = _FORMATS[client]
    text = text or ""
    said = _said(form, text)
    servers = said.get(form.key, {}) if isinstance(said, dict) else {}
    old = servers.get(SERVER, {}) if isinstance(servers, dict) else {}
    kept = {key: value for key, value in old.items() if key not in _REACHED_BY} if isinstance(old, dict) else {}
    wanted = {**entry, **kept}
    if old == wanted:
        return text
    if form.toml:
        return with_table(text, (form.key, SERVER), values=wanted)
    new = with_member(text if text.strip() else "{}\n", (form.key, SERVER), value=wanted, comments=form.comments)
    expected = {**said, form.key: {**servers, SERVER: wanted}}
    if parse_json(new, comments=form.comments) != expected:
        raise ValueError("it cannot be changed in place")
    return new


def standing_alone(client: ClientName, entry: Mapping[str, Any]) -> str:
    """Return what a file would say that holds nothing but the server."""
    form = _FORMATS[client]
    if form.toml:
        return rendered_table((form.key, SERVER), entry)
    return json.dumps({form.key: {SERVER: entry}}, indent=2, ensure_ascii=False) + "\n"


def _said(form: _Format, text: str) -> Any:
    if form.toml:
        return tomllib.loads(text)
    return parse_json(text, comments=form.comments) if text.strip() else {}
