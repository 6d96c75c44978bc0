"""`ck mcp`: tell an assistant's client of the server, or start it."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_clients
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.schema.client import ClientLevel, ClientName, ClientWriting, ServerEntry

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import ClientFiles

__all__ = ["mcp"]

_CLIENTS = ("claude", "codex", "gemini", "cursor", "vscode")


@click.group()
def mcp() -> None:
    """Tell an assistant of the server, here or on a login node, or start it."""


@mcp.command("install")
@click.option("--client", type=click.Choice(_CLIENTS), default="claude", show_default=True, help="Whose configuration.")
@click.option("--project", "level", flag_value="project", help="Write the client's file in the project.")
@click.option("--user", "level", flag_value="user", help="Write the client's file for all your projects.")
@click.option(
    "--root", metavar="DIR", help="Directory that holds the experiments; with --ssh, there. Else the current one."
)
@click.option("--ssh", "host", metavar="HOST", help="Serve from a login node, over your own ssh.")
@click.option(
    "--program", metavar="PATH", default="cruijff-mcp", help="With --ssh: the server there, if not on its PATH."
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
def install(
    *,
    client: ClientName,
    level: ClientLevel | None,
    root: str | None,
    host: str | None,
    program: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Print what a client's configuration must say, or write it with --project or --user.

    The change is shown before it is written. What else the file says stays as it is, and a file that cannot be
    parsed is left alone.
    """
    here = Path.cwd() if host or root is None else Path(root)
    files = open_clients(here)
    server = _server(client, level=level, root=root, host=host, program=program, files=files)
    planned = workflow.install_server(client, server, level=level or "project", dry_run=True, files=files)
    if level is None:
        click.echo(planned.shown.rstrip("\n"))
        click.echo(f"belongs into {planned.path}; `--project` or `--user` writes it", err=True)
    elif not planned.diff:
        click.echo(f"{planned.path} says it already")
    else:
        # Neighbours of ours may hold keys, and a project's file whatever somebody has put there.
        secrets = workflow.secrets_of(os.environ)
        click.echo(workflow.safe_text(planned.diff.rstrip("\n"), secrets=secrets))
        if "\n@@" not in planned.diff:
            # The file is too long to be compared.
            click.echo(f"what is put into it:\n{planned.shown}")
        if not dry_run:
            _write(planned, server, level=level, yes=yes, files=files)


@mcp.command("serve")
@click.option("--root", metavar="DIR", default=None, help="Directory that holds the experiments.")
def serve(root: str | None) -> None:
    """Serve over stdio until the client leaves; CRUIJFF_ROOT, else the current directory, holds the experiments."""
    if find_spec("mcp") is None:
        raise SiteError("the server needs the package `mcp`", hint="pip install 'cruijff-kit[mcp]'")
    words = open_clients(Path()).server()
    given = () if root is None else ("--root", root)
    sys.stdout.flush()
    os.execv(words[0], [*words, *given])  # noqa: S606 -- this process becomes the server; no shell is asked for


def _server(
    client: ClientName,
    *,
    level: ClientLevel | None,
    root: str | None,
    host: str | None,
    program: str,
    files: "ClientFiles",
) -> ServerEntry:
    if host is None:
        # The user's own file serves whichever project is open; the project's file names its own.
        return workflow.server_here(client, root="." if root is None and level != "user" else root, files=files)
    if root is None:
        hint = "add `--root DIR`, absolute or from your home directory there"
        raise SpecError("`--ssh` needs a directory there", hint=hint)
    return workflow.remote_server(host, root=root, program=program, files=files)


def _write(planned: ClientWriting, server: ServerEntry, *, level: ClientLevel, yes: bool, files: "ClientFiles") -> None:
    if not yes:
        if not sys.stdin.isatty():
            raise SiteError(
                f"writing {planned.path} cannot be asked for: there is no terminal", hint="repeat it with `--yes`"
            )
        if not click.confirm(f"Write {planned.path}?", err=True):
            raise SiteError("not confirmed; nothing was written")
    written = workflow.install_server(planned.client, server, level=level, files=files)
    click.echo(f"wrote {written.path}; start the client again, and it finds `cruijff`")
