"""The verb `install_server`: an assistant's configuration told how to start the server, here or on a login node."""

import re
import shlex
import tomllib
from pathlib import Path

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import ClientFiles
from cruijff_kit.rendering.clients import entry_of, merged, standing_alone, workspace_of
from cruijff_kit.schema.client import ClientLevel, ClientName, ClientWriting, ServerEntry
from cruijff_kit.workflow.changes import diff_of

__all__ = ["install_server", "remote_server", "server_here"]

_HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}@)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029$]")
"""What no path in a configuration may hold: what ends a line, and what clients replace by a variable."""
_READ_DIFFERENTLY = re.compile(r"['\\!]")
"""What login shells do not all read alike between single quotes."""
_OPTIONS = ("BatchMode=yes", "ClearAllForwardings=yes", "RemoteCommand=none", "ServerAliveInterval=15")
"""Never a question, which nobody would see; nothing of what a person's sessions may want; a lost host is noticed."""


def server_here(client: ClientName, *, root: str | None, files: ClientFiles) -> ServerEntry:
    """Return how a client starts the server on this machine.

    Args:
        client: whose configuration it is.
        root: project directory; None for whichever project the client has open.
        files: the clients' files.

    Raises:
        SiteError: the directory cannot be a project root, or its name cannot stand in a configuration.
    """
    command, *args = files.server()
    if root is not None:
        args += ["--root", _project(root)]
    elif workspace_of(client):
        args += ["--root", workspace_of(client)]
    _must_be_plain(command, "path of Python")
    return ServerEntry(command=command, args=tuple(args), env=files.variables())


def remote_server(host: str, *, root: str, program: str, files: ClientFiles) -> ServerEntry:
    """Return how a client starts the server on a login node, over the user's own ssh.

    Args:
        host: name of the host, as the user's ssh knows it; `user@host` too.
        root: project directory there, absolute or from the home directory.
        program: `cruijff-mcp` there: a name on the PATH of a shell that is not interactive, or a path.
        files: the clients' files.

    Raises:
        SpecError: host, root or program cannot be named so.
        SiteError: there is no ssh here.
    """
    if not _HOST.fullmatch(host):
        raise SpecError(
            f"`{_shown(host)}` cannot be a host",
            hint="give `name` or `user@name`; port, key and proxy belong in `~/.ssh/config`, under a name of your own",
        )
    there = [_remote(program, "program"), f"--root={_remote(root, 'project directory')}"]
    ssh = files.ssh()
    if ssh is None:
        raise SiteError("there is no `ssh` on this machine", hint="install OpenSSH's client")
    options = [word for option in _OPTIONS for word in ("-o", option)]
    # No terminal, which would change bytes of the protocol; one line over there, in which nothing is left to read.
    words = (*ssh[1:], "-T", *options, host, "--", shlex.join(there))
    return ServerEntry(command=ssh[0], args=words, passed_on=("SSH_AUTH_SOCK",))


def install_server(
    client: ClientName, server: ServerEntry, *, level: ClientLevel, dry_run: bool = False, files: ClientFiles
) -> ClientWriting:
    """Put the server into a client's configuration; all else in the file stays, its comments too.

    Args:
        client: whose configuration.
        server: how it starts the server.
        level: the project's file or the user's own.
        dry_run: return what would be written, and write nothing.
        files: the clients' files.

    Raises:
        SpecError: the file cannot be parsed or changed in place; it is left as it is.
        SiteError: it cannot be read or written, or was changed meanwhile.
    """
    file = files.find(client, level)
    entry = entry_of(client, server)
    try:
        text = merged(client, file.text, entry=entry)
    except (ValueError, tomllib.TOMLDecodeError) as err:
        raise SpecError(
            f"`{file.path}` is left as it is: {err}",
            hint="mend it, or add by hand what `ck mcp install` prints without `--project` and `--user`",
        ) from err
    changed = text != (file.text or "")
    diff = diff_of(file.path, (file.text or "").encode(), planned=text.encode()) if changed else ""
    if changed and not dry_run:
        files.write(file, text)
    return ClientWriting(
        client=client,
        path=file.path,
        entry=entry,
        shown=standing_alone(client, entry),
        diff=diff,
        written=changed and not dry_run,
    )


def _project(root: str) -> str:
    path = Path(root).resolve()
    if path in (Path("/"), Path.home().resolve()) or not path.is_dir():
        raise SiteError(f"`{path}` cannot be the project root", hint="name the directory that holds the experiments")
    _must_be_plain(str(path), "project directory")
    return str(path)


def _remote(path: str, what: str) -> str:
    """Return a path on the other side; a session starts in the home directory, so `~/` says nothing more."""
    path = path.removeprefix("~/")
    if not path or path.startswith(("-", "~")) or path == "/":
        raise SpecError(
            f"`{_shown(path)}` cannot be the {what} there",
            hint="give an absolute path, or one from your home directory there",
        )
    _must_be_plain(path, what)
    if _READ_DIFFERENTLY.search(path):
        raise SpecError(
            f"the {what} `{_shown(path)}` there holds a character that login shells read differently",
            hint="use a path there without `'`, `\\` and `!`",
        )
    return path


def _must_be_plain(path: str, what: str) -> None:
    if _HIDDEN.search(path):
        raise SpecError(
            f"the {what} `{_shown(path)}` holds a character that a client would read as something else",
            hint="use a path without `$` and without control characters",
        )


def _shown(text: str) -> str:
    """Return a text of anybody's as it can stand on one line of a terminal."""
    return ascii(text[:80])[1:-1]
